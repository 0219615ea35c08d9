//! `whipsnake bench`: what starts and invocations cost, beside the managed runtime.

mod case;
mod contender;
mod counts;
mod events;
mod folder;
mod lambda_perf;
mod machine;
mod marshalling;
mod memory;
mod page;
mod phases;
mod plot;
mod progress;
mod promises;
mod report;
mod results;
mod rotation;
mod stage;
mod start;
mod statistics;
mod table;
mod warm;

use std::{
    collections::BTreeSet,
    fs,
    path::{self, Path, PathBuf},
    process::ExitCode,
};

use case::{Case, Code};
use contender::{Bootstrap, Contender};
use folder::{Folders, Form};
use machine::{Machine, Usage};
use progress::Progress;
use results::{Method, Results};
use rotation::Rotation;
use stage::Stage;

use crate::{failure::Failure, function, python::Interpreter};

/// Measures whipsnake beside awslambdaric, on the same CPython.
///
/// Every figure comes from fresh processes on one processor, everybody taking turns, so that a machine whose speed drifts slows all
/// alike: read the ratios. The cold start is the time from the start of the process to its first request for an event, the warm
/// latency that from an event to its response.
#[derive(clap::Args)]
pub struct Bench {
    /// A Python that has awslambdaric, of the version the bootstrap embeds; without it nothing is compared
    #[arg(long, value_name = "PYTHON")]
    reference: Option<PathBuf>,
    /// A bootstrap to measure [default: the one beside this command]; with a name it is measured beside that one. May be repeated
    #[arg(long = "bootstrap", value_name = "[NAME=]PATH[,VARIABLE=VALUE]", value_parser = Bootstrap::parse)]
    bootstraps: Vec<Bootstrap>,
    /// What to measure; may be repeated [default: everything]
    #[arg(long, value_name = "WHAT", value_enum)]
    only: Vec<What>,
    /// Also cold starts with the page cache dropped before each, which slows the whole machine; needs root
    #[arg(long)]
    cold_disk: bool,
    /// A function to start, by name; may be repeated [default: all]
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Where the packages are that some functions need: a folder of `make ecosystem`
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
    /// A folder with a function of your own, to be started as well
    #[arg(long, value_name = "DIR", requires = "handler")]
    task: Option<PathBuf>,
    /// Its handler: module.function
    #[arg(long, value_name = "HANDLER", requires = "task")]
    handler: Option<String>,
    /// A file with its event [default: an empty object]
    #[arg(long, value_name = "FILE", requires = "task")]
    event: Option<PathBuf>,
    /// The folder with the built examples: a Rust-only runtime for a floor, and the JSON comparison
    #[arg(long, value_name = "DIR")]
    examples: Option<PathBuf>,
    /// Cold starts of each; of functions with packages half as many
    #[arg(long, value_name = "N", default_value_t = 40)]
    starts: usize,
    /// Warm invocations of each, in five processes; of large events fewer
    #[arg(long, value_name = "N", default_value_t = 2500)]
    invocations: usize,
    /// Invocations over which memory has to stay flat
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    soak: usize,
    /// The raw data, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A page with plots, which needs nothing else
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The plots themselves, as SVG
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// A Markdown page whose figures are to be written anew
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Records in the shape of lambda-perf
    #[arg(long, value_name = "FILE")]
    lambda_perf: Option<PathBuf>,
}

/// A kind of measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Cold starts
    Cold,
    /// Warm invocations
    Warm,
    /// Where a start's time goes
    Phases,
    /// What processes weigh
    Memory,
    /// Instructions, system calls and opened files of a start
    Counts,
    /// JSON, beside Python's libraries
    Marshalling,
}

impl Bench {
    /// Measures and tells.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let plan = Plan::make(&self)?;
        let machine = Machine::look(plan.reference.as_ref().map(|(_, interpreter)| interpreter.name()));
        let processor = machine::pin()?;
        let usage = Usage::of(processor);
        let mut results = Results {
            machine,
            method: Method {
                starts: self.starts,
                invocations: self.invocations,
                processes_a_warm_event: warm::PROCESSES,
                processor,
            },
            functions: plan.cases.iter().map(|case| (case.name.clone(), case.about.to_owned())).collect(),
            series: Vec::new(),
            counts: Vec::new(),
            phases: Vec::new(),
            memory: Vec::new(),
            marshalling: Vec::new(),
            skipped: plan.skipped.clone(),
        };
        let progress = Progress::new();
        plan.measure(&self, &Rotation(&progress), &mut results)?;
        results.machine.load[1] = machine::load();
        results.machine.others = usage.and_then(|usage| usage.others());
        print!("{}", table::of(&results));
        self.write(&results)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Writes the files that were asked for.
    fn write(&self, results: &Results) -> Result<(), Failure> {
        let figures = plot::all(results);
        for (file, text) in [
            (&self.json, results.json()),
            (&self.report, report::of(results, &figures)),
            (&self.lambda_perf, lambda_perf::of(results)),
        ] {
            if let Some(file) = file {
                write(file, &text)?;
            }
        }
        if let Some(file) = &self.page {
            let failed =
                |problem: String| Failure::new(format!("writing the figures into {}: {problem}", file.display()));
            let text = fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
            let text = page::of(&text, results).ok_or_else(|| failed("it has no place for them".to_owned()))?;
            write(file, &text)?;
        }
        for figure in &figures {
            if let Some(folder) = &self.plots {
                write(&folder.join(format!("{}.svg", figure.name)), &figure.svg)?;
            }
        }
        Ok(())
    }

    fn wants(&self, what: What) -> bool {
        self.only.is_empty() || self.only.contains(&what)
    }
}

/// Who runs what.
struct Plan {
    contenders: Vec<Contender>,
    cases: Vec<Case>,
    reference: Option<(PathBuf, Interpreter)>,
    /// The interpreters in the bootstraps, the plain one's first.
    pythons: Vec<PathBuf>,
    folders: Folders,
    skipped: Vec<String>,
}

impl Plan {
    fn make(bench: &Bench) -> Result<Self, Failure> {
        let reference = match &bench.reference {
            // A virtual environment's link is not followed: the links are what makes it one.
            Some(python) => Some((absolute(python)?, Interpreter::ask(python).map_err(Failure::new)?)),
            None => None,
        };
        let mut bootstraps = bench.bootstraps.clone();
        for bootstrap in &mut bootstraps {
            bootstrap.path = function::find_bootstrap(Some(bootstrap.path.clone()))?;
        }
        if bootstraps.first().is_none_or(|first| first.name.is_some()) {
            let path = function::find_bootstrap(None)?;
            bootstraps.insert(0, Bootstrap { name: None, path, environment: Vec::new() });
        }
        let mut skipped = Vec::new();
        let example =
            |name: &str| bench.examples.as_ref().map(|folder| folder.join(name)).filter(|file| file.is_file());
        let rust = example("hello");
        if rust.is_none() {
            skipped.push("the floor in Rust: --examples has no `hello`".to_owned());
        }
        let packs = folder::can_pack();
        if !packs {
            skipped.push("packed functions: this command has no `pack`".to_owned());
        }
        let folders = Folders::new()?;
        let pythons: Vec<PathBuf> =
            bootstraps.iter().map(|bootstrap| bootstrap.python(&folders)).collect::<Result<_, _>>()?;
        let rust = rust.map(|path| absolute(&path)).transpose()?;
        if let (Some((_, reference)), Some(python)) = (&reference, pythons.first()) {
            same_version(reference, python)?;
        }
        let with = reference.as_ref().map(|(python, interpreter)| (python.as_path(), interpreter));
        Ok(Self {
            contenders: contender::all(&bootstraps, with, rust.as_deref(), packs),
            cases: cases(bench, &mut skipped)?,
            reference,
            pythons,
            folders,
            skipped,
        })
    }

    fn measure(&self, bench: &Bench, rotation: &Rotation<'_>, results: &mut Results) -> Result<(), Failure> {
        if bench.wants(What::Counts) {
            for program in ["valgrind", "strace"].into_iter().filter(|program| !counts::has(program)) {
                results.skipped.push(format!("what {program} counts: it is not installed"));
            }
        }
        for case in &self.cases {
            let folders = self.folders_of(case, bench)?;
            let starts = if case.has_packages() { bench.starts.div_ceil(2) } else { bench.starts };
            let stages = self.stages(case, &folders);
            if bench.wants(What::Cold) {
                results.series.extend(start::measure(case, &stages, starts, false, rotation)?);
            }
            if bench.cold_disk {
                results.series.extend(start::measure(case, &stages, starts.div_ceil(4), true, rotation)?);
            }
            let python_stages: Vec<Stage<'_>> = stages
                .iter()
                .filter(|stage| !stage.contender.is_floor && stage.contender.name != contender::AGAIN)
                .map(phases::stage)
                .collect();
            if bench.wants(What::Phases) {
                results.phases.extend(phases::measure(case, &python_stages, starts.div_ceil(4), rotation)?);
            }
            if bench.wants(What::Memory) {
                let compiled = python_stages.iter().filter(|stage| stage.contender.form != Form::Bare);
                for stage in compiled.filter(|stage| case.name == "empty" || stage.contender.form == Form::Compiled) {
                    let what = format!("memory, {}: {}", case.name, stage.contender.name);
                    rotation.0.show(&what, 0, 1);
                    let (step, times) = if case.name == "empty" { (bench.soak / 10, 10) } else { (10, 1) };
                    results.memory.push(memory::measure(case, stage, step, times)?);
                }
            }
            if bench.wants(What::Counts) && case.name == "empty" {
                for stage in stages.iter().filter(|stage| stage.contender.name != contender::AGAIN) {
                    rotation.0.show(&format!("counting, {}: {}", case.name, stage.contender.name), 0, 1);
                    results.counts.push(counts::measure(case, stage, &self.folders)?);
                }
            }
            if bench.wants(What::Warm) && case.name == "empty" {
                let warm: Vec<Stage<'_>> = stages.iter().filter(|stage| stage.contender.serves()).copied().collect();
                let (events, rare): (Vec<_>, Vec<_>) =
                    events::warm().into_iter().partition(|event| event.rarity <= bench.invocations);
                results.skipped.extend(
                    rare.iter().map(|event| format!("the event of {}: it needs more --invocations", event.name)),
                );
                for event in events {
                    results.series.extend(warm::measure(&event, &warm, bench.invocations, rotation)?);
                }
            }
        }
        if bench.wants(What::Marshalling) {
            self.marshal(bench, rotation, results)?;
        }
        rotation.0.clear();
        Ok(())
    }

    fn marshal(&self, bench: &Bench, rotation: &Rotation<'_>, results: &mut Results) -> Result<(), Failure> {
        let example = bench.examples.as_ref().map(|folder| folder.join("compare")).filter(|file| file.is_file());
        let (Some(example), Some((python, interpreter))) = (example, &self.reference) else {
            results.skipped.push("JSON: it needs --reference, and --examples with `compare`".to_owned());
            return Ok(());
        };
        rotation.0.show("JSON", 0, 1);
        let mut searched = vec![site_packages(python, interpreter)];
        searched.extend(bench.packages.iter().map(|packages| packages.join("extension_modules")));
        let milliseconds = u64::try_from(bench.starts).unwrap_or(20).clamp(1, 20);
        results.marshalling = marshalling::measure(&example, interpreter, &searched, milliseconds, &self.folders)?;
        Ok(())
    }

    /// The folders of a function, one for each form it is needed in.
    fn folders_of(&self, case: &Case, bench: &Bench) -> Result<Vec<(Form, PathBuf)>, Failure> {
        let packages = bench.packages.as_deref();
        let make = |form| Ok((form, self.folders.make(case, form, packages, &self.pythons)?));
        let forms: BTreeSet<Form> = self.contenders.iter().map(|contender| contender.form).collect();
        forms.into_iter().filter(|&form| case.has_packages() || form != Form::Bare).map(make).collect()
    }

    /// Who starts a function, and from where. The floors know one function only.
    fn stages<'a>(&'a self, case: &'a Case, folders: &'a [(Form, PathBuf)]) -> Vec<Stage<'a>> {
        let folder = |form| folders.iter().find(|(made, _)| *made == form).map(|(_, folder)| folder.as_path());
        self.contenders
            .iter()
            .filter(|contender| !contender.is_floor || case.name == "empty")
            .filter_map(|contender| Some(Stage { contender, folder: folder(contender.form)?, handler: &case.handler }))
            .collect()
    }
}

/// The functions that can be started here.
fn cases(bench: &Bench, skipped: &mut Vec<String>) -> Result<Vec<Case>, Failure> {
    let mut cases = case::known();
    if let (Some(task), Some(handler)) = (&bench.task, &bench.handler) {
        let reading = |file: &PathBuf| {
            fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("reading the event {}: {error}", file.display())))
        };
        let event = bench.event.as_ref().map(reading).transpose()?.unwrap_or_else(|| "{}".to_owned());
        cases.push(case::own(absolute(task)?, handler.clone(), event));
    }
    if let Some(unknown) = bench.cases.iter().find(|name| cases.iter().all(|case| case.name != **name)) {
        let known: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        return Err(Failure::new(format!("there is no function called {unknown}; there are {}", known.join(", "))));
    }
    cases.retain(|case| bench.cases.is_empty() || bench.cases.contains(&case.name));
    cases.retain(|case| {
        let Code::Module(_, Some(needed)) = &case.code else { return true };
        let folder = bench.packages.as_ref().map(|packages| packages.join(needed.folder));
        let there = folder.is_some_and(|folder| folder.is_dir());
        if !there {
            skipped.push(format!("the function {}: --packages has no folder {}", case.name, needed.folder));
        }
        there
    });
    Ok(cases)
}

/// A comparison with another CPython than the bootstrap's own would be one of CPythons.
fn same_version(reference: &Interpreter, python: &Path) -> Result<(), Failure> {
    let ours = Interpreter::ask(python).map_err(|problem| Failure::new(format!("asking the bootstrap: {problem}")))?;
    if ours.version == reference.version && ours.is_free_threaded == reference.is_free_threaded {
        return Ok(());
    }
    let (ours, reference) = (ours.name(), reference.name());
    Err(Failure::new(format!(
        "the bootstrap embeds {ours}, and --reference is {reference}: name one of the same version"
    )))
}

/// Where a virtual environment has its packages.
fn site_packages(python: &Path, interpreter: &Interpreter) -> PathBuf {
    let environment = python.ancestors().nth(2).unwrap_or(Path::new("/"));
    environment.join(format!("lib/python{}/site-packages", interpreter.minor_version()))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path::absolute(path).map_err(|error| Failure::new(format!("looking for {}: {error}", path.display())))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("writing {}: {error}", file.display()));
    file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text)).map_err(failed)
}

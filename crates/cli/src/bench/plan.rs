//! Who runs what, and what of it is measured.

use std::{
    collections::BTreeSet,
    fs,
    path::{self, Path, PathBuf},
};

use super::{
    Bench, What,
    case::{self, Case, Code},
    contender::{self, Bootstrap, Contender},
    counts, events,
    folder::{self, Folders, Form},
    marshalling, memory, phases,
    results::Results,
    rotation::Rotation,
    size,
    stage::Stage,
    start, warm,
};
use crate::{failure::Failure, function, python::Interpreter};

/// The function that is measured in every way; the others are started only.
const EMPTY: &str = "empty";

/// Everything that is known before the first process is started.
pub struct Plan<'a> {
    bench: &'a Bench,
    contenders: Vec<Contender>,
    pub cases: Vec<Case>,
    /// The Python that was named, and what it is.
    pub reference: Option<(PathBuf, Interpreter)>,
    /// The interpreters in the bootstraps, the plain one's first.
    pythons: Vec<PathBuf>,
    folders: Folders,
    /// What is not measured, and why.
    pub skipped: Vec<String>,
}

impl<'a> Plan<'a> {
    /// Looks for everything that was named.
    pub fn make(bench: &'a Bench) -> Result<Self, Failure> {
        let reference = match &bench.reference {
            // A virtual environment's link is not followed: the links are what makes it one.
            Some(python) => Some((absolute(python)?, Interpreter::ask(python).map_err(Failure::new)?)),
            None => None,
        };
        let bootstraps = bootstraps(bench)?;
        let folders = Folders::new()?;
        let pythons: Vec<PathBuf> =
            bootstraps.iter().map(|bootstrap| bootstrap.python(&folders)).collect::<Result<_, _>>()?;
        if let (Some((_, reference)), Some(python)) = (&reference, pythons.first()) {
            same_version(reference, python)?;
        }
        let mut skipped = Vec::new();
        let mut floors = Vec::new();
        for (name, program) in [(contender::RUST, "hello"), (contender::SOCKET, "socket")] {
            match example(bench, program) {
                Some(path) => floors.push((name, absolute(&path)?)),
                None => skipped.push(format!("the floor \"{name}\": --examples has no `{program}`")),
            }
        }
        let packs = folder::can_pack();
        if !packs {
            skipped.push("packed functions: this command has no `pack`".to_owned());
        }
        // The checkpoint's bootstrap is the one beside this command.
        let checkpoints = packs && folder::can_restore(&bootstraps[0].path);
        if !checkpoints {
            skipped.push(
                "starts from checkpoints: the bootstrap beside this command is not measured, or has no restorer"
                    .to_owned(),
            );
        }
        let with = reference.as_ref().map(|(python, interpreter)| (python.as_path(), interpreter));
        Ok(Self {
            bench,
            contenders: contender::all(&bootstraps, with, &floors, packs, checkpoints),
            cases: cases(bench, &mut skipped)?,
            reference,
            pythons,
            folders,
            skipped,
        })
    }

    /// Measures what is wanted.
    pub fn measure(&self, rotation: &Rotation<'_>, results: &mut Results) -> Result<(), Failure> {
        for case in &self.cases {
            let folders = self.folders_of(case, rotation, results)?;
            let stages = self.stages(case, &folders);
            self.start(case, &stages, rotation, results)?;
            if self.wants(What::Sizes) {
                for (form, folder) in folders.iter().filter(|(form, _)| form.checkpoint().is_some()) {
                    results.sizes.push(size::measure(case, *form, folder)?);
                }
            }
            if case.name == EMPTY {
                self.count(case, &stages, rotation, results)?;
                self.invoke(&stages, rotation, results)?;
            }
        }
        self.marshal(rotation, results)
    }

    /// Cold starts, and what is to be seen of them from inside.
    fn start(
        &self,
        case: &Case,
        stages: &[Stage<'_>],
        rotation: &Rotation<'_>,
        results: &mut Results,
    ) -> Result<(), Failure> {
        let starts = if case.has_packages() { self.bench.starts.div_ceil(2) } else { self.bench.starts };
        if self.wants(What::Cold) {
            results.series.extend(start::measure(case, stages, starts, false, rotation)?);
        }
        if self.bench.cold_disk {
            results.series.extend(start::measure(case, stages, starts.div_ceil(4), true, rotation)?);
        }
        let inside: Vec<Stage<'_>> = stages
            .iter()
            .filter(|stage| !stage.contender.is_for_empty() && stage.contender.name != contender::AGAIN)
            .copied()
            .collect();
        if self.wants(What::Phases) {
            // A restored process has no phases.
            let ordinary = inside.iter().filter(|stage| !stage.contender.is_restored());
            let ordinary: Vec<Stage<'_>> = ordinary.map(phases::stage).collect();
            results.phases.extend(phases::measure(case, &ordinary, starts.div_ceil(4), rotation)?);
        }
        if self.wants(What::Memory) {
            for stage in inside.iter().filter(|stage| stage.contender.form != Form::Bare) {
                rotation.0.show(&format!("memory, {}: {}", case.name, stage.contender.name), 0, 1);
                let (step, times) = if case.name == EMPTY { (self.bench.soak / 10, 10) } else { (1, 1) };
                results.memory.push(memory::measure(case, stage, step, times)?);
            }
        }
        Ok(())
    }

    fn count(
        &self,
        case: &Case,
        stages: &[Stage<'_>],
        rotation: &Rotation<'_>,
        results: &mut Results,
    ) -> Result<(), Failure> {
        if !self.wants(What::Counts) {
            return Ok(());
        }
        for program in ["valgrind", "strace"].into_iter().filter(|program| !counts::has(program)) {
            results.skipped.push(format!("what {program} counts: it is not installed"));
        }
        // Valgrind brings its own processor, which no checkpoint is made for.
        let counted = |stage: &&Stage<'_>| {
            stage.contender.name != contender::AGAIN && stage.contender.form.checkpoint().is_none()
        };
        for stage in stages.iter().filter(counted) {
            rotation.0.show(&format!("counting, {}: {}", case.name, stage.contender.name), 0, 1);
            results.counts.push(counts::measure(case, stage, &self.folders)?);
        }
        Ok(())
    }

    /// Warm invocations. Packing changes nothing of them.
    fn invoke(&self, stages: &[Stage<'_>], rotation: &Rotation<'_>, results: &mut Results) -> Result<(), Failure> {
        if !self.wants(What::Warm) {
            return Ok(());
        }
        let serving = |stage: &&Stage<'_>| stage.contender.serves() && stage.contender.form == Form::Compiled;
        let stages: Vec<Stage<'_>> = stages.iter().filter(serving).copied().collect();
        for event in events::warm() {
            if event.rarity > self.bench.invocations {
                results.skipped.push(format!("the event of {}: it needs more --invocations", event.name));
                continue;
            }
            results.series.extend(warm::measure(&event, &stages, self.bench.invocations, rotation)?);
        }
        Ok(())
    }

    fn marshal(&self, rotation: &Rotation<'_>, results: &mut Results) -> Result<(), Failure> {
        if !self.wants(What::Marshalling) {
            return Ok(());
        }
        let (Some(example), Some((python, interpreter))) = (example(self.bench, "compare"), &self.reference) else {
            results.skipped.push("JSON: it needs --reference, and --examples with `compare`".to_owned());
            return Ok(());
        };
        rotation.0.show("JSON", 0, 1);
        let mut searched = vec![site_packages(python, interpreter)];
        searched.extend(self.bench.packages.iter().map(|packages| packages.join("extension_modules")));
        let milliseconds = u64::try_from(self.bench.starts).unwrap_or(20).clamp(1, 20);
        results.marshalling = marshalling::measure(&example, interpreter, &searched, milliseconds, &self.folders)?;
        Ok(())
    }

    fn wants(&self, what: What) -> bool {
        self.bench.only.is_empty() || self.bench.only.contains(&what)
    }

    /// The folders of a function, one for each form it is needed in. A function that no checkpoint can be made of is measured without.
    fn folders_of(
        &self,
        case: &Case,
        rotation: &Rotation<'_>,
        results: &mut Results,
    ) -> Result<Vec<(Form, PathBuf)>, Failure> {
        let packages = self.bench.packages.as_deref();
        let forms: BTreeSet<Form> = self.contenders.iter().map(|contender| contender.form).collect();
        let mut folders = Vec::new();
        for form in forms.into_iter().filter(|&form| case.is_started_bare() || form != Form::Bare) {
            rotation.0.show(&format!("packing {}", case.name), 0, 1);
            match self.folders.make(case, form, packages, &self.pythons) {
                Ok(folder) => folders.push((form, folder)),
                Err(failure) if form.checkpoint().is_some() => {
                    results.skipped.push(format!("{} from a checkpoint: {failure}", case.name));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(folders)
    }

    /// Who starts a function, and from where. The floors know one function only.
    fn stages<'b>(&'b self, case: &'b Case, folders: &'b [(Form, PathBuf)]) -> Vec<Stage<'b>> {
        let folder = |form| folders.iter().find(|(made, _)| *made == form).map(|(_, folder)| folder.as_path());
        self.contenders
            .iter()
            .filter(|contender| !contender.is_for_empty() || case.name == EMPTY)
            .filter_map(|contender| Some(Stage { contender, folder: folder(contender.form)?, handler: &case.handler }))
            .collect()
    }
}

/// The bootstraps, the plain one first.
fn bootstraps(bench: &Bench) -> Result<Vec<Bootstrap>, Failure> {
    let mut bootstraps = bench.bootstraps.clone();
    for bootstrap in &mut bootstraps {
        bootstrap.path = function::find_bootstrap(Some(bootstrap.path.clone()))?;
    }
    match bootstraps.iter().position(|bootstrap| bootstrap.name.is_none()) {
        Some(position) => bootstraps.swap(0, position),
        None => {
            let path = function::find_bootstrap(None)?;
            bootstraps.insert(0, Bootstrap { name: None, path, environment: Vec::new() });
        }
    }
    Ok(bootstraps)
}

fn example(bench: &Bench, name: &str) -> Option<PathBuf> {
    bench.examples.as_ref().map(|folder| folder.join(name)).filter(|file| file.is_file())
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
        if !task.is_dir() {
            let problem =
                format!("there is no directory {}: name the one with the function's code with --task", task.display());
            return Err(Failure::new(problem));
        }
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

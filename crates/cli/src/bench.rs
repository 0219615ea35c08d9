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
mod plan;
mod plot;
mod progress;
mod report;
mod results;
mod rotation;
mod size;
mod stage;
mod start;
mod statistics;
mod table;
mod targets;
mod warm;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use contender::Bootstrap;
use machine::{Machine, Usage};
use plan::Plan;
use progress::Progress;
use results::{Method, Results};
use rotation::Rotation;

use crate::{atomic_write, cleanup, display, failure::Failure};

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
    /// The folder with the built examples: the floors in Rust, and the JSON comparison
    #[arg(long, value_name = "DIR")]
    examples: Option<PathBuf>,
    /// Cold starts of each; of functions with packages half as many
    #[arg(long, value_name = "N", default_value_t = 50)]
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
    /// How much memory processes have
    Memory,
    /// What checkpoints add to a zip
    Sizes,
    /// Instructions, system calls and opened files of a start
    Counts,
    /// JSON, beside Python's libraries
    Marshalling,
}

impl Bench {
    /// Measures and tells.
    pub fn run(self) -> Result<ExitCode, Failure> {
        cleanup::on_signals()?;
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
            sizes: Vec::new(),
            marshalling: Vec::new(),
            skipped: plan.skipped.clone(),
        };
        let progress = Progress::new();
        plan.measure(&Rotation(&progress), &mut results)?;
        progress.clear();
        results.machine.load[1] = machine::load();
        results.machine.others = usage.and_then(|usage| usage.others());
        display::print(table::of(&results))?;
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
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("writing {}: {error}", file.display()));
    file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| atomic_write::replace(file, text)).map_err(failed)
}

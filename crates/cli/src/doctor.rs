//! `whipsnake doctor`: what runs a function here, what its checkpoint is for, and why its start takes as long as it does.

mod advice;
mod bootstrap;
mod checkpoint;
mod imports;
mod layers;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use whipsnake_emulator::{Emulator, Function};

use crate::{collected::Collected, display, failure::Failure, function::Configuration, progress::Progress, python};
use imports::Imports;

/// Looks at what runs a function here: the bootstrap, the Pythons, the function's checkpoint, and what it imports when it starts
///
/// --task may also be a zip of `whipsnake pack`, whose checkpoint is described.
#[derive(clap::Args)]
pub struct Doctor {
    /// The function to look at: module.function
    handler: Option<String>,
    /// Where layers were packed
    #[arg(long, value_name = "DIR", default_value = "dist")]
    layers: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

impl Doctor {
    /// Looks at everything and tells about it. What cannot be found out is told as well, and is no failure.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let bootstrap = self.configuration.ordinary_bootstrap()?;
        let mut told = String::new();
        let embedded = bootstrap::describe(&bootstrap, self.configuration.python_of_wheel()?, &mut told);
        describe_pythons(&mut told);
        layers::describe(&self.layers, &mut told);
        checkpoint::describe(&self.configuration, &self.layers, &mut told);
        display::print(&told)?;
        if self.configuration.task().is_file() {
            if let Some(handler) = self.handler {
                display::print(checkpoint::tried_on_lambda(&self.configuration, handler, &self.layers)?)?;
            }
            display::say("to see what the function imports, unpack the zip and name its folder with --task");
            return Ok(ExitCode::SUCCESS);
        }
        let Some(handler) = self.handler else {
            display::say("name a function as well, `whipsnake doctor module.function`, to see what it imports");
            return Ok(ExitCode::SUCCESS);
        };
        let function = self.configuration.function(handler)?;
        display::print(checkpoint::tried(&function, &bootstrap, self.configuration.checkpoint().is_some())?)?;
        // What follows is about imports, which a restored process has behind it.
        let ordinary = Function { bootstrap, ..function };
        display::print(&describe_start(&ordinary, embedded.as_deref())?)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe_pythons(told: &mut String) {
    let found = python::look();
    told.push_str("\nPython to build a bootstrap against\n");
    match &found.chosen {
        Ok(interpreter) => _ = writeln!(told, "  {interpreter}\n  because {}", found.why),
        Err(problem) => _ = writeln!(told, "  {problem}"),
    }
    for other in &found.others {
        _ = writeln!(told, "  also here: {other}");
    }
    for problem in &found.problems {
        _ = writeln!(told, "  passed over: {problem}");
    }
}

/// Starts the function twice: as it is, and with CPython timing each import.
fn describe_start(function: &Function, embedded: Option<&str>) -> Result<String, Failure> {
    let mut told = format!("\nStart of {} in {}\n", function.handler, function.task.display());
    // Nothing is compiled for the next time: on Lambda nothing can be written either.
    let mut timed = function.clone();
    timed.environment.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    let (took, _, fault) = start(timed.clone())?;
    if let Some(fault) = fault {
        _ = writeln!(told, "  it does not start: {fault}");
        return Ok(told);
    }
    timed.environment.insert("PYTHONPROFILEIMPORTTIME".to_owned(), "1".to_owned());
    let (_, log, _) = start(timed)?;
    let module = function.handler.rsplit_once('.').map_or(function.handler.as_str(), |(module, _)| module);
    let root = Imports::parse(&log).of_function(module.replace('/', "."));
    _ = writeln!(told, "  init phase {took:.0} ms on this machine, now");
    told.push_str("  what it imports, in milliseconds with and without what that imports itself\n");
    imports::draw(&root, &mut told);
    for sentence in advice::on(&root, function, embedded) {
        _ = writeln!(told, "  - {sentence}");
    }
    Ok(told)
}

/// Runs the init phase: its milliseconds, its log, and what went wrong.
fn start(function: Function) -> Result<(f64, String, Option<String>), Failure> {
    let log = Collected::default();
    let emulator = Emulator::new(function, Box::new(log.clone())).during_init(Progress::of_start);
    let begun = Instant::now();
    let fault = emulator.start().map_err(|error| Failure::new(error.to_string()))?;
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    emulator.shut_down();
    let log = String::from_utf8_lossy(&log.take()).into_owned();
    Ok((took, log, fault.map(|fault| display::headline(&fault))))
}

/// Where a module's source is, if it is one of the function's or of its packages'.
fn source_of(module: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = module.replace('.', "/");
    folders.iter().find_map(|folder: &PathBuf| {
        let candidates = [folder.join(format!("{path}.py")), folder.join(&path).join("__init__.py")];
        candidates.into_iter().find(|candidate: &PathBuf| Path::is_file(candidate))
    })
}

//! `whipsnake doctor`: what runs a function here, and why its start takes as long as it does.

mod advice;
mod bootstrap;
mod imports;
mod layers;

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Instant,
};

use whipsnake_emulator::{Emulator, Function};

use crate::{
    display,
    failure::Failure,
    function::{FunctionArguments, find_bootstrap},
    python,
};
use imports::Imports;

/// Looks at what runs a function here: the bootstrap, the Pythons, and what the function imports when it starts
#[derive(clap::Args)]
pub struct Doctor {
    /// The function to look at: module.function
    #[arg(value_name = "HANDLER")]
    function: Option<String>,
    /// The bootstrap to look at [default: the one beside this command]
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
    /// The directory with the function's code
    #[arg(long, value_name = "DIR", default_value = ".")]
    task: PathBuf,
    /// A virtual environment whose packages the function may import [default: $VIRTUAL_ENV]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// A variable of the function's; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = crate::function::variable)]
    environment: Vec<(String, String)>,
    /// Where layers were packed
    #[arg(long, value_name = "DIR", default_value = "dist")]
    layers: PathBuf,
}

impl Doctor {
    /// Looks at everything and tells about it. What cannot be found out is told as well, and is no failure.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let bootstrap = find_bootstrap(self.bootstrap)?;
        let mut told = String::new();
        let embedded = bootstrap::describe(&bootstrap, &mut told);
        describe_pythons(&mut told);
        layers::describe(&self.layers, &mut told);
        display::print(&told)?;
        let Some(handler) = self.function else {
            display::say("name a function as well, `whipsnake doctor module.function`, to see what it imports");
            return Ok(ExitCode::SUCCESS);
        };
        let arguments = FunctionArguments::of(handler, self.task, bootstrap, self.venv, self.environment);
        let told = describe_start(&arguments.function()?, embedded.as_deref())?;
        display::print(&told)?;
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
        _ = writeln!(told, "  it does not start: {}", fault.lines().next().unwrap_or_default());
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
    let emulator = Emulator::new(function, Box::new(log.clone()));
    let begun = Instant::now();
    let fault = emulator.start().map_err(|error| Failure::new(error.to_string()))?;
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    emulator.shut_down();
    let fault = fault.map(|fault| {
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&fault).unwrap_or_default();
        let field = |name: &str| fields.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        format!("{}: {}", field("errorType"), field("errorMessage"))
    });
    let log = log.0.lock().expect("nobody panics while collecting");
    Ok((took, String::from_utf8_lossy(&log).into_owned(), fault))
}

/// A log that is read afterwards.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl io::Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics while collecting").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a module's source is, if it is one of the function's or of its packages'.
fn source_of(module: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = module.replace('.', "/");
    folders.iter().find_map(|folder: &PathBuf| {
        let candidates = [folder.join(format!("{path}.py")), folder.join(&path).join("__init__.py")];
        candidates.into_iter().find(|candidate: &PathBuf| Path::is_file(candidate))
    })
}

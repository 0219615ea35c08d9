//! `whipsnake python`: the CPython to build a bootstrap against.

mod interpreter;
pub mod library;
pub mod pyo3_config;
mod search;
mod trial;

use std::{
    cmp::Reverse,
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use crate::{cleanup, display, failure::Failure};
pub use interpreter::Interpreter;
use interpreter::Version;
use library::{Choice, Kind};
pub use search::on_path;

/// What is installed when nothing is.
const INSTALLED_BY_UV: &str = "3.14";
const WHAT_TO_DO: &str =
    "install one with `uv python install 3.14` (https://docs.astral.sh/uv), or name one with --python";

/// Finds the CPython to build against, and prints the path of its interpreter.
///
/// Without --python, $PYTHON is taken, or else the newest CPython 3.12 or later that comes with its library: among uv's,
/// those on PATH, pyenv's, those in /opt and those in ~/.cache/whipsnake. When there is none, uv is asked to install one.
#[derive(clap::Args)]
pub struct Python {
    /// An interpreter, or a version such as 3.14 or 3.14t
    #[arg(long, value_name = "PATH|VERSION")]
    python: Option<String>,
    /// The library to link, with --config [default: static where the Python has one that can be linked]
    #[arg(long, value_name = "KIND")]
    libpython: Option<Kind>,
    /// Writes what pyo3 has to know to this file, for PYO3_CONFIG_FILE
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Python {
    /// Finds the interpreter, writes the configuration, prints the path.
    pub fn run(self) -> Result<ExitCode, Failure> {
        cleanup::on_signals()?;
        let interpreter = find(self.python)?;
        if let Some(config) = &self.config {
            let choice = Choice::make(&interpreter, self.libpython, |_| Ok(()))?;
            pyo3_config::write(config, &choice).map_err(|error| {
                Failure::new(format!("writing pyo3's configuration to {}: {error}", config.display()))
            })?;
            display::note(choice);
        } else {
            display::note(&interpreter);
        }
        display::print(format_args!("{}\n", interpreter.executable.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The interpreter that was named, here or by $PYTHON, or else the newest.
pub fn find(named: Option<String>) -> Result<Interpreter, Failure> {
    let Some(named) = name(named) else { return newest() };
    match Version::parse(&named) {
        Some(version) => of_version(&version),
        None => at(&named).or_else(|failure| elsewhere(&named).ok_or(failure)),
    }
}

/// The folder with the library that a bootstrap needs to run on the interpreter at `path`.
pub fn shared_library_folder(path: &str) -> Result<PathBuf, Failure> {
    interpreter::shared_library_folder(Path::new(path)).map_err(Failure::new)
}

/// What [`find`] chooses when nothing is named here, and why; nothing is installed.
pub struct Found {
    /// The interpreter, or why there is none.
    pub chosen: Result<Interpreter, String>,
    /// Why this one.
    pub why: String,
    /// Which else could be used.
    pub others: Vec<Interpreter>,
    /// Which cannot be used, a sentence each.
    pub problems: Vec<String>,
}

/// Looks at all Pythons that are here.
pub fn look() -> Found {
    let (mut found, problems) = search::all();
    let named = name(None);
    let version = named.as_deref().and_then(Version::parse);
    let (chosen, why) = match (&named, version) {
        (Some(named), None) => {
            let interpreter = at(named).map_err(|failure| failure.to_string());
            (interpreter, "$PYTHON names it".to_owned())
        }
        (named, version) => {
            let wanted = |interpreter: &Interpreter| match &version {
                Some(version) => version.matches(interpreter),
                None => !interpreter.is_free_threaded,
            };
            let best = (0..found.len())
                .filter(|&index| wanted(&found[index]))
                .min_by_key(|&index| Reverse((found[index].is_release, found[index].version)));
            let why = match named {
                Some(named) => format!("$PYTHON asks for {named}, and it is the newest of these"),
                None => "it is the newest that is here; --python or $PYTHON names another".to_owned(),
            };
            let chosen = best.map(|index| found.remove(index));
            (chosen.ok_or_else(|| format!("there is none that can be used: {WHAT_TO_DO}")), why)
        }
    };
    if let Ok(chosen) = &chosen {
        found.retain(|other| other.executable != chosen.executable);
    }
    Found { chosen, why, others: found, problems }
}

/// What was named, here or by $PYTHON.
pub fn name(named: Option<String>) -> Option<String> {
    named.or_else(|| env::var("PYTHON").ok()).filter(|named| !named.is_empty())
}

/// The interpreter at a path, or of that name on PATH.
fn at(named: &str) -> Result<Interpreter, Failure> {
    let path = if named.contains('/') {
        PathBuf::from(named)
    } else {
        search::on_path(named).ok_or_else(|| Failure::new(format!("there is no {named} on PATH: {WHAT_TO_DO}")))?
    };
    Interpreter::ask(&path).map_err(|problem| Failure::new(format!("{problem}; {WHAT_TO_DO}")))
}

/// What `python3.13` means where the one on PATH is pyenv's shim for a version that is not active.
fn elsewhere(named: &str) -> Option<Interpreter> {
    let version = Version::parse(named.strip_prefix("python")?)?;
    best(search::all().0, |interpreter| version.matches(interpreter))
}

/// The newest interpreter that can be built against; free-threaded ones only by name, they are another runtime.
fn newest() -> Result<Interpreter, Failure> {
    let (found, problems) = search::all();
    best(found, |interpreter| !interpreter.is_free_threaded)
        .map(Ok)
        .or_else(|| install_with_uv(INSTALLED_BY_UV))
        .unwrap_or_else(|| Err(not_found("CPython 3.12 or later with its library", &problems)))
}

fn of_version(version: &Version) -> Result<Interpreter, Failure> {
    let (found, problems) = search::all();
    best(found, |interpreter| version.matches(interpreter))
        .map(Ok)
        .or_else(|| install_with_uv(&version.to_string()))
        .unwrap_or_else(|| Err(not_found(&format!("CPython {version} with its library"), &problems)))
}

/// The newest of those; of equals the one found first. Alphas and candidates come after every release.
fn best(found: Vec<Interpreter>, wanted: impl Fn(&Interpreter) -> bool) -> Option<Interpreter> {
    found.into_iter().filter(wanted).min_by_key(|interpreter| Reverse((interpreter.is_release, interpreter.version)))
}

/// Where an interpreter is for another processor, and so emulated: one for this processor that compiles to the same bytecode, ten
/// times faster.
pub fn twin(interpreter: &Interpreter) -> Option<Interpreter> {
    let is_here = |interpreter: &Interpreter| interpreter.machine == env::consts::ARCH;
    let candidates = if is_here(interpreter) { Vec::new() } else { search::all().0 };
    candidates.into_iter().find(|other| is_here(other) && other.compiles_like(interpreter))
}

fn not_found(what: &str, problems: &[String]) -> Failure {
    let mut sentence = format!("there is no {what} here: {WHAT_TO_DO}");
    for problem in problems {
        sentence.push_str("\n  ");
        sentence.push_str(problem);
    }
    Failure::new(sentence)
}

/// Has uv install a version. None when there is no uv.
fn install_with_uv(version: &str) -> Option<Result<Interpreter, Failure>> {
    let uv = search::on_path("uv")?;
    display::say(&format!("installing CPython {version} with uv"));
    Some(install(&uv, version))
}

fn install(uv: &Path, version: &str) -> Result<Interpreter, Failure> {
    let failed = |doing: &str| Failure::new(format!("`uv python {doing} {version}` failed: {WHAT_TO_DO}"));
    // For us alone: nothing is put on the PATH of whoever has not asked for it.
    let mut installing = Command::new(uv);
    installing.args(["python", "install", version]).env("UV_PYTHON_INSTALL_BIN", "0").stdout(Stdio::null());
    let installed = installing.status();
    if !installed.is_ok_and(|status| status.success()) {
        return Err(failed("install"));
    }
    let output = Command::new(uv)
        .args(["python", "find", "--no-project", "--managed-python", version])
        .stderr(Stdio::inherit())
        .output()
        .ok()
        .filter(|output| output.status.success())
        .ok_or_else(|| failed("find"))?;
    let path = String::from_utf8_lossy(&output.stdout);
    Interpreter::ask(Path::new(OsStr::new(path.trim()))).map_err(Failure::new)
}

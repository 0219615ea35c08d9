//! The first steps of a process that was restored.

use crate::concurrency::{Concurrency, Unclear};
use crate::environment::Environment;
use crate::init::Prepared;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::collections::BTreeSet;
use std::env;
use std::ffi::{CStr, OsStr, OsString, c_char};
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use whipsnake_checkpoint::process::{Kind, Process};
use whipsnake_checkpoint_format::image::Handover;

/// What a restored process has of the init phase already.
pub struct Restored {
    /// What was prepared, and the handler where the function was imported.
    pub prepared: Prepared,
    /// The environment that it was started with.
    pub started: Started,
}

/// How the process was started.
pub struct Started {
    /// The variables that this executable reads.
    pub environment: Environment,
    /// Whether several invocations come at once.
    pub concurrency: Result<Option<Concurrency>, Unclear>,
    /// How long the restorer took, until the memory was complete.
    pub mapping: Duration,
}

/// Where a restored process comes from.
pub struct Origin {
    kind: Kind,
    /// What the modules in the checkpoint have left open.
    descriptors: BTreeSet<RawFd>,
    /// The command line of this process, not that of the dumped one.
    arguments: Vec<OsString>,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// Where this process comes from, if it was restored.
pub fn origin() -> Option<&'static Origin> {
    ORIGIN.get()
}

impl Origin {
    /// Notes where this process comes from.
    pub fn note(process: &Process, handover: &Handover) {
        let numbers = process.descriptors.iter().map(|descriptor| descriptor.number.cast_signed());
        // SAFETY: the kernel's list of arguments, which lives as long as the process.
        let arguments = (0..handover.argument_count).map(|index| unsafe {
            let argument = *(handover.arguments as *const *const c_char).add(usize::try_from(index).unwrap_or(0));
            OsStr::from_bytes(CStr::from_ptr(argument).to_bytes()).to_owned()
        });
        let origin = Self { kind: process.kind, descriptors: numbers.collect(), arguments: arguments.collect() };
        // Once in a process.
        let _ = ORIGIN.set(origin);
    }

    /// The descriptors that modules in the checkpoint have left open.
    pub fn descriptors(&self) -> &BTreeSet<RawFd> {
        &self.descriptors
    }

    /// Whether the checkpoint has something that workers must not share: the function's own modules, or open descriptors.
    pub fn has_state(&self) -> bool {
        self.kind == Kind::Init || !self.descriptors.is_empty()
    }

    /// A command that starts this process again.
    pub fn command(&self) -> Command {
        // By its path: the restorer looks for the checkpoint beside itself.
        let mut command = Command::new(fs::read_link("/proc/self/exe").unwrap_or_else(|_| "/proc/self/exe".into()));
        let mut arguments = self.arguments.iter();
        command.arg0(arguments.next().map_or(OsStr::new(""), OsString::as_os_str)).args(arguments);
        command
    }
}

/// Renews what must not be the same in every copy, and runs the function's hooks. The Runtime API can be reached by now.
pub fn complete(py: Python<'_>) -> PyResult<()> {
    py.import("whipsnake._checkpoint")?.call_method0("after").map(drop)
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// Gives C and Python the environment that the process was started with, and what the dumped process had changed in its own. Python objects
/// are changed, but no Python code runs: CPython does not know yet that it was forked.
pub fn take_over_environment(py: Python<'_>, handover: &Handover, changes: &[(OsString, Option<OsString>)]) -> Started {
    // SAFETY: one thread; the restorer's list lives as long as the process. The C library copies it before it changes it.
    unsafe {
        environ = handover.environment as *const *const c_char;
    }
    let environment = Environment::read();
    let concurrency = Concurrency::asked_for(&environment);
    environment.complete();
    environment.withhold();
    for (name, value) in changes {
        // SAFETY: one thread.
        unsafe {
            match value {
                Some(value) => env::set_var(name, value),
                None => env::remove_var(name),
            }
        }
    }
    if let Err(error) = replace_environment_of_python(py) {
        error.print(py);
    }
    let mapping = Duration::from_nanos(handover.mapped.saturating_sub(handover.began));
    Started { environment, concurrency, mapping }
}

/// The dictionary that `os.environ` is a view of.
fn replace_environment_of_python(py: Python<'_>) -> PyResult<()> {
    let variables = py.import("posix")?.getattr("environ")?.cast_into::<PyDict>()?;
    variables.clear();
    for (name, value) in env::vars_os() {
        variables.set_item(PyBytes::new(py, name.as_bytes()), PyBytes::new(py, value.as_bytes()))?;
    }
    Ok(())
}

//! The first steps of a process that was restored: it gets the environment that it was started with.

use crate::concurrency::{Concurrency, InvalidVariable};
use crate::init::Prepared;
use crate::start::environment::Environment;
use crate::start::proofs::OneThread;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::env;
use std::ffi::{OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;
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
    pub concurrency: Result<Option<Concurrency>, InvalidVariable>,
    /// How long the restorer took, until the memory was complete.
    pub mapping: Duration,
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
    // SAFETY: a restored process has the thread that called fork, and no other yet.
    let one_thread = unsafe { OneThread::assume() };
    environment.complete(&one_thread);
    environment.withhold(&one_thread);
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

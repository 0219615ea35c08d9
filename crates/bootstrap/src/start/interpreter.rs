//! Starts and ends CPython.

use crate::build_info::BUILD;
use crate::start::command_line::Role;
use crate::start::config::{CStrings, Config, StartError, preconfigure};
use crate::start::environment::Environment;
use crate::start::frozen_modules;
use crate::start::huge_pages;
use crate::start::proofs::BeforePython;
use crate::start::site;
use pyo3::ffi;
use pyo3::prelude::*;
use std::env;
use std::ffi::{CString, c_int};
use std::os::unix::ffi::OsStringExt;

/// Runs `python3` as a whole, with this process's arguments. Returns its exit code.
pub fn run_as_python(before: BeforePython) -> Result<c_int, StartError> {
    let arguments = CStrings::new(env::args_os());
    let mut config = Config::new();
    // CPython finds its library from here, as if it had been started under this name.
    let named = env::var_os("WHIPSNAKE_PYTHON").and_then(|named| CString::new(named.into_vec()).ok());
    let executable = named.as_deref().unwrap_or(BUILD.executable);
    config.set_string("program_name", |config| &raw mut config.program_name, executable)?;
    if let (Some(home), None) = (BUILD.home, env::var_os("PYTHONHOME")) {
        config.set_string("home", |config| &raw mut config.home, home)?;
    }
    config.set_arguments(&arguments)?;
    config.start(false, before)?;
    // SAFETY: CPython has just been started with the arguments that it is to run, and nothing uses it afterwards.
    Ok(unsafe { ffi::Py_RunMain() })
}

/// A running CPython. This thread is its main thread.
pub struct Interpreter(());

impl Interpreter {
    /// Starts CPython as the managed runtime's `python3 /var/runtime/bootstrap.py` would be started, but from what the build knows of its
    /// Python. `PATH` does not matter.
    pub fn start(environment: &Environment, role: &Role, before: BeforePython) -> Result<Self, StartError> {
        let options = match role {
            Role::WrappedRuntime(arguments) => Some(CStrings::new(arguments.iter().cloned())),
            Role::Runtime | Role::RuntimeOf(_) | Role::Python => None,
        };
        preconfigure(environment, options.as_ref())?;
        let mut config = Config::new();
        config.fill(environment, options.as_ref())?;
        huge_pages::provide(&before);
        let spares_site = options.is_none() && site::is_spared(environment);
        let before_imports = config.start(spares_site, before)?;
        tracing::debug!(python = BUILD.version, "CPython runs");
        let interpreter = Self(());
        // pyo3 makes this type when it takes its first exception. If that is a RecursionError, making the type fails with another one,
        // and pyo3 waits for itself forever.
        interpreter.run(|py| drop(py.get_type::<pyo3::panic::PanicException>()));
        if spares_site {
            frozen_modules::forget_site(&before_imports);
            let completed = interpreter.run(|py| site::complete(py, &before_imports));
            completed.map_err(|error| StartError { doing: "site", reason: error.to_string() })?;
        }
        Ok(interpreter)
    }

    /// Runs `body` attached to Python, on the main thread.
    pub fn run<T>(&self, body: impl FnOnce(Python<'_>) -> T) -> T {
        Python::attach(body)
    }

    /// Ends CPython: runs `atexit` functions, joins threads and flushes streams. Returns false if something could not be flushed.
    pub fn finish(self) -> bool {
        // SAFETY: on the main thread, which started the interpreter, and nothing of Python's is borrowed.
        unsafe { ffi::Py_FinalizeEx() == 0 }
    }
}

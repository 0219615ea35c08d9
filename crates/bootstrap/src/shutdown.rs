//! How the process ends, and with which exit code.

use crate::imported_modules::imported;
use crate::report::notices::notice;
use crate::report::stdio;
use crate::start::gc;
use crate::start::interpreter::Interpreter;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{ffi, intern};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;
use std::convert::Infallible;
use std::fmt;
use std::process::exit;
use std::time::Duration;
use whipsnake_runtime_api::Error;

/// How long a process may take to end if the function has no handler for SIGTERM: for the response that is being sent, `atexit` functions
/// and threads together. Lambda gives extensions the same time.
pub const LIMIT: Duration = Duration::from_secs(2);

/// Python's own exit code for "could not flush standard output".
const FLUSH_FAILED: i32 = 120;

/// Makes a panic write one line and exit with code 1. A panic is a bug in whipsnake, or the function has closed something that we need, such as
/// our descriptors.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", base_name(place.file()), place.line()));
        let reason = panic.payload();
        let what = reason.downcast_ref::<String>().map(String::as_str).or_else(|| reason.downcast_ref().copied());
        notice(format_args!("cannot go on: {} ({})", what.unwrap_or("no reason is known"), place.unwrap_or_default()));
        // SAFETY: ends the process and runs no exit functions, which might find anything.
        unsafe { libc::_exit(1) }
    }));
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Why the process is to end.
pub enum ExitReason {
    /// The init phase failed, and that was reported: exit code 1.
    InitFailed,
    /// A hook before a snapshot failed, and that was reported: exit code 64.
    SnapshotFailed,
    /// A hook after a restore failed, and that was reported: exit code 65.
    RestoreFailed,
    /// An exception that is no `Exception`, or one in a signal handler: ends the process as it would end Python.
    Raised(PyErr),
    /// SIGTERM without a handler of the function's: exit handlers run, and the wait status is the signal's.
    Terminated,
    /// Lambda cannot be reached, or refused a request: exit code 1.
    Lambda(Error),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InitFailed => f.write_str("the init phase failed"),
            Self::SnapshotFailed => f.write_str("the process is not ready for a snapshot"),
            Self::RestoreFailed => f.write_str("the process is not ready after its restore"),
            Self::Raised(error) => error.fmt(f),
            Self::Terminated => f.write_str("the process is to end"),
            Self::Lambda(error) => error.fmt(f),
        }
    }
}

impl From<PyErr> for ExitReason {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Error> for ExitReason {
    fn from(error: Error) -> Self {
        Self::Lambda(error)
    }
}

impl ExitReason {
    /// Ends the process. `atexit` functions run and threads are joined, as at the end of any Python program. On SIGTERM that may take as
    /// long as [`LIMIT`].
    pub fn exit(self, interpreter: Interpreter) -> Result<Infallible, Box<dyn std::error::Error>> {
        interpreter.run(gc::unfreeze);
        match self {
            Self::InitFailed => finish(interpreter, 1),
            Self::SnapshotFailed => finish(interpreter, 64),
            Self::RestoreFailed => finish(interpreter, 65),
            Self::Terminated => {
                interpreter.run(wind_up);
                die_of(SIGTERM)
            }
            Self::Raised(error) => {
                let interrupted = interpreter.run(|py| {
                    let interrupted = error.is_instance_of::<PyKeyboardInterrupt>(py);
                    error.restore(py);
                    // SAFETY: attached, with an exception set. For SystemExit this call ends the process, with the exception's exit code.
                    unsafe { ffi::PyErr_PrintEx(0) };
                    interrupted
                });
                if interrupted {
                    interpreter.finish();
                    die_of(SIGINT)
                }
                finish(interpreter, 1)
            }
            Self::Lambda(error) => {
                interpreter.finish();
                Err(error.into())
            }
        }
    }
}

/// Does what a function may expect at CPython's end: joins threads, runs `atexit` functions and flushes the streams. The interpreter is not
/// finalized. That takes seconds if a function has many modules, has no limit, and aborts if a daemon thread prints all the time.
fn wind_up(py: Python<'_>) {
    let call = |module: &Bound<'_, PyString>, function: &Bound<'_, PyString>| {
        let outcome =
            imported(py, module).and_then(|module| module.map(|module| module.call_method0(function)).transpose());
        if let Err(error) = outcome {
            error.write_unraisable(py, None);
        }
    };
    call(intern!(py, "threading"), intern!(py, "_shutdown"));
    call(intern!(py, "atexit"), intern!(py, "_run_exitfuncs"));
    stdio::flush_at_end(py);
}

fn finish(interpreter: Interpreter, code: i32) -> ! {
    let flushed = interpreter.finish();
    exit(if flushed || code != 0 { code } else { FLUSH_FAILED })
}

/// Ends this process as an unhandled `signal` would.
pub fn die_of(signal: i32) -> ! {
    // The kernel protects process 1 of a container from signals without a handler, also from its own.
    if std::process::id() == 1 {
        exit(128 + signal);
    }
    let _ = emulate_default_handler(signal);
    // Only a signal whose default does not end the process returns here.
    exit(128 + signal)
}

//! How the process ends, and with which exit code.

use crate::modules::imported;
use crate::report::notices::notice;
use crate::report::stdio;
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

/// How long a process that was asked to end may take for all of it, where the function has no handler of its own: a response that has been
/// sent and not acknowledged, `atexit` functions, threads. Lambda gives extensions as much.
pub const LIMIT: Duration = Duration::from_secs(2);

/// Python's own exit code for "could not flush standard output".
const FLUSH_FAILED: i32 = 120;

/// A panic is a defect of ours, or the function has taken away what we stand on, such as our descriptors: one line, and exit code 1.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", base_name(place.file()), place.line()));
        let reason = panic.payload();
        let what = reason.downcast_ref::<String>().map(String::as_str).or_else(|| reason.downcast_ref().copied());
        notice(format_args!("cannot go on: {} ({})", what.unwrap_or("no reason is known"), place.unwrap_or_default()));
        // SAFETY: ends the process; who knows what its exit functions would find.
        unsafe { libc::_exit(1) }
    }));
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What ended the loop.
pub enum ExitReason {
    /// The init phase failed and Lambda knows: exit code 1.
    InitFailed,
    /// What there was to do before a snapshot failed, and Lambda knows: exit code 64.
    SnapshotFailed,
    /// What there was to do after a restore failed, and Lambda knows: exit code 65.
    RestoreFailed,
    /// An exception that is no `Exception`, or one in a signal handler: as Python ends with it.
    Raised(PyErr),
    /// SIGTERM without a handler of the function's: an orderly end, and the signal's own wait status.
    Terminated,
    /// Lambda cannot be talked to: exit code 1.
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
    /// Ends the process. atexit functions run and threads are joined, as at the end of any Python program; on SIGTERM, for as long as
    /// [`LIMIT`] allows.
    pub fn exit(self, interpreter: Interpreter) -> Result<Infallible, Box<dyn std::error::Error>> {
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
                    // SAFETY: attached, with an exception set. On SystemExit this call itself ends the process, with the
                    // code the exception carries.
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

/// What CPython does at its end that a function can have asked for: threads are joined, `atexit` functions run and the streams are flushed.
/// The interpreter itself stays as it is. To take it apart needs seconds where a function has many modules, waits for no limit, and
/// aborts where a daemon thread prints all the time.
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

/// Ends this process as an unhandled `signal` would have.
pub fn die_of(signal: i32) -> ! {
    // The kernel protects process 1 of a container from signals that it has no handler for, also from its own.
    if std::process::id() == 1 {
        exit(128 + signal);
    }
    let _ = emulate_default_handler(signal);
    // Only a signal whose default is not to end the process comes back.
    exit(128 + signal)
}

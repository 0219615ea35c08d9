//! Exceptions that other threads inject (`PyThreadState_SetAsyncExc`). Tools that limit the time of a call do that.
//!
//! An exception that is injected when its invocation has just ended stays with the thread until the thread runs Python code again. That
//! would be in the next invocation.

use crate::report::notices::notice;
use crate::report::traceback;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Drops an exception that has been injected into this thread, and writes a line to the log. Call this between invocations. Returns the
/// exception of a signal handler that ran meanwhile.
pub fn drop_late(py: Python<'_>) -> PyResult<()> {
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let find = || Ok::<_, PyErr>(py.import("whipsnake")?.getattr("_nothing")?.unbind());
    let Ok(nothing) = NOTHING.get_or_try_init(py, find) else { return Ok(()) };
    // CPython raises injected exceptions where a Python function begins.
    let Err(error) = nothing.call0(py) else { return Ok(()) };
    let raised_below =
        error.traceback(py).is_some_and(|stack| stack.getattr("tb_next").is_ok_and(|next| !next.is_none()));
    if raised_below || error.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Err(error);
    }
    let name = error.get_type(py).name().map_or_else(|_| String::from("an exception"), |name| traceback::text(&name));
    notice(format_args!("dropped {name}, which was raised in this thread when its invocation had ended already"));
    Ok(())
}

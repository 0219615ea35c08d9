//! CPython's own recursion limit, applied to nesting that a caller controls.

use pyo3::exceptions::PyRecursionError;
use pyo3::{PyErr, PyResult, Python, ffi};
use std::ffi::CStr;

/// Runs `nested` one level deeper, or raises `RecursionError` where Python would.
///
/// # Errors
/// The `RecursionError`, or whatever `nested` returns.
pub(crate) fn deeper<T, E: From<PyErr>>(
    py: Python<'_>,
    doing: &CStr,
    nested: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    enter(py, doing)?;
    let result = nested();
    // SAFETY: attached to the interpreter, and `enter` succeeded just above.
    unsafe { ffi::Py_LeaveRecursiveCall() };
    result
}

fn enter(py: Python<'_>, doing: &CStr) -> PyResult<()> {
    // SAFETY: attached to the interpreter; the text is NUL-terminated and only read.
    if unsafe { ffi::Py_EnterRecursiveCall(doing.as_ptr()) } == 0 {
        return Ok(());
    }
    Err(PyErr::take(py).unwrap_or_else(|| PyRecursionError::new_err("maximum recursion depth exceeded")))
}

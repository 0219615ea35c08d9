//! The environment variables that the function sees, once CPython runs.

use crate::interpreter::imported;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};

/// Sets or removes a variable, for the function and its child processes.
///
/// Through `os.environ`: Python's copy of the environment would not notice a change made below it. Where the function has not
/// imported `os`, through what that will be made from: the import would be the larger part of a small function's start.
pub fn set(py: Python<'_>, name: &Bound<'_, PyString>, value: Option<&str>) -> PyResult<()> {
    if let Some(os) = imported(py, intern!(py, "os"))? {
        let environ = os.getattr(intern!(py, "environ"))?;
        return match value {
            Some(value) => environ.set_item(name, value),
            None if environ.contains(name)? => environ.del_item(name),
            None => Ok(()),
        };
    }
    static POSIX: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let posix = POSIX.get_or_try_init(py, || py.import("posix").map(Bound::unbind))?.bind(py);
    let environ = posix.getattr(intern!(py, "environ"))?.cast_into::<PyDict>()?;
    let name = PyBytes::new(py, name.to_str()?.as_bytes());
    match value {
        Some(value) => {
            posix.call_method1(intern!(py, "putenv"), (&name, value))?;
            environ.set_item(name, PyBytes::new(py, value.as_bytes()))
        }
        None if environ.contains(&name)? => {
            posix.call_method1(intern!(py, "unsetenv"), (&name,))?;
            environ.del_item(name)
        }
        None => Ok(()),
    }
}

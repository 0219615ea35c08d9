//! `sys`, and modules that something has imported already.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// The module `sys`. The result is kept: an import would search for the module at each of several uses per invocation.
pub fn sys(py: Python<'_>) -> &Bound<'_, PyModule> {
    static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let sys = SYS.get_or_init(py, || py.import("sys").expect("every interpreter has sys").unbind());
    sys.bind(py)
}

/// A module that something has imported already. Looks into the interpreter's own dictionary, because a function may have changed or
/// removed `sys.modules`.
pub fn imported<'py>(py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: attached; CPython has the dictionary as long as it runs.
    let modules = unsafe { Borrowed::from_ptr(py, ffi::PyImport_GetModuleDict()) };
    modules.cast::<PyDict>()?.get_item(name)
}

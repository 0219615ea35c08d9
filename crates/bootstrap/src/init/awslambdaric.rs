//! The names of `awslambdaric` (python/src/awslambdaric) in the init phase. Third-party tools look for them and replace them.

use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

/// Makes `__main__.awslambdaricmain` available, by the module's `__getattr__`.
pub fn provide_main(py: Python<'_>) -> PyResult<()> {
    // A native function: a Python function would show up in the traceback of an AttributeError.
    let attribute =
        PyCFunction::new_closure(py, Some(c"__getattr__"), None, |arguments, _| attribute_of_main(arguments))?;
    py.import("__main__")?.setattr("__getattr__", attribute)
}

/// On the managed runtime `__main__` has imported the module that runs the loop.
fn attribute_of_main(arguments: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let name: String = arguments.get_item(0)?.extract()?;
    if name != "awslambdaricmain" {
        return Err(PyAttributeError::new_err(format!("module '__main__' has no attribute '{name}'")));
    }
    Ok(arguments.py().import("awslambdaric.__main__")?.into_any().unbind())
}

/// Whether the function has imported the names, and may have replaced some.
pub fn is_imported(modules: &Bound<'_, PyDict>) -> bool {
    // Every module with a replaceable name imports this one.
    modules.contains(intern!(modules.py(), "awslambdaric.lambda_runtime_marshaller")).unwrap_or(false)
}

/// Finds the handler by `_get_handler`, if that has been replaced.
pub fn get_handler<'py>(py: Python<'py>, handler: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let bootstrap = bootstrap(py)?;
    if !bootstrap.call_method1("_is_replaced", ("_get_handler",))?.is_truthy()? {
        return Ok(None);
    }
    bootstrap.call_method1("_get_handler", (handler,)).map(Some)
}

/// The module whose functions tools replace.
pub fn bootstrap(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "awslambdaric.bootstrap"))
}

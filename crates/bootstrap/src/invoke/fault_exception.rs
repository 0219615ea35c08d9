//! Failures as Python exceptions, for code that calls the names of `awslambdaric`.

use crate::report::traceback::Failure;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use whipsnake_runtime_api::Fault;

/// A failure as a Python exception: the function's own exception if there is one, else a `FaultException`.
pub fn raised(py: Python<'_>, failure: Failure) -> PyErr {
    match failure {
        Failure::Raised(error) => error,
        Failure::Fault(fault, exception) => match exception.map(|exception| exception.into_bound(py).into_any()) {
            Some(exception) if fault.frames.is_some() && exception.is_instance_of::<PyException>() => {
                PyErr::from_value(exception)
            }
            cause => fault_exception(py, &fault, cause.map(PyErr::from_value)),
        },
    }
}

fn fault_exception(py: Python<'_>, fault: &Fault, cause: Option<PyErr>) -> PyErr {
    let class = py.import("awslambdaric.lambda_runtime_exception").and_then(|module| module.getattr("FaultException"));
    // As many arguments as the original's, because `args` shows them.
    let has_trace = !matches!(
        fault.error_type.as_str(),
        "Runtime.MalformedHandlerName" | "Runtime.BuiltInModuleConflict" | "Runtime.ImportModuleError"
    );
    let trace = (!fault.stack_trace.is_empty()).then_some(&fault.stack_trace);
    let made = class.and_then(|class| {
        if has_trace || trace.is_some() {
            class.call1((&fault.error_type, &fault.message, trace))
        } else {
            class.call1((&fault.error_type, &fault.message))
        }
    });
    match made {
        Ok(exception) => {
            let error = PyErr::from_value(exception);
            error.set_cause(py, cause);
            error
        }
        Err(error) => error,
    }
}

//! The context object, and the invocation's traces in the process.

use crate::logging::Log;
use crate::traceback::{self, Failure};
use pyo3::intern;
use pyo3::prelude::*;
use whipsnake_runtime_api::Invocation;

/// Makes context objects. They are Python (python/src/awslambdaric/lambda_context.py): functions set attributes on them, print
/// them and compare their type.
pub struct Contexts {
    create: Py<PyAny>,
    os: Py<PyModule>,
}

impl Contexts {
    /// Loads the class, and gives it the log for `context.log`.
    pub fn new(log: &Bound<'_, Log>) -> PyResult<Self> {
        let py = log.py();
        let module = py.import("awslambdaric.lambda_context")?;
        module.setattr("_log_sink", log)?;
        Ok(Self { create: module.getattr("create_lambda_context")?.unbind(), os: py.import("os")?.unbind() })
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { create: self.create.clone_ref(py), os: self.os.clone_ref(py) }
    }

    /// The context of one invocation.
    pub fn create<'py>(&self, py: Python<'py>, invocation: &Invocation) -> Result<Bound<'py, PyAny>, Failure> {
        let arguments = (
            &invocation.client_context,
            &invocation.identity,
            invocation.deadline.unwrap_or(0),
            &invocation.ticket.request_id,
            invocation.function_arn.as_deref().unwrap_or(""),
            &invocation.tenant_id,
        );
        self.create.bind(py).call1(arguments).map_err(|error| traceback::failure(py, error))
    }

    /// Puts the trace id where X-Ray, botocore and child processes look for it. Through `os.environ`: Python's copy of the
    /// environment would not notice a change made below it.
    pub fn trace(&self, py: Python<'_>, trace_id: Option<&str>) {
        let name = intern!(py, "_X_AMZN_TRACE_ID");
        let set = self.os.bind(py).getattr(intern!(py, "environ")).and_then(|environ| match trace_id {
            Some(id) => environ.set_item(name, id),
            None if environ.contains(name)? => environ.del_item(name),
            None => Ok(()),
        });
        if let Err(error) = set {
            eprintln!("whipsnake: could not set _X_AMZN_TRACE_ID, because os.environ refused it: {error}");
        }
    }
}

//! Context objects, and the trace id in the environment. `whipsnake-runtime-api` reads the deadline from its header; the Python class
//! `LambdaContext` computes the remaining time.

use crate::init::os_environ;
use crate::report::log::Log;
use crate::report::notices::notice;
use crate::report::traceback::{self, Failure};
use pyo3::intern;
use pyo3::prelude::*;
use whipsnake_runtime_api::Invocation;

/// Makes context objects. Their class is Python (python/src/awslambdaric/lambda_context.py), because functions set attributes on them,
/// print them and compare their type.
pub struct ContextFactory(Py<PyAny>);

impl ContextFactory {
    /// Loads the class, and gives it the log for `context.log`.
    pub fn new(log: &Bound<'_, Log>) -> PyResult<Self> {
        let py = log.py();
        let module = py.import("awslambdaric.lambda_context")?;
        module.setattr("_log_sink", log)?;
        Ok(Self(module.getattr("_create_lambda_context")?.unbind()))
    }

    /// The same factory, for another worker.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
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
        self.0.bind(py).call1(arguments).map_err(|error| traceback::failure(py, error))
    }
}

/// Sets `_X_AMZN_TRACE_ID`, which X-Ray, botocore and child processes read.
pub fn trace(py: Python<'_>, trace_id: Option<&str>) {
    if let Err(error) = os_environ::set(py, intern!(py, "_X_AMZN_TRACE_ID"), trace_id) {
        notice(format_args!("could not set _X_AMZN_TRACE_ID, because os.environ refused it: {error}"));
    }
}

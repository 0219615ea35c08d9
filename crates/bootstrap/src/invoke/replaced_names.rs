//! What the names of `awslambdaric` do (python/src/awslambdaric) during an invocation. Third-party tools look for these names and replace
//! them.
//!
//! If a function has not imported the names, an invocation costs one lookup in `sys.modules`. If it has, an invocation calls
//! `awslambdaric.bootstrap.handle_event_request` and the client's methods as they are at that time. The original ones end in the same code
//! that serves all other functions.

use crate::imported_modules::imported;
use crate::init::awslambdaric::bootstrap;
use crate::init::handler::Handler;
use crate::invoke::fault_exception::raised;
use crate::invoke::runtime_object::OpenStream;
use crate::invoke::worker::{HandlerResponse, Worker};
use crate::report::log::Log;
use crate::report::traceback::{self, Failure};
use crate::shutdown::ExitReason;
use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::ptr;
use whipsnake_runtime_api::{Fault, Invocation, Response, Ticket};

/// Whether something has replaced the sink of the log handler, which is possible without importing the names.
pub fn is_sink_replaced(py: Python<'_>) -> bool {
    let asked = imported(py, intern!(py, "whipsnake._logging"))
        .and_then(|logging| logging.map_or(Ok(false), |logging| logging.call_method0("is_sink_replaced")?.is_truthy()));
    asked.unwrap_or(false)
}

/// Waits for the next invocation. Calls the Python names if one that is involved has been replaced.
pub fn next(py: Python<'_>, worker: &Worker) -> Result<Invocation, ExitReason> {
    let bootstrap = bootstrap(py)?;
    if !bootstrap.call_method0(intern!(py, "_is_waiting_replaced"))?.is_truthy()? {
        return worker.next(py);
    }
    let read = || -> PyResult<Invocation> {
        let request = client(&bootstrap)?.call_method0("wait_next_invocation")?;
        let text = |name: &str| -> PyResult<Option<String>> { request.getattr(name)?.extract() };
        let body = request.getattr("event_body")?;
        let payload: Vec<u8> = match body.cast::<PyString>() {
            Ok(text) => text.to_str()?.into(),
            Err(_) => body.extract()?,
        };
        Ok(Invocation {
            ticket: Ticket {
                request_id: request.getattr("invoke_id")?.extract()?,
                invocation_id: text("invocation_id")?,
            },
            deadline: request.getattr("deadline_time_in_ms")?.extract()?,
            function_arn: text("invoked_function_arn")?,
            trace_id: text("x_amzn_trace_id")?,
            tenant_id: text("tenant_id")?,
            client_context: text("client_context")?,
            identity: text("cognito_identity")?,
            content_type: text("content_type")?,
            payload: payload.into(),
        })
    };
    read().map_err(|error| worker.exit_reason_of(error))
}

/// Tells the Python names that an invocation has come. Returns whether a replaced function has set the trace id.
pub fn begin(py: Python<'_>, invocation: &Invocation) -> PyResult<bool> {
    bootstrap(py)?.call_method1(intern!(py, "_begin"), (&invocation.trace_id,))?.is_truthy()
}

/// Takes a snapshot by way of the Python names. Returns false if none of them has been replaced.
pub fn take_snapshot(py: Python<'_>, worker: &Worker) -> Result<bool, ExitReason> {
    let bootstrap = bootstrap(py)?;
    if !bootstrap.call_method0("_is_snapshot_replaced")?.is_truthy()? {
        return Ok(false);
    }
    let arguments = (client(&bootstrap)?, sink(py, &worker.log)?);
    bootstrap.call_method1("on_init_complete", arguments).map_err(|error| worker.exit_reason_of(error))?;
    Ok(true)
}

/// Serves one invocation by way of the Python names.
pub fn serve(py: Python<'_>, handler: &Handler, invocation: &Invocation, log: &Py<Log>) -> PyResult<()> {
    let bootstrap = bootstrap(py)?;
    let content_type = if invocation.is_json() { Some(Response::JSON) } else { invocation.content_type.as_deref() };
    let arguments = (
        client(&bootstrap)?,
        bootstrap.call_method1(intern!(py, "_settled"), (handler.function(py),))?,
        &invocation.ticket.request_id,
        PyBytes::new(py, &invocation.payload),
        content_type,
        &invocation.client_context,
        &invocation.identity,
        invocation.function_arn.as_deref().unwrap_or(""),
        invocation.deadline.unwrap_or(0),
        &invocation.tenant_id,
        sink(py, log)?,
        &invocation.ticket.invocation_id,
    );
    bootstrap.call_method1(intern!(py, "handle_event_request"), arguments).map(drop)
}

/// Sends what a handler call came to by way of the client's methods.
pub fn deliver<'py>(
    py: Python<'py>,
    worker: &Worker,
    ticket: &Ticket,
    outcome: Result<HandlerResponse, Failure>,
) -> PyResult<()> {
    let bootstrap = bootstrap(py)?;
    let client = client(&bootstrap)?;
    let Ticket { request_id, invocation_id } = ticket;
    let result = |body: Bound<'py, PyAny>, content_type: &str| {
        client.call_method1("post_invocation_result", (request_id, body, content_type, invocation_id))
    };
    let posted = match outcome {
        Ok(HandlerResponse::Buffered(Response { body, content_type })) => match str::from_utf8(&body) {
            // A str if the managed runtime's marshaller returns a str.
            Ok(text) if content_type == Response::JSON => result(PyString::new(py, text).into_any(), &content_type),
            _ => result(PyBytes::new(py, &body).into_any(), &content_type),
        },
        Ok(HandlerResponse::Streamed(stream)) => {
            let content_type = stream.content_type.clone();
            result(Bound::new(py, OpenStream::new(stream))?.into_any(), &content_type)
        }
        Err(failure @ Failure::Fault(..))
            if bootstrap.call_method0(intern!(py, "_is_reporting_replaced"))?.is_truthy()? =>
        {
            let error = raised(py, failure).into_value(py);
            let log = sink(py, &worker.log)?;
            bootstrap.call_method1("_post_failure", (&client, error, request_id, log, invocation_id))
        }
        Err(Failure::Fault(fault, exception)) => {
            let (report, xray_cause) = worker.log_failure(py, &fault, exception.as_ref());
            client.call_method1("post_invocation_error", (request_id, report, xray_cause, invocation_id))
        }
        Err(Failure::Raised(error)) => Err(error),
    };
    posted.map(drop)
}

/// The sink of the log as a Python object.
fn sink<'py>(py: Python<'py>, log: &Py<Log>) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "whipsnake._logging"))?.call_method1(intern!(py, "sink_of"), (log,))
}

/// The client. Tools replace methods of its class.
fn client<'py>(bootstrap: &Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> {
    bootstrap.getattr(intern!(bootstrap.py(), "_client"))
}

/// Logs and reports a failed init phase by way of the Python names. Meanwhile the exception counts as being handled, because Sentry asks
/// `sys.exc_info()` for it.
pub fn fail_init(
    py: Python<'_>,
    worker: &Worker,
    fault: &Fault,
    exception: Option<&Py<PyBaseException>>,
) -> PyResult<()> {
    let bootstrap = bootstrap(py)?;
    let client = client(&bootstrap)?;
    let known = (&fault.message, &fault.error_type, &fault.stack_trace);
    if bootstrap.call_method0("_is_init_reporting_replaced")?.is_truthy()? {
        let failure = Failure::Fault(fault.clone(), exception.map(|exception| exception.clone_ref(py)));
        let error = raised(py, failure).into_value(py);
        let arguments = (client, error, known, sink(py, &worker.log)?);
        return while_handling(py, exception, || bootstrap.call_method1("_post_init_failure", arguments)).map(drop);
    }
    worker.log.get().fault(py, fault, exception);
    let report = bootstrap.call_method1("make_error", known)?;
    if let Some(exception) = exception {
        traceback::forget_import_system(exception.bind(py))?;
    }
    while_handling(py, exception, || client.call_method1("post_init_error", (report,))).map(drop)
}

/// Calls `body` while `exception` counts as being handled.
fn while_handling<T>(py: Python<'_>, exception: Option<&Py<PyBaseException>>, body: impl FnOnce() -> T) -> T {
    let handle = |exception: Option<Py<PyBaseException>>| {
        let value = exception.map_or(ptr::null_mut(), Py::into_ptr);
        // SAFETY: attached to Python. CPython takes over the reference; null ends the handling. Type and traceback are the exception's own
        // since CPython 3.11.
        unsafe { ffi::PyErr_SetExcInfo(ptr::null_mut(), value, ptr::null_mut()) };
    };
    handle(exception.map(|exception| exception.clone_ref(py)));
    let result = body();
    handle(None);
    result
}

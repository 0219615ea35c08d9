//! The runtime as Python code sees it: the object that `whipsnake.running()` returns.

use crate::init::handler::Handler;
use crate::invoke::chunks::Stream;
use crate::invoke::fault_exception::raised;
use crate::invoke::worker::Worker;
use crate::report::log::Log;
use crate::report::traceback::{self, Failure};
use crate::shutdown::ExitReason;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict};
use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use whipsnake_marshal as marshal;
use whipsnake_runtime_api::{Response, Ticket};

thread_local! {
    /// The worker of a thread that serves beside others.
    static OF_THIS_THREAD: Cell<Option<&'static Worker>> = const { Cell::new(None) };
}

/// Makes a worker the one that Python code reaches from this thread.
pub fn register_for_this_thread(worker: &'static Worker) {
    OF_THIS_THREAD.set(Some(worker));
}

/// Makes a worker the one that Python code reaches from every other thread of this process.
pub fn register(py: Python<'_>, worker: &'static Worker) -> PyResult<()> {
    let running = PyCFunction::new_closure(py, Some(c"running"), None, move |_, _| {
        Runtime(OF_THIS_THREAD.get().unwrap_or(worker))
    })?;
    py.import("whipsnake")?.setattr("running", running)
}

/// The runtime that serves the function in this process.
#[pyclass(frozen, module = "whipsnake")]
struct Runtime(&'static Worker);

#[pymethods]
impl Runtime {
    /// Parses an event. Raises `ValueError` and others with the managed runtime's texts.
    #[staticmethod]
    fn decode<'py>(py: Python<'py>, payload: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
        marshal::decode(py, payload.as_bytes())
    }

    /// Serializes a result. `default`, if given, converts an object that has no form in JSON.
    #[staticmethod]
    fn encode<'py>(value: &Bound<'py, PyAny>, default: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(value.py(), &marshal::encode(value, default)?))
    }

    /// Imports the function of a handler string. Raises `FaultException`, or the exception of the function's module.
    #[staticmethod]
    fn get_handler(py: Python<'_>, handler: &str) -> PyResult<Py<PyAny>> {
        let handler = Handler::find(py, handler).map_err(|failure| raised(py, failure))?;
        Ok(handler.function(py).clone().unbind())
    }

    /// Waits for the next invocation. Returns its payload, and its headers by name.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let worker = self.0;
        let invocation = raise(worker, worker.next(py))?;
        let headers = PyDict::new(py);
        let content_type = if invocation.is_json() { Some(Response::JSON) } else { invocation.content_type.as_deref() };
        for (name, value) in [
            ("Lambda-Runtime-Aws-Request-Id", Some(invocation.ticket.request_id.as_str())),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id.as_deref()),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.function_arn.as_deref()),
            ("Lambda-Runtime-Client-Context", invocation.client_context.as_deref()),
            ("Lambda-Runtime-Cognito-Identity", invocation.identity.as_deref()),
            ("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id.as_deref()),
            ("Lambda-Runtime-Invocation-Id", invocation.ticket.invocation_id.as_deref()),
            ("Content-Type", content_type),
        ] {
            headers.set_item(name, value)?;
        }
        headers.set_item("Lambda-Runtime-Deadline-Ms", invocation.deadline.unwrap_or(0))?;
        Ok((PyBytes::new(py, &invocation.payload), headers))
    }

    /// The log, which knows the current invocation.
    #[getter]
    fn log(&self, py: Python<'_>) -> PyResult<Py<Log>> {
        Ok(self.0.log.clone_ref(py))
    }

    /// Awaits a handler's result if it is awaitable. Raises what the awaitable raises.
    fn outcome_of<'py>(&self, py: Python<'py>, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.0.driver.event_loop.outcome_of(result).map_err(|failure| raised(py, failure))
    }

    /// Makes a stream of a handler's result, up to its first bytes. Returns None if the result is no stream.
    fn open_stream(&self, py: Python<'_>, outcome: &Bound<'_, PyAny>) -> PyResult<Option<OpenStream>> {
        let opened = Stream::open(outcome, &self.0.driver.event_loop).map_err(|failure| raised(py, failure))?;
        Ok(opened.map(OpenStream::new))
    }

    /// Logs an exception and returns what to report: the fault and its X-Ray cause, both as JSON.
    fn log_failure(&self, py: Python<'_>, error: Bound<'_, PyAny>) -> PyResult<(String, String)> {
        match traceback::failure(py, PyErr::from_value(error)) {
            Failure::Fault(fault, exception) => Ok(self.0.log_failure(py, &fault, exception.as_ref())),
            Failure::Raised(error) => Err(error),
        }
    }

    /// Sends the response to an invocation: bytes, or a stream.
    fn respond(
        &self,
        py: Python<'_>,
        request_id: String,
        body: &Bound<'_, PyAny>,
        content_type: String,
        invocation_id: Option<String>,
    ) -> PyResult<()> {
        let worker = self.0;
        let ticket = Ticket { request_id, invocation_id };
        let outcome = if let Ok(opened) = body.cast::<OpenStream>() {
            let mut stream = opened.get().take()?;
            stream.content_type = content_type;
            worker.stream(py, &ticket, stream)
        } else {
            let body: Vec<u8> = body.extract()?;
            worker.respond(py, &ticket, Response { body: body.into(), content_type: content_type.into() })
        };
        raise(worker, outcome)
    }

    /// Reports that an invocation failed.
    fn fail(
        &self,
        py: Python<'_>,
        request_id: String,
        report: Vec<u8>,
        xray_cause: &str,
        invocation_id: Option<String>,
    ) -> PyResult<()> {
        let worker = self.0;
        raise(worker, worker.fail(py, &Ticket { request_id, invocation_id }, report, xray_cause))
    }

    /// Reports that the init phase failed.
    fn fail_init(&self, py: Python<'_>, report: String, error_type: &str) -> PyResult<()> {
        let worker = self.0;
        raise(worker, worker.report_failed_init(py, report, error_type))
    }

    /// Waits until the process continues after a snapshot.
    fn restored(&self, py: Python<'_>) -> PyResult<()> {
        let worker = self.0;
        let waited = worker.driver.wait(py, worker.client.restored());
        raise(worker, waited.map_err(ExitReason::from).and_then(|restored| restored.map_err(ExitReason::from)))
    }

    /// Reports that the hooks after a restore failed.
    fn fail_restore(&self, py: Python<'_>, report: String) -> PyResult<()> {
        let worker = self.0;
        let reported = worker.driver.complete(py, worker.client.fail_restore(report.into()));
        raise(worker, reported.map_err(ExitReason::from).and_then(|reported| reported.map_err(ExitReason::from)))
    }
}

/// A stream on its way through the names: the marshaller returns it for an iterator, and the client's `post_invocation_result` takes it as
/// the result. Tools that inspect results find no text in it.
#[pyclass(frozen, module = "whipsnake")]
pub struct OpenStream {
    #[pyo3(get)]
    content_type: String,
    stream: Mutex<Option<Stream>>,
}

impl OpenStream {
    /// Wraps a stream.
    pub fn new(stream: Stream) -> Self {
        Self { content_type: stream.content_type.clone(), stream: Mutex::new(Some(stream)) }
    }

    fn take(&self) -> PyResult<Stream> {
        let taken = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| PyRuntimeError::new_err("this stream has been sent already"))
    }
}

/// The reason to end the process goes through Python as an exception, and the worker keeps the reason.
fn raise<T>(worker: &Worker, outcome: Result<T, ExitReason>) -> PyResult<T> {
    outcome.map_err(|exit_reason| match exit_reason {
        ExitReason::Raised(error) => error,
        other => {
            let error = PyRuntimeError::new_err(other.to_string());
            worker.keep(other);
            error
        }
    })
}

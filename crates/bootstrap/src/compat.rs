//! What the names of `awslambdaric` do (python/src/awslambdaric), which third-party tools look for and replace.
//!
//! A function that has not imported them pays one look into `sys.modules` an invocation. Where they are imported, an invocation goes
//! through `awslambdaric.bootstrap.handle_event_request` and the client's methods as they are at that time, replaced or not;
//! ours end here, in the same code that serves all other functions.

use crate::handler::Handler;
use crate::invoke::{Answer, Server};
use crate::logging::Log;
use crate::shutdown::Ending;
use crate::streaming::Stream;
use crate::traceback::{self, Failure};
use pyo3::exceptions::{PyAttributeError, PyBaseException, PyException, PyRuntimeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyString, PyTuple};
use std::cell::RefCell;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use whipsnake_marshal as marshal;
use whipsnake_runtime_api::{Fault, Invocation, Response, Ticket};

thread_local! {
    /// Of a thread that serves on its own, beside others.
    static OF_THIS_THREAD: RefCell<Option<Weak<Server>>> = const { RefCell::new(None) };
}

/// Makes a server the one that Python reaches from this thread.
pub fn serve_in_this_thread(server: &Arc<Server>) {
    OF_THIS_THREAD.set(Some(Arc::downgrade(server)));
}

/// Lets Python reach the server: `whipsnake.running()`, and `__main__.awslambdaricmain` by way of the module's `__getattr__`.
pub fn set_up(py: Python<'_>, server: &Arc<Server>) -> PyResult<()> {
    let server = Arc::downgrade(server);
    let running = PyCFunction::new_closure(py, Some(c"running"), None, move |_, _| {
        Runtime(OF_THIS_THREAD.with_borrow(|own| own.as_ref().map_or_else(|| Weak::clone(&server), Weak::clone)))
    })?;
    py.import("whipsnake")?.setattr("running", running)?;
    // Not a Python function: it would be in the stack of whoever asks for a name that is not there.
    let attribute =
        PyCFunction::new_closure(py, Some(c"__getattr__"), None, |arguments, _| attribute_of_main(arguments))?;
    py.import("__main__")?.setattr("__getattr__", attribute)
}

/// On the managed runtime `__main__` knows the module that runs the loop.
fn attribute_of_main(arguments: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let name: String = arguments.get_item(0)?.extract()?;
    if name != "awslambdaricmain" {
        return Err(PyAttributeError::new_err(format!("module '__main__' has no attribute '{name}'")));
    }
    Ok(arguments.py().import("awslambdaric.__main__")?.into_any().unbind())
}

/// Whether somebody has looked, and may have replaced something.
pub fn is_imported(modules: &Bound<'_, PyDict>) -> bool {
    modules.contains(intern!(modules.py(), "awslambdaric.lambda_runtime_client")).unwrap_or(false)
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
        log,
        &invocation.ticket.invocation_id,
    );
    bootstrap.call_method1(intern!(py, "handle_event_request"), arguments).map(drop)
}

/// Answers an invocation by way of the client's methods.
pub fn answer<'py>(py: Python<'py>, server: &Server, ticket: &Ticket, answer: Result<Answer, Failure>) -> PyResult<()> {
    let client = client(&bootstrap(py)?)?;
    let Ticket { request_id, invocation_id } = ticket;
    let result = |body: Bound<'py, PyAny>, content_type: &str| {
        client.call_method1("post_invocation_result", (request_id, body, content_type, invocation_id))
    };
    let posted = match answer {
        Ok(Answer::Buffered(Response { body, content_type })) => match str::from_utf8(&body) {
            // Text where the managed runtime's marshaller gives text.
            Ok(text) if content_type == Response::JSON => result(PyString::new(py, text).into_any(), &content_type),
            _ => result(PyBytes::new(py, &body).into_any(), &content_type),
        },
        Ok(Answer::Streamed(stream)) => {
            let content_type = stream.content_type.clone();
            result(Bound::new(py, OpenStream::new(stream))?.into_any(), &content_type)
        }
        Err(Failure::Fault(fault, exception)) => {
            let (report, xray_cause) = server.log_failure(py, &fault, exception.as_ref());
            client.call_method1("post_invocation_error", (request_id, report, xray_cause, invocation_id))
        }
        Err(Failure::Raised(error)) => Err(error),
    };
    posted.map(drop)
}

/// The module whose functions tools replace.
fn bootstrap(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "awslambdaric.bootstrap"))
}

/// The client whose methods tools replace, on its class.
fn client<'py>(bootstrap: &Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> {
    bootstrap.getattr(intern!(bootstrap.py(), "_client"))
}

/// Reports a failed init phase by way of the Python names. The exception counts as being handled meanwhile: Sentry asks
/// `sys.exc_info()` for it.
pub fn fail_init(py: Python<'_>, fault: &Fault, exception: Option<&Py<PyBaseException>>) -> PyResult<()> {
    let bootstrap = bootstrap(py)?;
    let nothing: Option<&str> = None;
    let report =
        bootstrap.call_method1("make_error", (&fault.message, &fault.error_type, &fault.stack_trace, nothing))?;
    if let Some(exception) = exception {
        traceback::forget_import_system(exception.bind(py))?;
    }
    while_handling(py, exception, || client(&bootstrap)?.call_method1("post_init_error", (report,))).map(drop)
}

/// Calls `body` with `exception` as the one that is being handled.
fn while_handling<T>(py: Python<'_>, exception: Option<&Py<PyBaseException>>, body: impl FnOnce() -> T) -> T {
    let handle = |exception: Option<Py<PyBaseException>>| {
        let value = exception.map_or(ptr::null_mut(), Py::into_ptr);
        // SAFETY: attached to Python. The reference goes over to CPython; null ends the handling. Type and traceback are
        // the exception's own since CPython 3.11.
        unsafe { ffi::PyErr_SetExcInfo(ptr::null_mut(), value, ptr::null_mut()) };
    };
    handle(exception.map(|exception| exception.clone_ref(py)));
    let result = body();
    handle(None);
    result
}

/// The runtime that serves the function in this process, as its Python side sees it.
#[pyclass(frozen, module = "whipsnake")]
struct Runtime(Weak<Server>);

#[pymethods]
impl Runtime {
    /// Parses an event. Raises `ValueError` and others with the managed runtime's texts.
    #[staticmethod]
    fn decode<'py>(py: Python<'py>, payload: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
        marshal::decode(py, payload.as_bytes())
    }

    /// Writes a result. `default`, where given, says what to write for an object that JSON has no form for.
    #[staticmethod]
    fn encode<'py>(value: &Bound<'py, PyAny>, default: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(value.py(), &marshal::encode(value, default)?))
    }

    /// The function that a handler string names. Raises `FaultException`, or what the function's module raised.
    #[staticmethod]
    fn get_handler(py: Python<'_>, handler: &str) -> PyResult<Py<PyAny>> {
        let handler = Handler::find(py, handler).map_err(|failure| raised(py, failure))?;
        Ok(handler.function(py).clone().unbind())
    }

    /// What a handler's result comes to: a coroutine is awaited. Raises what it raised.
    fn outcome_of<'py>(&self, py: Python<'py>, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.server()?.outcome_of(result).map_err(|failure| raised(py, failure))
    }

    /// The stream that a handler's outcome is, with its first bytes; None when it is none. Raises what it raised until then.
    fn open_stream(&self, py: Python<'_>, outcome: &Bound<'_, PyAny>) -> PyResult<Option<OpenStream>> {
        let opened = self.server()?.open_stream(outcome).map_err(|failure| raised(py, failure))?;
        Ok(opened.map(OpenStream::new))
    }

    /// Tells the log of an exception, and returns what to report: the fault and its X-Ray cause, both JSON texts.
    fn log_failure(&self, py: Python<'_>, error: Bound<'_, PyAny>) -> PyResult<(String, String)> {
        match traceback::failure(py, PyErr::from_value(error)) {
            Failure::Fault(fault, exception) => Ok(self.server()?.log_failure(py, &fault, exception.as_ref())),
            Failure::Raised(error) => Err(error),
        }
    }

    /// Answers an invocation, with bytes or with a stream that was opened.
    fn respond(
        &self,
        py: Python<'_>,
        request_id: String,
        body: &Bound<'_, PyAny>,
        content_type: String,
        invocation_id: Option<String>,
    ) -> PyResult<()> {
        let server = self.server()?;
        let ticket = Ticket { request_id, invocation_id };
        let outcome = if let Ok(opened) = body.cast::<OpenStream>() {
            let mut stream = opened.get().take()?;
            stream.content_type = content_type;
            server.stream(py, &ticket, stream)
        } else {
            let body: Vec<u8> = body.extract()?;
            server.respond(py, &ticket, Response { body: body.into(), content_type: content_type.into() })
        };
        raise(&server, outcome)
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
        let server = self.server()?;
        raise(&server, server.fail(py, &Ticket { request_id, invocation_id }, report, xray_cause))
    }

    /// Reports that the init phase failed.
    fn fail_init(&self, py: Python<'_>, report: String, error_type: &str) -> PyResult<()> {
        let server = self.server()?;
        raise(&server, server.report_failed_init(py, report, error_type))
    }
}

impl Runtime {
    fn server(&self) -> PyResult<Arc<Server>> {
        self.0
            .upgrade()
            .ok_or_else(|| PyRuntimeError::new_err("the runtime has ended: nothing can be answered any more"))
    }
}

/// A stream on its way through the names: what the marshaller makes of an iterator, and what the client's
/// `post_invocation_result` is given as the result. Tools that look at results find no text in it.
#[pyclass(frozen, module = "whipsnake")]
struct OpenStream {
    #[pyo3(get)]
    content_type: String,
    stream: Mutex<Option<Stream>>,
}

impl OpenStream {
    fn new(stream: Stream) -> Self {
        Self { content_type: stream.content_type.clone(), stream: Mutex::new(Some(stream)) }
    }

    fn take(&self) -> PyResult<Stream> {
        let taken = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| PyRuntimeError::new_err("this stream has been sent already"))
    }
}

/// What ends the process goes through Python as an exception, and the server keeps what it really is.
fn raise(server: &Server, outcome: Result<(), Ending>) -> PyResult<()> {
    outcome.map_err(|ending| match ending {
        Ending::Raised(error) => error,
        other => {
            let error = PyRuntimeError::new_err(other.to_string());
            server.keep(other);
            error
        }
    })
}

/// A failure as the exception that it was, where that is for the function to see; otherwise as a `FaultException`.
fn raised(py: Python<'_>, failure: Failure) -> PyErr {
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
    let trace = (!fault.stack_trace.is_empty()).then_some(&fault.stack_trace);
    match class.and_then(|class| class.call1((&fault.error_type, &fault.message, trace))) {
        Ok(exception) => {
            let error = PyErr::from_value(exception);
            error.set_cause(py, cause);
            error
        }
        Err(error) => error,
    }
}

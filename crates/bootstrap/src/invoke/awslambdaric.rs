//! What the names of `awslambdaric` do (python/src/awslambdaric), which third-party tools look for and replace.
//!
//! A function that has not imported them pays one look into `sys.modules` an invocation. Where they are imported, an invocation goes
//! through `awslambdaric.bootstrap.handle_event_request` and the client's methods as they are at that time, replaced or not;
//! ours end here, in the same code that serves all other functions.

use crate::init::handler::Handler;
use crate::invoke::streaming::Stream;
use crate::invoke::worker::{HandlerResponse, Worker};
use crate::modules::imported;
use crate::report::log::Log;
use crate::report::traceback::{self, Failure};
use crate::shutdown::ExitReason;
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
    static OF_THIS_THREAD: RefCell<Option<Weak<Worker>>> = const { RefCell::new(None) };
}

/// Makes a server the one that Python reaches from this thread.
pub fn serve_in_this_thread(worker: &Arc<Worker>) {
    OF_THIS_THREAD.set(Some(Arc::downgrade(worker)));
}

/// Lets Python reach the server as `whipsnake.running()`.
pub fn set_up(py: Python<'_>, worker: &Arc<Worker>) -> PyResult<()> {
    let worker = Arc::downgrade(worker);
    let running = PyCFunction::new_closure(py, Some(c"running"), None, move |_, _| {
        Runtime(OF_THIS_THREAD.with_borrow(|own| own.as_ref().map_or_else(|| Weak::clone(&worker), Weak::clone)))
    })?;
    py.import("whipsnake")?.setattr("running", running)
}

/// Lets the function find `__main__.awslambdaricmain`, by way of the module's `__getattr__`.
pub fn provide_main(py: Python<'_>) -> PyResult<()> {
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
    // All modules with something to replace import this one.
    modules.contains(intern!(modules.py(), "awslambdaric.lambda_runtime_marshaller")).unwrap_or(false)
}

/// Whether somebody has changed how the sink of the log handler writes, which can be done without importing anything.
pub fn is_sink_replaced(py: Python<'_>) -> bool {
    let asked = imported(py, intern!(py, "whipsnake._logging"))
        .and_then(|logging| logging.map_or(Ok(false), |logging| logging.call_method0("is_sink_replaced")?.is_truthy()));
    asked.unwrap_or(false)
}

/// Waits for the next invocation, by way of the Python names where one of those on that way has been replaced.
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

/// Tells the Python names that an invocation has come. Whether a function that somebody has put there has set the trace id.
pub fn begin(py: Python<'_>, invocation: &Invocation) -> PyResult<bool> {
    bootstrap(py)?.call_method1(intern!(py, "_begin"), (&invocation.trace_id,))?.is_truthy()
}

/// The handler by way of `_get_handler`, where somebody has replaced that.
pub fn get_handler<'py>(py: Python<'py>, handler: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let bootstrap = bootstrap(py)?;
    if !bootstrap.call_method1("_is_replaced", ("_get_handler",))?.is_truthy()? {
        return Ok(None);
    }
    bootstrap.call_method1("_get_handler", (handler,)).map(Some)
}

/// Does what there is to do around a snapshot by way of the Python names; false where nobody has replaced one of those.
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

/// Answers an invocation by way of the client's methods.
pub fn answer<'py>(
    py: Python<'py>,
    worker: &Worker,
    ticket: &Ticket,
    answer: Result<HandlerResponse, Failure>,
) -> PyResult<()> {
    let bootstrap = bootstrap(py)?;
    let client = client(&bootstrap)?;
    let Ticket { request_id, invocation_id } = ticket;
    let result = |body: Bound<'py, PyAny>, content_type: &str| {
        client.call_method1("post_invocation_result", (request_id, body, content_type, invocation_id))
    };
    let posted = match answer {
        Ok(HandlerResponse::Buffered(Response { body, content_type })) => match str::from_utf8(&body) {
            // Text where the managed runtime's marshaller gives text.
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

/// The module whose functions tools replace.
fn bootstrap(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "awslambdaric.bootstrap"))
}

/// The sink of the process's log, as Python has it.
fn sink<'py>(py: Python<'py>, log: &Py<Log>) -> PyResult<Bound<'py, PyAny>> {
    py.import(intern!(py, "whipsnake._logging"))?.call_method1(intern!(py, "sink_of"), (log,))
}

/// The client whose methods tools replace, on its class.
fn client<'py>(bootstrap: &Bound<'py, PyModule>) -> PyResult<Bound<'py, PyAny>> {
    bootstrap.getattr(intern!(bootstrap.py(), "_client"))
}

/// Logs and reports a failed init phase by way of the Python names. The exception counts as being handled meanwhile: Sentry asks
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
struct Runtime(Weak<Worker>);

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

    /// Waits for the next invocation: its payload, and its headers by their names.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let worker = self.worker()?;
        let invocation = raise(&worker, worker.next(py))?;
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

    /// Which invocation is the current one, and where the log goes.
    #[getter]
    fn log(&self, py: Python<'_>) -> PyResult<Py<Log>> {
        Ok(self.worker()?.log.clone_ref(py))
    }

    /// What a handler's result comes to: a coroutine is awaited. Raises what it raised.
    fn outcome_of<'py>(&self, py: Python<'py>, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.worker()?.outcome_of(result).map_err(|failure| raised(py, failure))
    }

    /// The stream that a handler's outcome is, with its first bytes; None when it is none. Raises what it raised until then.
    fn open_stream(&self, py: Python<'_>, outcome: &Bound<'_, PyAny>) -> PyResult<Option<OpenStream>> {
        let opened = self.worker()?.open_stream(outcome).map_err(|failure| raised(py, failure))?;
        Ok(opened.map(OpenStream::new))
    }

    /// Tells the log of an exception, and returns what to report: the fault and its X-Ray cause, both JSON texts.
    fn log_failure(&self, py: Python<'_>, error: Bound<'_, PyAny>) -> PyResult<(String, String)> {
        match traceback::failure(py, PyErr::from_value(error)) {
            Failure::Fault(fault, exception) => Ok(self.worker()?.log_failure(py, &fault, exception.as_ref())),
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
        let worker = self.worker()?;
        let ticket = Ticket { request_id, invocation_id };
        let outcome = if let Ok(opened) = body.cast::<OpenStream>() {
            let mut stream = opened.get().take()?;
            stream.content_type = content_type;
            worker.stream(py, &ticket, stream)
        } else {
            let body: Vec<u8> = body.extract()?;
            worker.respond(py, &ticket, Response { body: body.into(), content_type: content_type.into() })
        };
        raise(&worker, outcome)
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
        let worker = self.worker()?;
        raise(&worker, worker.fail(py, &Ticket { request_id, invocation_id }, report, xray_cause))
    }

    /// Reports that the init phase failed.
    fn fail_init(&self, py: Python<'_>, report: String, error_type: &str) -> PyResult<()> {
        let worker = self.worker()?;
        raise(&worker, worker.report_failed_init(py, report, error_type))
    }

    /// Waits until the process goes on behind a snapshot.
    fn restored(&self, py: Python<'_>) -> PyResult<()> {
        let worker = self.worker()?;
        let waited = worker.driver.wait(py, worker.client.restored());
        raise(&worker, waited.map_err(ExitReason::from).and_then(|restored| restored.map_err(ExitReason::from)))
    }

    /// Reports that the hooks after a restore failed.
    fn fail_restore(&self, py: Python<'_>, report: String) -> PyResult<()> {
        let worker = self.worker()?;
        let reported = worker.driver.complete(py, worker.client.fail_restore(report.into()));
        raise(&worker, reported.map_err(ExitReason::from).and_then(|reported| reported.map_err(ExitReason::from)))
    }
}

impl Runtime {
    fn worker(&self) -> PyResult<Arc<Worker>> {
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
    // With as many arguments as the original's own: `args` shows them.
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

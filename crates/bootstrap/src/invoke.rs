//! The invoke phase: the loop, and one invocation from `/next` to its answer.

use crate::caller::{self, Caller};
use crate::checkpoint;
use crate::compat;
use crate::concurrency::Place;
use crate::context::{self, Contexts};
use crate::environment::Environment;
use crate::handler::Handler;
use crate::init::{self, Prepared};
use crate::injected;
use crate::logging::Log;
use crate::notices::notice;
use crate::shutdown::Ending;
use crate::signals::{self, Interruption, Waiter};
use crate::snapshot;
use crate::standard_streams;
use crate::streaming::Stream;
use crate::traceback::{self, Failure};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use whipsnake_runtime_api::{Client, Error, Fault, Invocation, Response, Ticket};

/// Serves the function until something ends the process.
pub fn serve(py: Python<'_>, environment: &Environment, client: Client, start: Start) -> Ending {
    let started = Server::start(py, environment, client, start);
    let completed = started.and_then(|(server, handler)| {
        server.complete_restore(py, environment)?;
        Ok((server, handler))
    });
    let (server, handler) = match completed {
        Ok(started) => started,
        Err(ending) => return ending,
    };
    let handler = match server.ready_handler(py, handler.as_ref(), environment) {
        Ok(handler) => handler,
        Err(ending) => return ending,
    };
    if environment.graceful_shutdown.as_deref() == Some("1")
        && let Err(interruption) = server.ask_for_notice(py)
    {
        return interruption.into();
    }
    if environment.initialization_type.as_deref() == Some(snapshot::INITIALIZATION_TYPE)
        && let Err(ending) = snapshot::take(py, &server)
    {
        server.close(py);
        return ending;
    }
    server.serve(py, &handler)
}

/// How much of the init phase this process has behind it.
pub enum Start {
    /// Nothing: CPython has just started.
    Ordinary,
    /// What the checkpoint has that it was restored from.
    Restored(Prepared),
}

/// Serves invocations: what an invocation needs, and the ways to answer it.
pub struct Server {
    pub client: Client,
    pub waiter: Waiter,
    contexts: Contexts,
    pub log: Py<Log>,
    /// `sys.modules`.
    modules: Py<PyDict>,
    /// Among others that serve the same function; None where there is one invocation at a time.
    place: Option<Place>,
    /// What ends the process, while an exception carries it through Python.
    ending: Mutex<Option<Ending>>,
}

impl Server {
    /// Prepares the process for the function, or takes over what a checkpoint has of that. Returns the function as well, where it is
    /// imported already.
    pub fn start(
        py: Python<'_>,
        environment: &Environment,
        client: Client,
        start: Start,
    ) -> Result<(Arc<Self>, Option<Handler>), Ending> {
        let (prepared, is_restored) = match start {
            Start::Ordinary => (Prepared::new(py, environment), false),
            Start::Restored(prepared) => (Ok(prepared), true),
        };
        let mut handler = None;
        let prepare = || -> PyResult<Arc<Self>> {
            let Prepared { log, contexts, handler: imported } = prepared?;
            handler = imported;
            let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind();
            let server = Arc::new(Self {
                client,
                waiter: if is_restored { signals::keeping_own_action(|| Waiter::new(py))? } else { Waiter::new(py)? },
                contexts,
                log,
                modules,
                place: None,
                ending: Mutex::default(),
            });
            server.introduce(py)?;
            Ok(server.kept())
        };
        let server = prepare().map_err(|error| {
            notice("could not prepare the process for the function:");
            Ending::Raised(error)
        })?;
        Ok((server, handler))
    }

    /// Renews what the copies of a checkpoint must not share, if this process is one. A hook of the function's that raises fails the init
    /// phase.
    pub fn complete_restore(&self, py: Python<'_>, environment: &Environment) -> Result<(), Ending> {
        if checkpoint::origin().is_none() {
            return Ok(());
        }
        self.log.get().reopen(environment);
        checkpoint::complete(py).map_err(|error| match traceback::failure(py, error) {
            Failure::Fault(fault, exception) => self.fail_init(py, &fault, exception.as_ref()),
            Failure::Raised(error) => Ending::Raised(error),
        })
    }

    /// Never dropped: at its end, a process that the function has forked would take its parent's connection off the epoll that both have.
    fn kept(self: Arc<Self>) -> Arc<Self> {
        std::mem::forget(Arc::clone(&self));
        self
    }

    /// Makes this the server that the process's Python side knows.
    pub fn introduce(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        compat::set_up(py, self)
    }

    /// Another server of the same function.
    pub fn beside(&self, py: Python<'_>, place: Place, client: Client, waiter: Waiter) -> Arc<Self> {
        Arc::new(Self {
            client,
            waiter,
            contexts: self.contexts.clone_ref(py),
            log: self.log.clone_ref(py),
            modules: self.modules.clone_ref(py),
            place: Some(place),
            ending: Mutex::default(),
        })
        .kept()
    }

    /// Imports the function, or starts the web application that an imported one is. Where that fails, Lambda has been told.
    pub fn ready_handler(
        &self,
        py: Python<'_>,
        imported: Option<&Handler>,
        environment: &Environment,
    ) -> Result<Handler, Ending> {
        let ready = match imported {
            Some(handler) => init::start_application(py, handler, environment),
            None => init::import_handler(py, environment),
        };
        ready.map_err(|failure| match failure {
            Failure::Fault(fault, exception) => self.fail_init(py, &fault, exception.as_ref()),
            Failure::Raised(error) => Ending::Raised(error),
        })
    }

    /// Serves one invocation after the other until something ends the process.
    pub fn serve(self: &Arc<Self>, py: Python<'_>, handler: &Handler) -> Ending {
        let (server, handler) = (Arc::clone(self), handler.clone_ref(py));
        self.serve_by(py, move |py| server.serve_one(py, &handler))
    }

    /// Serves by `serve_one`, below the frames that a handler has behind its own, until something ends the process.
    pub fn serve_by(
        &self,
        py: Python<'_>,
        serve_one: impl Fn(Python<'_>) -> Result<(), Ending> + Send + Sync + 'static,
    ) -> Ending {
        let serve_one = Arc::new(serve_one);
        let ending = loop {
            let caller = Caller::of_handlers(self.modules.bind(py));
            let (serve_one, modules) = (Arc::clone(&serve_one), self.modules.clone_ref(py));
            // None: the handler has another caller from now on.
            let serve = move |py: Python<'_>| loop {
                if let Err(ending) = serve_one(py) {
                    return Some(ending);
                }
                if Caller::of_handlers(modules.bind(py)) != caller {
                    return None;
                }
            };
            if let Some(ending) = caller::call(py, caller, serve).unwrap_or_else(|error| Some(Ending::Raised(error))) {
                break ending;
            }
        };
        self.close(py);
        ending
    }

    /// Keeps what ends the process, until [`Self::ended_by`].
    pub fn keep(&self, ending: Ending) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(ending);
    }

    /// What an exception that came out of Python means: what was kept, or itself.
    pub fn ended_by(&self, error: PyErr) -> Ending {
        let kept = self.ending.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or(Ending::Raised(error))
    }

    /// Has Lambda give notice before it ends the process. A function that gets none can serve all the same.
    fn ask_for_notice(&self, py: Python<'_>) -> Result<(), Interruption> {
        if let Err(error) = self.waiter.complete(py, self.client.register_extension("whipsnake"))? {
            notice(format_args!("Lambda will end this process without a SIGTERM: {error}"));
        }
        Ok(())
    }

    /// `sys.modules`.
    pub fn modules<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.modules.bind(py)
    }

    /// Ends what async handlers have left going on.
    pub fn close(&self, py: Python<'_>) {
        // There it is the parent's.
        if signals::is_forked() {
            return;
        }
        if let Err(error) = self.waiter.event_loop.close(py) {
            notice("could not close the event loop:");
            error.print(py);
        }
    }

    /// Waits for the next invocation.
    pub fn next(&self, py: Python<'_>) -> Result<Invocation, Ending> {
        Ok(match &self.place {
            None => self.waiter.wait(py, self.client.next())??,
            Some(place) => self.waiter.wait(py, place.next(&self.client))??,
        })
    }

    pub fn serve_one(&self, py: Python<'_>, handler: &Handler) -> Result<(), Ending> {
        injected::drop_late(py)?;
        let mut invocation =
            if compat::is_imported(self.modules.bind(py)) { compat::next(py, self)? } else { self.next(py)? };
        injected::drop_late(py)?;
        self.begin(py, &invocation)?;
        if compat::is_imported(self.modules.bind(py)) {
            return compat::serve(py, handler, &invocation, &self.log).map_err(|error| self.ended_by(error));
        }
        let size = invocation.payload.len();
        let mut objects = Objects::default();
        let answer = self.invoke(py, handler, &mut invocation, &mut objects);
        // Again: a tool that the handler itself has set up has replaced the ways to answer just now.
        if compat::is_imported(self.modules.bind(py)) || (answer.is_err() && compat::is_sink_replaced(py)) {
            return compat::answer(py, self, &invocation.ticket, answer).map_err(|error| self.ended_by(error));
        }
        self.answer(py, &invocation.ticket, answer)?;
        drop(objects);
        give_back_memory(size);
        Ok(())
    }

    pub fn answer(&self, py: Python<'_>, ticket: &Ticket, answer: Result<Answer, Failure>) -> Result<(), Ending> {
        match answer {
            Ok(Answer::Buffered(response)) => self.respond(py, ticket, response),
            Ok(Answer::Streamed(stream)) => self.stream(py, ticket, stream),
            Err(Failure::Fault(fault, exception)) => {
                let (report, xray_cause) = self.log_failure(py, &fault, exception.as_ref());
                self.fail(py, ticket, report.into(), &xray_cause)
            }
            Err(Failure::Raised(error)) => Err(Ending::Raised(error)),
        }
    }

    /// Makes the invocation the current one, for the log and for tracing.
    fn begin(&self, py: Python<'_>, invocation: &Invocation) -> Result<(), Ending> {
        tracing::debug!(request_id = invocation.ticket.request_id, bytes = invocation.payload.len(), "invocation");
        if self.place.as_ref().is_some_and(|place| place.begin(py, invocation)) {
            return Ok(());
        }
        self.log.get().begin(invocation);
        if compat::is_imported(self.modules.bind(py)) && compat::begin(py, invocation)? {
            return Ok(());
        }
        context::trace(py, invocation.trace_id.as_deref());
        Ok(())
    }

    fn invoke<'py>(
        &self,
        py: Python<'py>,
        handler: &Handler,
        invocation: &mut Invocation,
        objects: &mut Objects<'py>,
    ) -> Result<Answer, Failure> {
        let context = objects.context.insert(self.contexts.create(py, invocation)?);
        let event = objects.event.insert(decode(py, invocation)?);
        // Its memory is for the answer.
        drop(mem::take(&mut invocation.payload));
        let result = handler.call(event, context).map_err(|error| traceback::failure(py, error))?;
        if is_data(&result) {
            return encode(objects.result.insert(result)).map(Answer::Buffered);
        }
        let result = objects.result.insert(self.outcome_of(result)?);
        match self.open_stream(result)? {
            Some(stream) => Ok(Answer::Streamed(stream)),
            None => encode(result).map(Answer::Buffered),
        }
    }

    /// What a handler's result comes to: a coroutine is awaited.
    pub fn outcome_of<'py>(&self, result: Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Failure> {
        self.waiter.event_loop.outcome_of(result)
    }

    /// The stream that a handler's outcome is, with its first bytes. None when it is none.
    pub fn open_stream(&self, outcome: &Bound<'_, PyAny>) -> Result<Option<Stream>, Failure> {
        Stream::open(outcome, &self.waiter.event_loop)
    }

    /// Answers an invocation, after everything that the function has printed.
    pub fn respond(&self, py: Python<'_>, ticket: &Ticket, response: Response) -> Result<(), Ending> {
        standard_streams::flush(py);
        self.settle(py, self.waiter.complete(py, self.client.respond(ticket, response))?)
    }

    /// Answers an invocation with what the function is still making. The next item is asked for when the one before is with the
    /// socket. What fails on the way goes out behind the body.
    pub fn stream(&self, py: Python<'_>, ticket: &Ticket, mut stream: Stream) -> Result<(), Ending> {
        standard_streams::flush(py);
        let mut response = self.client.stream(ticket, &stream.content_type)?;
        let failure = loop {
            match stream.next(py) {
                Ok(Some(chunk)) => match self.waiter.wait_if_needed(py, response.send(chunk.into())) {
                    Ok(Ok(())) => {}
                    Ok(Err(nobody_reads)) => {
                        drop(response);
                        self.settle(py, Err(nobody_reads))?;
                        stream.close(py);
                        return Ok(());
                    }
                    // The function's own signal handler raised, as it might have done in the handler.
                    Err(Interruption::Raised(error)) => break traceback::failure(py, error),
                    Err(ended) => return Err(ended.into()),
                },
                Ok(None) => {
                    standard_streams::flush(py);
                    return self.settle(py, self.waiter.complete(py, response.finish())?);
                }
                Err(failure) => break failure,
            }
        };
        match failure {
            Failure::Fault(fault, exception) => {
                self.log.get().fault(py, &fault, exception.as_ref());
                stream.close(py);
                standard_streams::flush(py);
                self.settle(py, self.waiter.complete(py, response.fail(&fault, &ticket.request_id))?)
            }
            Failure::Raised(error) => Err(Ending::Raised(error)),
        }
    }

    /// Reports that an invocation failed, after everything that the function has printed.
    pub fn fail(&self, py: Python<'_>, ticket: &Ticket, report: Vec<u8>, xray_cause: &str) -> Result<(), Ending> {
        standard_streams::flush(py);
        self.settle(py, self.waiter.complete(py, self.client.fail(ticket, report.into(), xray_cause))?)
    }

    /// Tells the log of a fault, and returns what to report: the fault and its X-Ray cause, both JSON texts.
    pub fn log_failure(
        &self,
        py: Python<'_>,
        fault: &Fault,
        exception: Option<&Py<PyBaseException>>,
    ) -> (String, String) {
        let log = self.log.get();
        log.fault(py, fault, exception);
        (fault.report(&log.request_id(py)).to_json(), fault.xray_cause(&working_directory()))
    }

    /// Lambda refused one answer: that is for the log, and the next invocation is served. Anything else ends the process.
    fn settle(&self, py: Python<'_>, posted: Result<(), Error>) -> Result<(), Ending> {
        if let Some(place) = &self.place {
            place.end();
        }
        match posted {
            Err(error) if self.place.is_some() || error.concerns_one_invocation() => {
                self.log.get().fault(py, &Fault::stated("Runtime.LambdaRuntimeClientError", error.to_string()), None);
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Tells of a failed init phase, after which Lambda expects the process to end.
    fn fail_init(&self, py: Python<'_>, fault: &Fault, exception: Option<&Py<PyBaseException>>) -> Ending {
        let reported = if compat::is_imported(self.modules.bind(py)) || compat::is_sink_replaced(py) {
            compat::fail_init(py, self, fault, exception).map_err(|error| self.ended_by(error))
        } else {
            self.log.get().fault(py, fault, exception);
            self.report_failed_init(py, fault.report("").to_json(), &fault.error_type)
        };
        reported.err().unwrap_or(Ending::InitFailed)
    }

    /// Tells the log of a failure outside invocations, and returns the report.
    pub fn told(&self, py: Python<'_>, fault: &Fault, exception: Option<&Py<PyBaseException>>) -> String {
        self.log.get().fault(py, fault, exception);
        fault.report("").to_json()
    }

    /// Reports a failed init phase.
    pub fn report_failed_init(&self, py: Python<'_>, report: String, error_type: &str) -> Result<(), Ending> {
        standard_streams::flush(py);
        match self.waiter.complete(py, self.client.fail_init(report.into(), error_type))? {
            // Another worker has told of it.
            Err(error) if self.place.is_some() && error.is_forbidden() => Ok(()),
            reported => Ok(reported?),
        }
    }
}

/// What an invocation was served with. As on the managed runtime it is there until the answer has been sent: to take a large event
/// apart needs time, and the caller does not wait for that.
#[derive(Default)]
struct Objects<'py> {
    context: Option<Bound<'py, PyAny>>,
    event: Option<Bound<'py, PyAny>>,
    result: Option<Bound<'py, PyAny>>,
}

/// Events of this size and more leave memory behind that is worth giving back, in bytes.
const LARGE: usize = 1024 * 1024;

/// Gives the memory of large events back to the system when a smaller one of `size` bytes has been answered: the C library would keep
/// twice the largest until the process ends. Not before, so that one large event after the other finds it in place.
fn give_back_memory(size: usize) {
    static IS_FREE: AtomicBool = AtomicBool::new(false);
    if size >= LARGE {
        IS_FREE.store(true, Ordering::Relaxed);
    } else if IS_FREE.swap(false, Ordering::Relaxed) {
        // SAFETY: looks at nothing but free memory.
        unsafe { libc::malloc_trim(0) };
    }
}

/// How an invocation is answered that did not fail.
pub enum Answer {
    Buffered(Response),
    Streamed(Stream),
}

/// Whether a result is what handlers mostly return. It is nothing to await and no stream, and need not be asked.
fn is_data(result: &Bound<'_, PyAny>) -> bool {
    result.is_exact_instance_of::<PyDict>()
        || result.is_exact_instance_of::<PyString>()
        || result.is_none()
        || result.is_exact_instance_of::<PyList>()
}

fn decode<'py>(py: Python<'py>, invocation: &Invocation) -> Result<Bound<'py, PyAny>, Failure> {
    if !invocation.is_json() {
        return Ok(PyBytes::new(py, &invocation.payload).into_any());
    }
    whipsnake_marshal::decode(py, &invocation.payload).map_err(|error| {
        traceback::stated(py, error, |reason| {
            Fault::stated("Runtime.UnmarshalError", format!("Unable to unmarshal input: {reason}"))
        })
    })
}

fn encode(result: &Bound<'_, PyAny>) -> Result<Response, Failure> {
    if let Ok(bytes) = result.cast::<PyBytes>() {
        return Ok(Response::raw(bytes.as_bytes().to_vec()));
    }
    whipsnake_marshal::encode(result, None).map(Response::json).map_err(|error| {
        traceback::stated(result.py(), error, |reason| {
            Fault::stated("Runtime.MarshalError", format!("Unable to marshal response: {reason}"))
        })
    })
}

/// For X-Ray; empty where the function has deleted it.
fn working_directory() -> String {
    std::env::current_dir().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default()
}

impl From<Interruption> for Ending {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Raised(error) => Self::Raised(error),
            Interruption::Terminated => Self::Terminated,
        }
    }
}

impl From<PyErr> for Ending {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Lambda(error)
    }
}

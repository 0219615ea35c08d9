//! What serves invocations: waits for the next one, and responds to it.

use crate::init::context::ContextFactory;
use crate::invoke::chunks::Stream;
use crate::invoke::driver::{Driver, Interruption};
use crate::invoke::forked_children;
use crate::invoke::slot::WorkerSlot;
use crate::report::log::Log;
use crate::report::notices::notice;
use crate::report::stdio;
use crate::report::traceback::{self, Failure};
use crate::shutdown::ExitReason;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Mutex, PoisonError};
use whipsnake_runtime_api::{Client, Error, Fault, Invocation, Response, Ticket};

/// What serves invocations. It lives as long as the process: at its end, a process that the function has forked would take its parent's
/// connection off the epoll instance that both share.
pub struct Worker {
    /// The connection to the Runtime API.
    pub client: Client,
    /// Waits for Lambda and for signals.
    pub driver: Driver,
    /// Makes context objects.
    pub contexts: ContextFactory,
    /// The function's log.
    pub log: Py<Log>,
    /// `sys.modules`.
    modules: Py<PyDict>,
    /// `None` if the process serves one invocation at a time.
    pub slot: Option<Box<dyn WorkerSlot>>,
    /// Why the process is to end, while an exception carries that through Python.
    exit_reason: Mutex<Option<ExitReason>>,
}

/// The response of a handler that did not fail.
pub enum HandlerResponse {
    Buffered(Response),
    Streamed(Stream),
}

impl Worker {
    /// The first worker of a process.
    pub fn first(
        py: Python<'_>,
        client: Client,
        driver: Driver,
        contexts: ContextFactory,
        log: Py<Log>,
    ) -> PyResult<&'static Self> {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind();
        Ok(Self { client, driver, contexts, log, modules, slot: None, exit_reason: Mutex::default() }.leak())
    }

    /// Another worker for the same function.
    pub fn beside(&self, py: Python<'_>, slot: Box<dyn WorkerSlot>, client: Client, driver: Driver) -> &'static Self {
        Self {
            client,
            driver,
            contexts: self.contexts.clone_ref(py),
            log: self.log.clone_ref(py),
            modules: self.modules.clone_ref(py),
            slot: Some(slot),
            exit_reason: Mutex::default(),
        }
        .leak()
    }

    fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// `sys.modules`.
    pub fn modules<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.modules.bind(py)
    }

    /// Waits for the next invocation.
    pub fn next(&self, py: Python<'_>) -> Result<Invocation, ExitReason> {
        Ok(match &self.slot {
            None => self.driver.wait(py, self.client.next())??,
            Some(slot) => self.driver.wait(py, slot.next(&self.client))??,
        })
    }

    /// Sends what a handler call came to: its response, or its failure.
    pub fn deliver(
        &self,
        py: Python<'_>,
        ticket: &Ticket,
        outcome: Result<HandlerResponse, Failure>,
    ) -> Result<(), ExitReason> {
        match outcome {
            Ok(HandlerResponse::Buffered(response)) => self.respond(py, ticket, response),
            Ok(HandlerResponse::Streamed(stream)) => self.stream(py, ticket, stream),
            Err(Failure::Fault(fault, exception)) => {
                let (report, xray_cause) = self.log_failure(py, &fault, exception.as_ref());
                self.fail(py, ticket, report.into(), &xray_cause)
            }
            Err(Failure::Raised(error)) => Err(ExitReason::Raised(error)),
        }
    }

    /// Sends a response, after everything that the function has printed.
    pub fn respond(&self, py: Python<'_>, ticket: &Ticket, response: Response) -> Result<(), ExitReason> {
        stdio::flush(py);
        self.settle(py, self.driver.complete(py, self.client.respond(ticket, response))?)
    }

    /// Sends a streamed response. The next item is requested when the socket has the one before. A failure on the way is reported behind the
    /// body.
    pub fn stream(&self, py: Python<'_>, ticket: &Ticket, mut stream: Stream) -> Result<(), ExitReason> {
        stdio::flush(py);
        let mut response = self.client.stream(ticket, &stream.content_type)?;
        let failure = loop {
            match stream.next(py) {
                Ok(Some(chunk)) => match self.driver.wait_if_needed(py, response.send(chunk.into())) {
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
                    stdio::flush(py);
                    return self.settle(py, self.driver.complete(py, response.finish())?);
                }
                Err(failure) => break failure,
            }
        };
        match failure {
            Failure::Fault(fault, exception) => {
                self.log.get().fault(py, &fault, exception.as_ref());
                stream.close(py);
                stdio::flush(py);
                self.settle(py, self.driver.complete(py, response.fail(&fault, &ticket.request_id))?)
            }
            Failure::Raised(error) => Err(ExitReason::Raised(error)),
        }
    }

    /// Reports that an invocation failed, after everything that the function has printed.
    pub fn fail(&self, py: Python<'_>, ticket: &Ticket, report: Vec<u8>, xray_cause: &str) -> Result<(), ExitReason> {
        stdio::flush(py);
        self.settle(py, self.driver.complete(py, self.client.fail(ticket, report.into(), xray_cause))?)
    }

    /// Logs a fault and returns what to report: the fault and its X-Ray cause, both as JSON.
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

    /// Ends the invocation. If Lambda refused this one response, logs that, and the next invocation is served. Any other error ends the process.
    fn settle(&self, py: Python<'_>, posted: Result<(), Error>) -> Result<(), ExitReason> {
        if let Some(slot) = &self.slot {
            slot.end();
        }
        match posted {
            Err(error) if self.slot.is_some() || error.concerns_one_invocation() => {
                self.log.get().fault(py, &Fault::new("Runtime.LambdaRuntimeClientError", error.to_string()), None);
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Logs a failure outside invocations and returns the report.
    pub fn log_init_fault(&self, py: Python<'_>, fault: &Fault, exception: Option<&Py<PyBaseException>>) -> String {
        self.log.get().fault(py, fault, exception);
        fault.report("").to_json()
    }

    /// Reports a failed init phase.
    pub fn report_failed_init(&self, py: Python<'_>, report: String, error_type: &str) -> Result<(), ExitReason> {
        stdio::flush(py);
        match self.driver.complete(py, self.client.fail_init(report.into(), error_type))? {
            // Another worker has reported it.
            Err(error) if self.slot.is_some() && error.is_forbidden() => Ok(()),
            reported => Ok(reported?),
        }
    }

    /// Keeps the reason why the process is to end until [`Self::exit_reason_of`].
    pub fn keep(&self, exit_reason: ExitReason) {
        *self.exit_reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit_reason);
    }

    /// The reason behind an exception that came out of Python: the one that was kept, or the exception itself.
    pub fn exit_reason_of(&self, error: PyErr) -> ExitReason {
        let kept = self.exit_reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or(ExitReason::Raised(error))
    }

    /// Cancels the tasks that async handlers have left, and closes their event loop.
    pub fn close(&self, py: Python<'_>) {
        // In a forked process the event loop is its parent's.
        if forked_children::is_forked() {
            return;
        }
        if let Err(error) = self.driver.event_loop.close(py) {
            notice("could not close the event loop:");
            error.print(py);
        }
    }
}

/// The working directory, for X-Ray. Empty if the function has deleted it.
fn working_directory() -> String {
    std::env::current_dir().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default()
}

//! The invoke phase: the loop, and one invocation from `/next` to its answer.

use crate::context::Contexts;
use crate::environment::Environment;
use crate::handler::Handler;
use crate::init;
use crate::logging::Log;
use crate::shutdown::Ending;
use crate::signals::{Interruption, Waiter};
use crate::standard_streams;
use crate::traceback::{self, Failure};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use whipsnake_runtime_api::{Client, Error, Fault, Invocation, Response};

/// Serves the function until something ends the process.
pub fn serve(py: Python<'_>, environment: &Environment, client: Client) -> Ending {
    let server = match Server::new(py, environment, client) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("whipsnake: could not prepare the process for the function:");
            return Ending::Raised(error);
        }
    };
    let handler = match init::import_handler(py, environment) {
        Ok(handler) => handler,
        Err(Failure::Fault(fault)) => return server.fail_init(py, &fault),
        Err(Failure::Raised(error)) => return Ending::Raised(error),
    };
    loop {
        if let Err(ending) = server.serve_one(py, &handler) {
            return ending;
        }
    }
}

struct Server {
    client: Client,
    waiter: Waiter,
    contexts: Contexts,
    log: Py<Log>,
}

impl Server {
    fn new(py: Python<'_>, environment: &Environment, client: Client) -> PyResult<Self> {
        let log = Bound::new(py, Log::open(environment))?;
        let contexts = init::prepare(environment, &log)?;
        Ok(Self { client, waiter: Waiter::new(py)?, contexts, log: log.unbind() })
    }

    fn serve_one(&self, py: Python<'_>, handler: &Handler) -> Result<(), Ending> {
        let invocation = self.waiter.wait(py, self.client.next())??;
        self.begin(py, &invocation);
        let answer = self.invoke(py, handler, &invocation);
        let posted = match answer {
            Ok(response) => {
                standard_streams::flush(py);
                self.waiter.complete(py, self.client.respond(&invocation.ticket, response))
            }
            Err(Failure::Fault(fault)) => {
                self.log.get().fault(py, &fault);
                standard_streams::flush(py);
                self.waiter.complete(py, self.client.fail(&invocation.ticket, &fault, &working_directory()))
            }
            Err(Failure::Raised(error)) => return Err(Ending::Raised(error)),
        };
        posted.or_else(|error| self.note_refusal(py, error))
    }

    /// Makes the invocation the current one, for the log and for tracing.
    fn begin(&self, py: Python<'_>, invocation: &Invocation) {
        tracing::debug!(request_id = invocation.ticket.request_id, bytes = invocation.payload.len(), "invocation");
        self.log.get().begin(invocation);
        self.contexts.trace(py, invocation.trace_id.as_deref());
    }

    fn invoke(&self, py: Python<'_>, handler: &Handler, invocation: &Invocation) -> Result<Response, Failure> {
        let context = self.contexts.create(py, invocation)?;
        let event = decode(py, invocation)?;
        let result = handler.call(event, context).map_err(|error| traceback::failure(py, error))?;
        encode(&result)
    }

    /// Lambda refused one answer: that is for the log, and the next invocation is served. Anything else ends the process.
    fn note_refusal(&self, py: Python<'_>, error: Error) -> Result<(), Ending> {
        if !error.concerns_one_invocation() {
            return Err(Ending::Lambda(error));
        }
        self.log.get().fault(py, &Fault::stated("Runtime.LambdaRuntimeClientError", error.to_string()));
        Ok(())
    }

    /// Reports a failed init phase, after which Lambda expects the process to end.
    fn fail_init(&self, py: Python<'_>, fault: &Fault) -> Ending {
        self.log.get().fault(py, fault);
        standard_streams::flush(py);
        match self.waiter.complete(py, self.client.fail_init(fault)) {
            Ok(()) => Ending::InitFailed,
            Err(error) => Ending::Lambda(error),
        }
    }
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
    whipsnake_marshal::encode(result).map(Response::json).map_err(|error| {
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

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Lambda(error)
    }
}

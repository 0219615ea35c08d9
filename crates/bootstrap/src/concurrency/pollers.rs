//! Threads that each ask for invocations and serve them, in one interpreter: in parallel on a free-threaded CPython, and one
//! event loop's tasks where the handler is async. The main thread waits for signals, and runs that loop.

use crate::caller::{self, Caller};
use crate::compat;
use crate::environment::Environment;
use crate::event_loop::EventLoop;
use crate::handler::Handler;
use crate::interpreter::USER_AGENT;
use crate::invoke::Server;
use crate::shutdown::Ending;
use crate::signals::Waiter;
use crate::standard_streams;
use crate::traceback::Failure;
use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, UnboundedSender};
use whipsnake_runtime_api::{Client, Fault, Invocation, Ticket};

use super::Place;

/// Serves a function whose handler may be called by several threads at once.
pub fn serve(
    py: Python<'_>,
    server: &Arc<Server>,
    handler: &Handler,
    environment: &Environment,
    number: u16,
) -> Result<Ending, Ending> {
    standard_streams::share(py)?;
    // Those that have been started serve already while the others are started.
    let _idle = server.waiter.idle();
    let make_waiter = || Waiter::without_signals(py);
    let pollers = Pollers::start(py, server, handler, environment, number, &make_waiter)?;
    Ok(pollers.outlast(py, server, || Ok(())))
}

/// Serves a function whose handler is async: all invocations are tasks of the main thread's event loop.
pub fn serve_on_loop(
    py: Python<'_>,
    server: &Arc<Server>,
    handler: &Handler,
    environment: &Environment,
    number: u16,
) -> Result<Ending, Ending> {
    let _idle = server.waiter.idle();
    let tasks = py.import("whipsnake._tasks")?;
    let event_loop = server.waiter.event_loop.opened(py)?;
    let handler = Handler::from(tasks.call_method1("on_loop", (handler.function(py),))?);
    let elsewhere = tasks.call_method1("LoopElsewhere", (event_loop,))?.unbind();
    let make_waiter = || -> PyResult<Waiter> {
        let mut waiter = Waiter::without_signals(py)?;
        waiter.event_loop = EventLoop::elsewhere(py, elsewhere.clone_ref(py));
        Ok(waiter)
    };
    let pollers = Pollers::start(py, server, &handler, environment, number, &make_waiter)?;
    Ok(pollers.outlast(py, server, || elsewhere.bind(py).call_method0("withdraw").map(drop)))
}

struct Pollers {
    servers: Vec<Arc<Server>>,
    /// How each ends. One that ends before it was told to ends the process.
    endings: mpsc::UnboundedReceiver<Ending>,
}

impl Pollers {
    fn start(
        py: Python<'_>,
        server: &Arc<Server>,
        handler: &Handler,
        environment: &Environment,
        number: u16,
        make_waiter: &dyn Fn() -> PyResult<Waiter>,
    ) -> Result<Self, Ending> {
        let current = py.import("whipsnake._concurrency")?.getattr("current")?;
        server.log.get().follow(current.clone().unbind());
        let threading = py.import("threading")?;
        let (ended, endings) = mpsc::unbounded_channel();
        let mut servers = Vec::new();
        for position in 1..=number {
            let client = Client::new(environment.runtime_api.as_deref().unwrap_or_default(), USER_AGENT)?;
            let turn = Arc::new(Turn { current: current.clone().unbind(), ticket: Mutex::default() });
            let poller = server.beside(py, Place::Thread(Arc::clone(&turn)), client, make_waiter()?);
            servers.push(Arc::clone(&poller));
            let options = PyDict::new(py);
            let body = body(py, poller, turn, handler.clone_ref(py), ended.clone())?;
            options.set_item("target", caller::framed(py, Caller::HandleEventRequest, body)?)?;
            options.set_item("name", format!("invocations-{position}"))?;
            threading.call_method("Thread", (), Some(&options))?.call_method0("start")?;
        }
        Ok(Self { servers, endings })
    }

    /// Waits for the end of the process; then no further invocation is asked for. Those that are served are waited for where the
    /// interpreter joins its threads, and cancelled where they are tasks.
    fn outlast(mut self, py: Python<'_>, server: &Server, withdraw: impl FnOnce() -> PyResult<()>) -> Ending {
        let ending = match server.waiter.wait(py, self.endings.recv()) {
            Ok(ended) => ended.unwrap_or(Ending::Terminated),
            Err(interruption) => interruption.into(),
        };
        for poller in &self.servers {
            poller.waiter.interrupt();
        }
        if let Err(error) = withdraw() {
            error.write_unraisable(py, None);
        }
        server.close(py);
        ending
    }
}

/// What a thread does.
fn body(
    py: Python<'_>,
    server: Arc<Server>,
    turn: Arc<Turn>,
    handler: Handler,
    ended: UnboundedSender<Ending>,
) -> PyResult<Bound<'_, PyCFunction>> {
    PyCFunction::new_closure(py, None, None, move |arguments, _| {
        let py = arguments.py();
        compat::serve_in_this_thread(&server);
        let ending = loop {
            match server.serve_one(py, &handler) {
                Ok(()) => {}
                Err(Ending::Raised(error)) if error.is_instance_of::<PySystemExit>(py) => {
                    if let Some(ticket) = turn.take_ticket()
                        && let Err(ending) = server.answer(py, &ticket, Err(exited(py, &error)))
                    {
                        break ending;
                    }
                }
                Err(ending) => break ending,
            }
        };
        server.close(py);
        // Nobody listens when the process ends anyway.
        let _ = ended.send(ending);
    })
}

/// What a thread serves.
pub struct Turn {
    /// The context variable that the log and `os.environ` ask.
    current: Py<PyAny>,
    /// Of the invocation that has not been answered, as far as the thread came.
    ticket: Mutex<Option<Ticket>>,
}

impl Turn {
    pub fn begin(&self, py: Python<'_>, invocation: &Invocation) {
        let told = (&invocation.ticket.request_id, &invocation.tenant_id, &invocation.trace_id);
        if let Err(error) = self.current.bind(py).call_method1(intern!(py, "set"), (told,)) {
            error.write_unraisable(py, None);
        }
        *self.ticket() = Some(invocation.ticket.clone());
    }

    pub fn end(&self) {
        *self.ticket() = None;
    }

    pub fn take_ticket(&self) -> Option<Ticket> {
        self.ticket().take()
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handler called `sys.exit`. Where it has company in the process, that ends its own invocation and no other.
fn exited(py: Python<'_>, error: &PyErr) -> Failure {
    let code = error.value(py).getattr(intern!(py, "code")).and_then(|code| Ok(code.str()?.to_string()));
    let message = format!("The handler ended with SystemExit: {}", code.unwrap_or_default());
    Fault::stated("Runtime.ExitError", message).into()
}

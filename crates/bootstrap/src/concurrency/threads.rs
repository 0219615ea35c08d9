//! Threads that each ask for invocations and serve them, in one interpreter: in parallel on a free-threaded CPython, and one
//! event loop's tasks where the handler is async. The main thread waits for signals, and runs that loop.

use crate::init::caller::{self, Caller};
use crate::init::handler::Handler;
use crate::invoke::awslambdaric;
use crate::invoke::driver::Waiter;
use crate::invoke::event_loop::EventLoop;
use crate::invoke::worker::Server;
use crate::report::traceback::Failure;
use crate::shutdown::Ending;
use crate::start::environment::Environment;
use crate::start::interpreter::user_agent;
use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use whipsnake_runtime_api::{Client, Fault, Invocation, Ticket};

use super::Place;
use super::context_copies::ContextAtImport;

/// Serves a function whose handler may be called by several threads at once.
pub fn serve(
    py: Python<'_>,
    server: &Arc<Server>,
    handler: &Handler,
    environment: &Environment,
    number: u16,
) -> Result<Ending, Ending> {
    // Those that have been started serve already while the others are started.
    let _idle = server.waiter.idle();
    let make_waiter = || Waiter::without_signals(py);
    let mut pollers = Pollers::new(py)?;
    let started = pollers.start(py, server, handler, environment, number, &make_waiter);
    Ok(pollers.outlast(py, server, started, None))
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
    let mut pollers = Pollers::new(py)?;
    let started = pollers.start(py, server, &handler, environment, number, &make_waiter);
    Ok(pollers.outlast(py, server, started, Some(elsewhere.bind(py))))
}

struct Pollers {
    context: ContextAtImport,
    servers: Vec<Arc<Server>>,
    ended: UnboundedSender<Ending>,
    /// How each ends. One that ends before it was told to ends the process.
    endings: UnboundedReceiver<Ending>,
}

impl Pollers {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let (ended, endings) = mpsc::unbounded_channel();
        Ok(Self { context: ContextAtImport::copy(py)?, servers: Vec::new(), ended, endings })
    }

    /// Starts them. Where that fails, some of them may serve.
    fn start(
        &mut self,
        py: Python<'_>,
        server: &Arc<Server>,
        handler: &Handler,
        environment: &Environment,
        number: u16,
        make_waiter: &dyn Fn() -> PyResult<Waiter>,
    ) -> Result<(), Ending> {
        let concurrency = py.import("whipsnake._concurrency")?;
        server.log.get().follow(concurrency.getattr("current")?.unbind());
        let begin = concurrency.getattr("begin")?;
        let threading = py.import("threading")?;
        for position in 1..=number {
            let client = Client::new(environment.runtime_api.as_deref().unwrap_or_default(), user_agent())?;
            let turn = Arc::new(Turn { begin: begin.clone().unbind(), ticket: Mutex::default() });
            let poller = server.beside(py, Place::Thread(Arc::clone(&turn)), client, make_waiter()?);
            let body = Body {
                server: Arc::clone(&poller),
                turn,
                handler: handler.clone_ref(py),
                context: self.context.clone_ref(py),
                ended: self.ended.clone(),
            };
            let options = PyDict::new(py);
            let target = caller::framed(py, Caller::of_handlers(server.modules(py)), body.into_function(py)?)?;
            options.set_item("target", target)?;
            options.set_item("name", format!("invocations-{position}"))?;
            let thread = threading.call_method("Thread", (), Some(&options))?;
            // Before the start: a signal's handler may raise when the thread is there already.
            self.servers.push(poller);
            thread.call_method0("start")?;
        }
        Ok(())
    }

    /// Waits for the end of the process; then no further invocation is asked for. Those that are served are waited for where the
    /// interpreter joins its threads. Tasks are cancelled, unless a poller has ended by itself: then they have until their deadlines.
    fn outlast(
        mut self,
        py: Python<'_>,
        server: &Server,
        started: Result<(), Ending>,
        elsewhere: Option<&Bound<'_, PyAny>>,
    ) -> Ending {
        let mut alone = false;
        let ending = started.err().unwrap_or_else(|| match server.waiter.wait(py, self.endings.recv()) {
            Ok(ended) => {
                alone = true;
                ended.unwrap_or(Ending::Terminated)
            }
            Err(interruption) => interruption.into(),
        });
        for poller in &self.servers {
            poller.waiter.interrupt();
        }
        if alone {
            let others = self.servers.len() - 1;
            let all = async {
                for _ in 0..others {
                    self.endings.recv().await;
                }
            };
            // A signal ends this as well.
            let _ = server.waiter.wait(py, all);
        }
        let tell = |method: &str| {
            if let Some(elsewhere) = elsewhere
                && let Err(error) = elsewhere.call_method0(method)
            {
                error.write_unraisable(py, None);
            }
        };
        tell("withdraw");
        server.close(py);
        // Threads that wait for what the loop has not finished would wait for ever.
        tell("release");
        ending
    }
}

/// What a thread does, and with what.
struct Body {
    server: Arc<Server>,
    turn: Arc<Turn>,
    handler: Handler,
    context: ContextAtImport,
    ended: UnboundedSender<Ending>,
}

impl Body {
    fn into_function(self, py: Python<'_>) -> PyResult<Bound<'_, PyCFunction>> {
        PyCFunction::new_closure(py, None, None, move |arguments, _| {
            let py = arguments.py();
            awslambdaric::serve_in_this_thread(&self.server);
            let Err(ending) = self.serve(py);
            self.server.close(py);
            // Nobody listens when the process ends anyway.
            let _ = self.ended.send(ending);
        })
    }

    fn serve(&self, py: Python<'_>) -> Result<Infallible, Ending> {
        loop {
            let _copy = self.context.enter_copy(py)?;
            match self.server.serve_one(py, &self.handler) {
                Err(Ending::Raised(error)) if error.is_instance_of::<PySystemExit>(py) => {
                    if let Some(ticket) = self.turn.take_ticket() {
                        self.server.answer(py, &ticket, Err(exited(py, &error)))?;
                    }
                }
                served => served?,
            }
        }
    }
}

/// What a thread serves.
pub struct Turn {
    /// Sets the context variables that the log and `os.environ` ask.
    begin: Py<PyAny>,
    /// Of the invocation that has not been answered, as far as the thread came.
    ticket: Mutex<Option<Ticket>>,
}

impl Turn {
    pub fn begin(&self, py: Python<'_>, invocation: &Invocation) {
        let told = (&invocation.ticket.request_id, &invocation.tenant_id, &invocation.trace_id);
        if let Err(error) = self.begin.bind(py).call1(told) {
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

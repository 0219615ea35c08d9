//! Threads of one interpreter, each of which asks for invocations and serves them. On a free-threaded CPython they run in parallel. If the
//! handler is async, the invocations are tasks of one event loop. The main thread waits for signals and runs that loop.

use super::context_copies::ContextAtImport;
use crate::init::caller::{self, Caller};
use crate::init::handler::Handler;
use crate::invoke::driver::Driver;
use crate::invoke::event_loop::EventLoop;
use crate::invoke::runtime_object;
use crate::invoke::serve::serve_one;
use crate::invoke::slot::{Next, WorkerSlot, next_with_retries};
use crate::invoke::worker::Worker;
use crate::report::traceback::Failure;
use crate::shutdown::ExitReason;
use crate::start::environment::Environment;
use crate::start::user_agent::user_agent;
use pyo3::exceptions::PySystemExit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use whipsnake_runtime_api::{Client, Fault, Invocation, Ticket};

/// Serves a function whose handler may be called by several threads at once.
pub fn serve(
    py: Python<'_>,
    worker: &'static Worker,
    handler: &Handler,
    environment: &Environment,
    number: u16,
) -> Result<ExitReason, ExitReason> {
    // The first threads serve while the others are still being started.
    let _idle = worker.driver.idle();
    let make_driver = || Driver::without_signals(py);
    let mut threads = WorkerThreads::new(py)?;
    let started = threads.start(py, worker, handler, environment, number, &make_driver);
    Ok(threads.join(py, worker, started, None))
}

/// Serves a function whose handler is async: all invocations are tasks of the main thread's event loop.
pub fn serve_on_loop(
    py: Python<'_>,
    worker: &'static Worker,
    handler: &Handler,
    environment: &Environment,
    number: u16,
) -> Result<ExitReason, ExitReason> {
    let _idle = worker.driver.idle();
    let tasks = py.import("whipsnake._tasks")?;
    let event_loop = worker.driver.event_loop.opened(py)?;
    let handler = Handler::from(tasks.call_method1("on_loop", (handler.function(py),))?);
    let other_loop = tasks.call_method1("LoopElsewhere", (event_loop,))?.unbind();
    let make_driver = || -> PyResult<Driver> {
        let mut driver = Driver::without_signals(py)?;
        driver.event_loop = EventLoop::of_other_thread(py, other_loop.clone_ref(py));
        Ok(driver)
    };
    let mut threads = WorkerThreads::new(py)?;
    let started = threads.start(py, worker, &handler, environment, number, &make_driver);
    Ok(threads.join(py, worker, started, Some(other_loop.bind(py))))
}

struct WorkerThreads {
    context: ContextAtImport,
    workers: Vec<&'static Worker>,
    ended: UnboundedSender<ExitReason>,
    /// Why each thread has ended. The first one ends the process.
    exits: UnboundedReceiver<ExitReason>,
}

impl WorkerThreads {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let (ended, exits) = mpsc::unbounded_channel();
        Ok(Self { context: ContextAtImport::copy(py)?, workers: Vec::new(), ended, exits })
    }

    /// Starts the threads. If that fails, some of them may serve already.
    fn start(
        &mut self,
        py: Python<'_>,
        worker: &'static Worker,
        handler: &Handler,
        environment: &Environment,
        number: u16,
        make_driver: &dyn Fn() -> PyResult<Driver>,
    ) -> Result<(), ExitReason> {
        let concurrency = py.import("whipsnake._concurrency")?;
        worker.log.get().follow(concurrency.getattr("current")?.unbind());
        let begin = concurrency.getattr("begin")?;
        let threading = py.import("threading")?;
        for position in 1..=number {
            let client = Client::new(environment.runtime_api.as_deref().unwrap_or_default(), user_agent())?;
            let current = Arc::new(CurrentInvocation { begin: begin.clone().unbind(), ticket: Mutex::default() });
            let thread_worker = worker.beside(py, Box::new(Arc::clone(&current)), client, make_driver()?);
            let body = ThreadBody {
                worker: thread_worker,
                current,
                handler: handler.clone_ref(py),
                context: self.context.clone_ref(py),
                ended: self.ended.clone(),
            };
            let options = PyDict::new(py);
            let target = caller::framed(py, Caller::of_handlers(worker.modules(py)), body.into_function(py)?)?;
            options.set_item("target", target)?;
            options.set_item("name", format!("invocations-{position}"))?;
            let thread = threading.call_method("Thread", (), Some(&options))?;
            // Before the start, because a signal handler may raise once the thread runs.
            self.workers.push(thread_worker);
            thread.call_method0("start")?;
        }
        Ok(())
    }

    /// Waits for the end of the process. No thread asks for another invocation after that. The interpreter waits for current invocations
    /// when it joins its threads. Tasks are cancelled, but if a thread has ended by itself, the others have until their deadlines.
    fn join(
        mut self,
        py: Python<'_>,
        worker: &Worker,
        started: Result<(), ExitReason>,
        other_loop: Option<&Bound<'_, PyAny>>,
    ) -> ExitReason {
        let mut has_ended_by_itself = false;
        let exit_reason = started.err().unwrap_or_else(|| match worker.driver.wait(py, self.exits.recv()) {
            Ok(ended) => {
                has_ended_by_itself = true;
                ended.unwrap_or(ExitReason::Terminated)
            }
            Err(interruption) => interruption.into(),
        });
        for thread_worker in &self.workers {
            thread_worker.driver.interrupt();
        }
        if has_ended_by_itself {
            let others = self.workers.len() - 1;
            let all = async {
                for _ in 0..others {
                    self.exits.recv().await;
                }
            };
            // A signal ends this wait as well.
            let _ = worker.driver.wait(py, all);
        }
        let call = |method: &str| {
            if let Some(other_loop) = other_loop
                && let Err(error) = other_loop.call_method0(method)
            {
                error.write_unraisable(py, None);
            }
        };
        call("withdraw");
        worker.close(py);
        // Threads that wait for a task of the loop would otherwise wait forever.
        call("release");
        exit_reason
    }
}

/// What a thread runs, and with what.
struct ThreadBody {
    worker: &'static Worker,
    current: Arc<CurrentInvocation>,
    handler: Handler,
    context: ContextAtImport,
    ended: UnboundedSender<ExitReason>,
}

impl ThreadBody {
    fn into_function(self, py: Python<'_>) -> PyResult<Bound<'_, PyCFunction>> {
        PyCFunction::new_closure(py, None, None, move |arguments, _| {
            let py = arguments.py();
            runtime_object::register_for_this_thread(self.worker);
            let Err(exit_reason) = self.serve(py);
            self.worker.close(py);
            // The receiver is gone when the process ends.
            let _ = self.ended.send(exit_reason);
        })
    }

    fn serve(&self, py: Python<'_>) -> Result<Infallible, ExitReason> {
        loop {
            let _copy = self.context.enter_copy(py)?;
            match serve_one(py, self.worker, &self.handler) {
                Err(ExitReason::Raised(error)) if error.is_instance_of::<PySystemExit>(py) => {
                    if let Some(ticket) = self.current.take_ticket() {
                        self.worker.deliver(py, &ticket, Err(exited(py, &error)))?;
                    }
                }
                served => served?,
            }
        }
    }
}

/// The slot of a thread, with its current invocation.
struct CurrentInvocation {
    /// Sets the context variables that the log and `os.environ` read.
    begin: Py<PyAny>,
    /// The invocation that has no response yet.
    ticket: Mutex<Option<Ticket>>,
}

impl CurrentInvocation {
    fn take_ticket(&self) -> Option<Ticket> {
        self.ticket().take()
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerSlot for Arc<CurrentInvocation> {
    fn next<'a>(&'a self, client: &'a Client) -> Next<'a> {
        Box::pin(async move {
            self.end();
            Ok(next_with_retries(client).await?)
        })
    }

    fn begin(&self, py: Python<'_>, invocation: &Invocation) -> bool {
        let values = (&invocation.ticket.request_id, &invocation.tenant_id, &invocation.trace_id);
        if let Err(error) = self.begin.bind(py).call1(values) {
            error.write_unraisable(py, None);
        }
        *self.ticket() = Some(invocation.ticket.clone());
        true
    }

    fn end(&self) {
        *self.ticket() = None;
    }
}

/// A handler called `sys.exit`. With other invocations in the process, that ends its own invocation only.
fn exited(py: Python<'_>, error: &PyErr) -> Failure {
    let code = error.value(py).getattr(intern!(py, "code")).and_then(|code| Ok(code.str()?.to_string()));
    let message = format!("The handler ended with SystemExit: {}", code.unwrap_or_default());
    Fault::new("Runtime.ExitError", message).into()
}

//! Several invocations at once in one execution environment: Lambda Managed Instances, by `AWS_LAMBDA_MAX_CONCURRENCY`.
//!
//! ```text
//! an async handler                        tasks       one event loop on the main thread
//! a plain handler, CPython without GIL    threads     one interpreter
//! a plain handler                         processes   forked when the function is imported
//!   .. whose import left things that no two processes can share    forked before that
//! ```
//!
//! In each case there are as many [`Worker`]s as there can be invocations, and each asks for invocations independently. The
//! implementations of [`WorkerSlot`](crate::invoke::slot::WorkerSlot) say what is different.

mod child_signal;
mod context_copies;
mod exit_report;
mod fork_safety;
mod mode;
mod scoreboard;
mod supervisor;
mod threads;
mod worker_process;

use crate::init::handler::Handler;
use crate::invoke::serve::{serve_by, serve_one};
use crate::invoke::startup::{self, Start};
use crate::invoke::worker::Worker;
use crate::shutdown::ExitReason;
use crate::start::environment::Environment;
use crate::start::restored_from::origin;
use context_copies::ContextAtImport;
use fork_safety::Descriptors;
use mode::Mode;
pub use mode::{Concurrency, InvalidVariable};
use pyo3::prelude::*;
use pyo3::types::PyCFunction;
use supervisor::WorkerPool;
use whipsnake_runtime_api::Client;

impl Concurrency {
    /// Serves the function. Returns why the process is to end.
    pub fn serve(&self, py: Python<'_>, environment: &Environment, client: Client, start: Start) -> ExitReason {
        self.try_to_serve(py, environment, client, start).unwrap_or_else(|exit_reason| exit_reason)
    }

    fn try_to_serve(
        &self,
        py: Python<'_>,
        environment: &Environment,
        client: Client,
        start: Start,
    ) -> Result<ExitReason, ExitReason> {
        let (worker, imported) = startup::start(py, environment, client, start)?;
        let descriptors = Descriptors::before_import();
        startup::complete_restore(py, worker, environment)?;
        let import = |worker| startup::ready_handler(py, worker, imported.as_ref(), environment);
        disarm_timers_at_exit(py)?;
        let pool = WorkerPool::new(self.invocations, environment);
        if self.mode == Some(Mode::Isolated) {
            // Modules in the checkpoint were imported before the fork.
            if origin().is_some() {
                self.start_again_if_shared(py, &descriptors, Mode::Isolated)?;
            }
            self.log_mode(Mode::Isolated);
            let worker = pool.fork(py, worker)?;
            let handler = import(worker)?;
            return serve_alone(py, worker, handler);
        }
        let handler = import(worker)?;
        let mode = self.mode.map_or_else(|| Mode::fit_for(py, worker, &handler), Ok)?;
        match mode {
            Mode::Tasks => {
                self.log_mode(mode);
                threads::serve_on_loop(py, worker, &handler, environment, self.invocations)
            }
            Mode::Threads => {
                self.log_mode(mode);
                threads::serve(py, worker, &handler, environment, self.invocations)
            }
            Mode::Processes | Mode::Isolated => {
                self.start_again_if_shared(py, &descriptors, mode)?;
                self.log_mode(mode);
                let worker = pool.fork(py, worker)?;
                serve_alone(py, worker, handler)
            }
        }
    }
}

impl Concurrency {
    /// Tells a person who asks with `WHIPSNAKE_LOG` what serves the function.
    fn log_mode(&self, mode: Mode) {
        tracing::info!("serving up to {} invocations at once with {mode}", self.invocations);
    }

    /// Starts the process again, to fork before the import, if the import has left something that workers must not share.
    fn start_again_if_shared(&self, py: Python<'_>, before: &Descriptors, mode: Mode) -> Result<(), ExitReason> {
        let Some(obstacle) = fork_safety::obstacle(py, before) else { return Ok(()) };
        tracing::info!("the worker processes import the function themselves: {obstacle}");
        Err(fork_safety::start_again(py, before, mode, &self.variables))
    }
}

/// Stops timers that the function has set when Python ends, after the function's own exit handlers. Python then restores the default
/// handlers, and a later timer signal would end the process with another signal than the one that ends it.
fn disarm_timers_at_exit(py: Python<'_>) -> PyResult<()> {
    let disarm = PyCFunction::new_closure(py, Some(c"disarm_timers"), None, |_, _| {
        for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            // SAFETY: zeros are a timer that is not set.
            unsafe { libc::setitimer(timer, &std::mem::zeroed(), std::ptr::null_mut()) };
        }
    })?;
    py.import("atexit")?.call_method1("register", (disarm,)).map(drop)
}

/// Serves one invocation after the other in a worker process, until something ends the process.
fn serve_alone(py: Python<'_>, worker: &'static Worker, handler: Handler) -> Result<ExitReason, ExitReason> {
    let context = ContextAtImport::copy(py)?;
    Ok(serve_by(py, worker, move |py| {
        let _copy = context.enter_copy(py)?;
        serve_one(py, worker, &handler)
    }))
}

//! Several invocations at once in one execution environment: Lambda Managed Instances, by `AWS_LAMBDA_MAX_CONCURRENCY`.
//!
//! ```text
//! an async handler                        tasks       one event loop on the main thread
//! a plain handler, CPython without GIL    threads     one interpreter
//! a plain handler                         processes   forked when the function is imported
//!   .. whose import left things that no two processes can share    forked before that
//! ```
//!
//! In each, as many [`Server`]s as there can be invocations ask for them independently: the loop of [`crate::invoke`] in as many
//! [places](Place).

mod context_copies;
mod pollers;
mod scoreboard;
mod sharing;
mod workers;

use crate::checkpoint;
use crate::compat;
use crate::environment::Environment;
use crate::handler::Handler;
use crate::invoke::{Server, Start};
use crate::notices::notice;
use crate::shutdown::Ending;
use context_copies::ContextAtImport;
use pollers::Turn;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;
use scoreboard::Line;
use sharing::Descriptors;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use whipsnake_runtime_api::{Client, Error, Invocation};
use workers::{Drain, Workers};

/// How long to wait before /next is asked again, each time that it failed.
const PATIENCE: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// What Lambda asked for.
pub struct Concurrency {
    invocations: u16,
    /// None: as the function needs.
    kind: Option<Kind>,
    /// The environment as it was, for a new start.
    variables: Vec<(OsString, OsString)>,
}

/// What serves the invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tasks,
    Threads,
    /// Forked after the function was imported.
    Processes,
    /// Forked before.
    Isolated,
}

/// A variable that makes no sense.
#[derive(Debug)]
pub struct Unclear {
    name: &'static str,
    value: String,
    expected: &'static str,
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, and should be {}", self.name, self.value, self.expected)
    }
}

impl std::error::Error for Unclear {}

impl Concurrency {
    /// None where invocations come one by one. To be called before the environment is changed.
    pub fn asked_for(environment: &Environment) -> Result<Option<Self>, Unclear> {
        let Some(number) = &environment.max_concurrency else { return Ok(None) };
        let invocations = number.trim().parse().ok().filter(|&number| number > 0).ok_or_else(|| Unclear {
            name: "AWS_LAMBDA_MAX_CONCURRENCY",
            value: number.clone(),
            expected: "a number from 1 to 65535",
        })?;
        let kind = environment.whipsnake_concurrency.as_deref().map(Kind::named).transpose()?;
        Ok(Some(Self { invocations, kind, variables: env::vars_os().collect() }))
    }

    /// Serves the function until something ends the process.
    pub fn serve(&self, py: Python<'_>, environment: &Environment, client: Client, start: Start) -> Ending {
        self.try_to_serve(py, environment, client, start).unwrap_or_else(|ending| ending)
    }

    fn try_to_serve(
        &self,
        py: Python<'_>,
        environment: &Environment,
        client: Client,
        start: Start,
    ) -> Result<Ending, Ending> {
        let (server, imported) = Server::start(py, environment, client, start)?;
        let descriptors = Descriptors::before_import();
        server.complete_restore(py, environment)?;
        let import = |server: &Server| server.ready_handler(py, imported.as_ref(), environment);
        disarm_timers_at_exit(py)?;
        let workers = Workers::new(self.invocations, environment);
        if self.kind == Some(Kind::Isolated) {
            // Modules in the checkpoint were imported before the fork.
            if checkpoint::origin().is_some() {
                self.start_again_if_shared(py, &descriptors, Kind::Isolated)?;
            }
            let worker = workers.fork(py, &server)?;
            let handler = import(&worker)?;
            return serve_alone(py, &worker, &handler);
        }
        let handler = import(&server)?;
        let kind = self.kind.map_or_else(|| Kind::fit_for(py, &server, &handler), Ok)?;
        tracing::debug!(?kind, invocations = self.invocations, "several invocations at once");
        match kind {
            Kind::Tasks => pollers::serve_on_loop(py, &server, &handler, environment, self.invocations),
            Kind::Threads => pollers::serve(py, &server, &handler, environment, self.invocations),
            Kind::Processes | Kind::Isolated => {
                self.start_again_if_shared(py, &descriptors, kind)?;
                let worker = workers.fork(py, &server)?;
                serve_alone(py, &worker, &handler)
            }
        }
    }
}

impl Concurrency {
    /// Starts again, to fork before the import, if the import has left something that workers must not share.
    fn start_again_if_shared(&self, py: Python<'_>, before: &Descriptors, kind: Kind) -> Result<(), Ending> {
        let Some(obstacle) = sharing::obstacle(py, before) else { return Ok(()) };
        tracing::info!("the worker processes import the function themselves: {obstacle}");
        Err(sharing::start_again(py, before, kind, &self.variables))
    }
}

/// Has timers that the function has set stopped when Python ends, after the function's own exit handlers. Python then sets the defaults
/// for their signals again, and one that came later would end the process by another signal than the one that ends it.
fn disarm_timers_at_exit(py: Python<'_>) -> PyResult<()> {
    let disarm = PyCFunction::new_closure(py, Some(c"disarm_timers"), None, |_, _| {
        for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            // SAFETY: zeros are a timer that is not set.
            unsafe { libc::setitimer(timer, &std::mem::zeroed(), std::ptr::null_mut()) };
        }
    })?;
    py.import("atexit")?.call_method1("register", (disarm,)).map(drop)
}

/// Serves one invocation after the other in a worker process, until something ends it.
fn serve_alone(py: Python<'_>, server: &Arc<Server>, handler: &Handler) -> Result<Ending, Ending> {
    let (worker, handler) = (Arc::clone(server), handler.clone_ref(py));
    let context = ContextAtImport::copy(py)?;
    Ok(server.serve_by(py, move |py| {
        let _copy = context.enter_copy(py)?;
        worker.serve_one(py, &handler)
    }))
}

impl Kind {
    /// The variable's word for it, which is also said to a process that is started again.
    pub const ISOLATED: &str = "isolated";

    fn named(name: &str) -> Result<Self, Unclear> {
        match name {
            "tasks" => Ok(Self::Tasks),
            "threads" => Ok(Self::Threads),
            "processes" => Ok(Self::Processes),
            Self::ISOLATED => Ok(Self::Isolated),
            _ => Err(Unclear {
                name: "WHIPSNAKE_CONCURRENCY",
                value: name.into(),
                expected: "tasks, threads, processes or isolated",
            }),
        }
    }

    /// What serves a function best that says nothing about it.
    fn fit_for(py: Python<'_>, server: &Server, handler: &Handler) -> PyResult<Self> {
        // What tools put around an invocation is made for one at a time.
        if compat::is_imported(server.modules(py)) {
            return Ok(Self::Processes);
        }
        if handler.is_async(py)? {
            return Ok(Self::Tasks);
        }
        // An extension module can have switched the GIL on.
        let is_parallel = cfg!(Py_GIL_DISABLED) && !py.import("sys")?.call_method0("_is_gil_enabled")?.is_truthy()?;
        Ok(if is_parallel { Self::Threads } else { Self::Processes })
    }
}

/// Where a server stands among others that serve the same function.
pub enum Place {
    /// In a process of its own, which notes what it does, and may be told to ask for no more.
    Process(Line, Drain),
    /// In a thread, where what it serves is a matter of context.
    Thread(Arc<Turn>),
}

impl Place {
    /// Nothing is served: what was, has been answered.
    pub fn end(&self) {
        match self {
            Self::Process(line, _) => line.note_idle(),
            Self::Thread(turn) => turn.end(),
        }
    }

    /// Waits for the next invocation. A failure is no reason to leave the others alone, until it stays.
    pub async fn next(&self, client: &Client) -> Result<Invocation, Ending> {
        self.end();
        match self {
            Self::Process(line, drain) => tokio::select! {
                biased;
                () = drain.asked_for() => Err(Ending::Terminated),
                next = ask(client) => Ok(next.inspect_err(|_| line.note_gave_up())?),
            },
            Self::Thread(_) => Ok(ask(client).await?),
        }
    }

    /// Makes an invocation the current one; false when that is a matter of the process.
    pub fn begin(&self, py: Python<'_>, invocation: &Invocation) -> bool {
        match self {
            Self::Process(line, _) => {
                line.note_busy(&invocation.ticket, invocation.deadline);
                false
            }
            Self::Thread(turn) => {
                turn.begin(py, invocation);
                true
            }
        }
    }
}

/// Asks for the next invocation, several times if need be.
async fn ask(client: &Client) -> Result<Invocation, Error> {
    let mut failed = client.next().await;
    for pause in PATIENCE {
        let Err(error) = &failed else { break };
        notice(format_args!("{error}; asking again in {} ms", pause.as_millis()));
        tokio::time::sleep(pause).await;
        failed = client.next().await;
    }
    failed
}

//! Worker processes, and the process that supervises them.
//!
//! The supervisor runs nothing of the function: it forks, hands signals on, tells Lambda of the invocation that a worker died of, and
//! puts another one in its place. Signals are taken one by one while they are blocked, so that what the function's import
//! has set up for them stays as it is for the workers.

use super::Place;
use super::ledger::{Doing, Ledger, Line};
use crate::environment::Environment;
use crate::interpreter::USER_AGENT;
use crate::invoke::Server;
use crate::notices::notice;
use crate::shutdown::Ending;
use crate::signals::{SignalMask, die_of};
use crate::standard_streams;
use pyo3::prelude::*;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::ffi::CStr;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus};
use std::sync::Arc;
use whipsnake_runtime_api::{Client, Fault, Ticket};

/// The processes to be.
pub struct Workers {
    number: u16,
    endpoint: String,
    /// Where a worker gets what becomes its standard output and error.
    log_provider: Option<String>,
}

/// Who watches over the workers.
struct Supervisor<'a, 'py> {
    py: Python<'py>,
    server: &'a Arc<Server>,
    workers: &'a Workers,
    ledger: Ledger,
    /// Process ids by position in the ledger; None where a worker is missing for good.
    running: Vec<Option<i32>>,
    /// What the function is to find as it was.
    mask: SignalMask,
    /// Whether the workers have been told to end.
    ending: bool,
}

impl Workers {
    pub fn new(number: u16, environment: &Environment) -> Self {
        Self {
            number,
            endpoint: environment.runtime_api.clone().unwrap_or_default(),
            log_provider: environment.log_provider.clone(),
        }
    }

    /// Forks. Only the workers come back, each with a server of its own; this process ends when they have.
    pub fn fork(&self, py: Python<'_>, server: &Arc<Server>) -> Result<Arc<Server>, Ending> {
        // Nothing is written twice, and what there is now is looked at by no worker's garbage collection: that would make copies.
        standard_streams::flush(py);
        py.import("gc")?.call_method0("freeze")?;
        let ledger = Ledger::open().map_err(|error| Ending::Raised(error.into()))?;
        let (running, mask) = (vec![None; usize::from(self.number)], SignalMask::block());
        let mut supervisor = Supervisor { py, server, workers: self, ledger, running, mask, ending: false };
        for position in 0..usize::from(self.number) {
            if let Some(worker) = supervisor.start(position)? {
                return Ok(worker);
            }
        }
        loop {
            match supervisor.mask.wait() {
                SIGCHLD => {
                    if let Some(worker) = supervisor.tend()? {
                        return Ok(worker);
                    }
                }
                signal => supervisor.hand_on(signal),
            }
        }
    }
}

impl Supervisor<'_, '_> {
    /// Starts the worker of this position. In the worker itself: its server.
    fn start(&mut self, position: usize) -> Result<Option<Arc<Server>>, Ending> {
        let supervisor = process::id();
        let line = self.ledger.line(position);
        line.clear();
        let fork = || self.py.import("os")?.call_method0("fork")?.extract::<i32>();
        let child = fork()?;
        if child != 0 {
            self.running[position] = Some(child);
            return Ok(None);
        }
        leave_the_group_and_die_with(supervisor);
        self.mask.restore();
        if let Some(provider) = &self.workers.log_provider
            && let Err(error) = redirect_output(provider)
        {
            notice(format_args!("could not reach {provider}, where standard output is to go: {error}"));
        }
        self.server_of(line).map(Some)
    }

    /// In a worker: what it serves with. What its supervisor has for that is not shared.
    fn server_of(&self, line: Line) -> Result<Arc<Server>, Ending> {
        let client = Client::new(&self.workers.endpoint, USER_AGENT)?;
        let waiter = self.server.waiter.anew(self.py)?;
        let server = self.server.beside(self.py, Place::Process(line), client, waiter);
        server.introduce(self.py)?;
        Ok(server)
    }

    /// Sees after workers that have ended. In a worker that takes the place of another: its server.
    fn tend(&mut self) -> Result<Option<Arc<Server>>, Ending> {
        for position in 0..self.running.len() {
            let Some(status) = self.running[position].and_then(status_of) else { continue };
            self.running[position] = None;
            let doing = self.ledger.line(position).doing();
            tracing::debug!(position, ?status, ?doing, "a worker has ended");
            if let Doing::Serving(ticket) = &doing {
                self.report(ticket, status);
            }
            let replaced = !self.ending && self.deserves_another(&doing, status);
            if replaced && let Some(worker) = self.start(position)? {
                return Ok(Some(worker));
            }
            if self.running.iter().all(Option::is_none) {
                self.end_as(status);
            }
        }
        Ok(None)
    }

    /// Whether another worker is to take the place of one that ended. Where none can be of use, all ends.
    fn deserves_another(&self, doing: &Doing, status: ExitStatus) -> bool {
        match doing {
            Doing::Serving(_) => true,
            Doing::Waiting => {
                notice(format_args!("a worker process ended between two invocations: {}", words_for(status)));
                true
            }
            Doing::GaveUp => self.end_as(status),
            Doing::Starting => {
                let initialised =
                    (0..self.running.len()).any(|position| self.ledger.line(position).doing() != Doing::Starting);
                if !initialised {
                    self.end_as(status);
                }
                notice(format_args!("a worker process did not start: {}; one less serves", words_for(status)));
                false
            }
        }
    }

    /// Reports the invocation that a worker died of, in Lambda's own words for a runtime that exits.
    fn report(&self, ticket: &Ticket, status: ExitStatus) {
        let message = format!("RequestId: {} Error: {}", ticket.request_id, words_for(status));
        let fault = Fault::stated("Runtime.ExitError", message);
        self.server.log.get().fault_of(self.py, &ticket.request_id, &fault, None);
        let post = || -> Result<(), Box<dyn std::error::Error>> {
            // Made for this alone: a worker that is forked later must find nothing of it.
            let client = Client::new(&self.workers.endpoint, USER_AGENT)?;
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = fault.report(&ticket.request_id).to_json();
            tokio.block_on(client.fail(ticket, report.into(), &fault.xray_cause("")))?;
            Ok(())
        };
        if let Err(error) = post() {
            notice(error);
        }
    }

    /// Sends a signal to all workers. One that is meant to end a process ends all.
    fn hand_on(&mut self, signal: i32) {
        self.ending |= matches!(signal, SIGTERM | SIGINT | SIGHUP | SIGQUIT);
        self.signal(signal);
    }

    fn signal(&self, signal: i32) {
        for &worker in self.running.iter().flatten() {
            // SAFETY: a child that has not been waited for: its id is nobody else's.
            unsafe { libc::kill(worker, signal) };
        }
    }

    /// Ends this process as a worker has, and with it the others. Python is not ended: what the function wants done at the end, the
    /// workers have done.
    fn end_as(&self, status: ExitStatus) -> ! {
        self.signal(libc::SIGKILL);
        self.mask.restore();
        match status.signal() {
            Some(signal) => {
                // SAFETY: the default is always allowed; the function may have had a handler.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
                die_of(signal)
            }
            // SAFETY: ends the process, with nothing of ours to clean up.
            None => unsafe { libc::_exit(status.code().unwrap_or(1)) },
        }
    }
}

/// How a worker ended, if it has.
fn status_of(worker: i32) -> Option<ExitStatus> {
    let mut status = 0;
    // SAFETY: asks about a child of this process, and writes to the stack.
    match unsafe { libc::waitpid(worker, &raw mut status, libc::WNOHANG) } {
        0 => None,
        // Not there any more: the function has SIGCHLD ignored, and nobody knows how it ended.
        -1 => Some(ExitStatus::from_raw(1 << 8)),
        _ => Some(ExitStatus::from_raw(status)),
    }
}

/// Lambda's words for the end of a runtime.
fn words_for(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".into(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, signal) => format!("Runtime exited with error: signal: {}", name_of(signal.unwrap_or_default())),
    }
}

fn name_of(signal: i32) -> String {
    // SAFETY: the C library's own text, which is read before this thread asks for another one.
    let name = unsafe { CStr::from_ptr(libc::strsignal(signal)) };
    name.to_string_lossy().to_lowercase()
}

/// Signals to the process group reach a worker by its supervisor, and once. It does not outlive that one.
fn leave_the_group_and_die_with(supervisor: u32) {
    // SAFETY: both concern this process alone, and cannot fail for one that has just been forked.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    if std::os::unix::process::parent_id() != supervisor {
        process::exit(1);
    }
}

/// Lambda has a stream of log lines for each worker: two connections take the place of standard output and standard error.
fn redirect_output(provider: &str) -> io::Result<()> {
    for descriptor in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        let connection = UnixStream::connect(provider)?;
        // SAFETY: two open descriptors.
        if unsafe { libc::dup2(connection.as_raw_fd(), descriptor) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

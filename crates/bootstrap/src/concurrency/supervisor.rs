//! Worker processes, and the process that supervises them.
//!
//! The supervisor runs none of the function's code. It forks the workers, forwards signals to them, reports the invocation of a worker that
//! died, and starts another worker in its slot. All signals are blocked, and it takes them one by one, so that handlers that the function's
//! import has installed stay in place for the workers. It waits for nothing else: a process of its own does what may take time, such as a
//! report to Lambda.

use super::child_signal::ChildSignal;
use super::exit_report::{ExitReport, description, notice};
use super::scoreboard::{Entry, Scoreboard, WorkerState};
use super::worker_process::{self, ProcessSlot};
use crate::invoke::runtime_object;
use crate::invoke::signal_mask::SignalMask;
use crate::invoke::worker::Worker;
use crate::report::stdio;
use crate::shutdown::{ExitReason, die_of};
use crate::start::environment::Environment;
use crate::start::user_agent::user_agent;
use pyo3::prelude::*;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus};
use std::time::{Duration, Instant};
use whipsnake_runtime_api::{Client, Ticket};

/// How long Lambda has to acknowledge the report of an invocation whose worker died.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same when all workers have exited, or if no process can be forked for the report.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest delay before a slot gets another worker. The first delay is 100 ms, and each is twice the one before.
const MAX_RESPAWN_DELAY: Duration = Duration::from_secs(5);

/// A worker that has lived so long has started successfully.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// The longest invocation on Lambda, for an invocation whose deadline is unknown.
const MAX_INVOCATION: Duration = Duration::from_secs(15 * 60);

/// How long a worker may take to exit after its invocation.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// The worker processes that are to be started.
pub struct WorkerPool {
    number: u16,
    endpoint: String,
    /// The socket that a worker's standard output and standard error are connected to.
    log_provider: Option<String>,
}

/// The process that watches the workers.
struct Supervisor<'a, 'py> {
    py: Python<'py>,
    parent: &'static Worker,
    pool: &'a WorkerPool,
    scoreboard: Scoreboard,
    slots: Vec<Slot>,
    /// Processes that report to Lambda, each with the time when it is killed.
    reports: Vec<(i32, Instant)>,
    /// A pipe that can be read when no worker is to ask for invocations any more.
    drain: (PipeReader, PipeWriter),
    /// Whether the pipe has been written to.
    drained: bool,
    /// When the remaining workers are killed after that.
    drained_by: Option<Instant>,
    /// The signal mask that the function is to find.
    mask: SignalMask,
    child_signal: ChildSignal,
    /// Whether any worker has ever asked for an invocation.
    initialized: bool,
    /// How this process ends. Set once the workers are to exit.
    exit_status: Option<ExitStatus>,
    /// How long the last reports may take when all workers have exited.
    reports_by: Option<Instant>,
}

/// The slot of one worker after the other.
#[derive(Default)]
struct Slot {
    /// The worker's process id, and when it was started.
    worker: Option<(i32, Instant)>,
    /// How many workers in a row died, or could not be forked, before they did anything.
    failures: u32,
    /// When the next worker is to be started.
    due: Option<Instant>,
}

impl Slot {
    /// Schedules another worker. Returns the delay before it starts.
    fn respawn(&mut self) -> Duration {
        let pause = match self.failures {
            0 => Duration::ZERO,
            failures => Duration::from_millis(100).saturating_mul(1 << (failures - 1).min(16)).min(MAX_RESPAWN_DELAY),
        };
        self.due = Some(Instant::now() + pause);
        pause
    }
}

impl WorkerPool {
    pub fn new(number: u16, environment: &Environment) -> Self {
        Self {
            number,
            endpoint: environment.runtime_api.clone().unwrap_or_default(),
            log_provider: environment.log_provider.clone(),
        }
    }

    /// Forks the workers. Returns in each worker process, with a worker of its own. This process exits when the workers have.
    pub fn fork(&self, py: Python<'_>, parent: &'static Worker) -> Result<&'static Worker, ExitReason> {
        // Flushed, so that nothing is written twice. Frozen, so that no worker's garbage collection writes to shared pages.
        stdio::flush(py);
        py.import("gc")?.call_method0("freeze")?;
        let number = usize::from(self.number);
        let prepare = || Ok::<_, io::Error>((Scoreboard::new(number)?, io::pipe()?));
        let (scoreboard, drain) = prepare().map_err(|error| ExitReason::Raised(error.into()))?;
        let mut supervisor = Supervisor {
            py,
            parent,
            pool: self,
            scoreboard,
            slots: Vec::new(),
            reports: Vec::new(),
            drain,
            drained: false,
            drained_by: None,
            mask: SignalMask::block(),
            child_signal: ChildSignal::take(),
            initialized: false,
            exit_status: None,
            reports_by: None,
        };
        let now = Instant::now();
        supervisor.slots.resize_with(number, || Slot { due: Some(now), ..Slot::default() });
        supervisor.run()
    }
}

impl Supervisor<'_, '_> {
    /// Returns in a worker process, with its worker. Fails if not even the first worker can be forked.
    fn run(&mut self) -> Result<&'static Worker, ExitReason> {
        loop {
            let now = Instant::now();
            for position in 0..self.slots.len() {
                if self.slots[position].due.is_some_and(|due| due <= now)
                    && let Some(worker) = self.start(position)?
                {
                    return Ok(worker);
                }
            }
            self.enforce_limits(now);
            match self.mask.wait(self.time_until_due()) {
                Some(SIGCHLD) => self.reap(),
                Some(signal) => self.forward_signal(signal),
                None => {}
            }
        }
    }

    /// The time until something is due. `None` if only a signal can bring something to do.
    fn time_until_due(&self) -> Option<Duration> {
        let due = self.slots.iter().filter_map(|slot| slot.due);
        let limits = self.reports.iter().map(|&(_, until)| until).chain(self.drained_by).chain(self.reports_by);
        due.chain(limits).min().map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Kills what has exceeded its time. Ends this process if there is nothing left to wait for.
    fn enforce_limits(&mut self, now: Instant) {
        for &(reporter, _) in self.reports.iter().filter(|&&(_, until)| until <= now) {
            kill(reporter, libc::SIGKILL);
        }
        self.reports.retain(|&(_, until)| until > now);
        if self.drained_by.is_some_and(|limit| limit <= now) {
            self.drained_by = None;
            self.signal(libc::SIGKILL);
        }
        if let Some(status) = self.exit_status
            && self.slots.iter().all(|slot| slot.worker.is_none())
        {
            let limit = *self.reports_by.get_or_insert(now + LAST_REPORT_TIMEOUT);
            if self.reports.is_empty() || limit <= now {
                self.exit_like(status);
            }
        }
    }

    /// Starts a worker in this slot. Returns the worker in the new process. If the fork fails, it is tried again later.
    fn start(&mut self, position: usize) -> Result<Option<&'static Worker>, ExitReason> {
        let supervisor = process::id();
        let entry = self.scoreboard.entry(position);
        entry.clear();
        self.slots[position].due = None;
        let fork = || self.py.import("os")?.call_method0("fork")?.extract::<i32>();
        match fork() {
            Ok(0) => {}
            Ok(child) => {
                self.slots[position].worker = Some((child, Instant::now()));
                return Ok(None);
            }
            Err(error) if !self.initialized && self.slots.iter().all(|slot| slot.worker.is_none()) => {
                self.child_signal.restore();
                self.mask.restore();
                return Err(error.into());
            }
            Err(error) => {
                let slot = &mut self.slots[position];
                slot.failures += 1;
                let pause = slot.respawn().as_millis();
                notice(&format!("could not fork a worker process: {error}; trying again in {pause} ms"));
                return Ok(None);
            }
        }
        worker_process::leave_the_group_and_die_with(supervisor);
        self.child_signal.restore();
        self.mask.restore();
        if let Some(provider) = &self.pool.log_provider
            && let Err(error) = worker_process::redirect_output(provider)
        {
            notice(&format!("could not reach {provider}, where standard output is to go: {error}"));
        }
        self.worker_in_slot(entry).map(Some)
    }

    /// The worker of a process that was just forked. It shares nothing that its supervisor waits with.
    fn worker_in_slot(&self, entry: Entry) -> Result<&'static Worker, ExitReason> {
        let client = Client::new(&self.pool.endpoint, user_agent())?;
        let driver = self.parent.driver.after_fork(self.py)?;
        let drain = self.drain.0.try_clone().map_err(|error| ExitReason::Raised(error.into()))?;
        let slot = Box::new(ProcessSlot::new(entry, drain));
        let worker = self.parent.beside(self.py, slot, client, driver);
        runtime_object::register(self.py, worker)?;
        Ok(worker)
    }

    /// Reaps child processes: workers, reporters, and processes that the function's import has started.
    fn reap(&mut self) {
        loop {
            let mut status = 0;
            // SAFETY: asks about children of this process, and writes to the stack.
            let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if child <= 0 {
                return;
            }
            self.reports.retain(|&(reporter, _)| reporter != child);
            let is_this = |slot: &Slot| slot.worker.is_some_and(|(worker, _)| worker == child);
            if let Some(position) = self.slots.iter().position(is_this) {
                self.replace(position, ExitStatus::from_raw(status));
            }
        }
    }

    /// Reports the invocation of a worker that has exited, and schedules another worker for its slot unless all are to exit.
    fn replace(&mut self, position: usize, status: ExitStatus) {
        let state = self.scoreboard.entry(position).state();
        tracing::debug!(position, ?status, ?state, "a worker has ended");
        self.initialized = self.initialized
            || (0..self.slots.len()).any(|position| self.scoreboard.entry(position).state() != WorkerState::Starting);
        let lived = self.slots[position].worker.take().map(|(_, since)| since.elapsed()).unwrap_or_default();
        if let WorkerState::Serving(ticket) = &state {
            self.report(ticket, status);
        }
        if self.exit_status.is_some() {
            if !self.drained {
                self.exit_status = Some(status);
            }
            return;
        }
        if lived >= STEADY_AFTER || matches!(state, WorkerState::Serving(_)) {
            self.slots[position].failures = 0;
        }
        let how = description(status);
        match state {
            WorkerState::Serving(_) => _ = self.slots[position].respawn(),
            WorkerState::Waiting => {
                notice(&format!("a worker process ended between two invocations: {how}"));
                self.slots[position].respawn();
                self.slots[position].failures += 1;
            }
            WorkerState::GaveUp => self.drain(status),
            // No worker has got further, so another one would fail as well.
            WorkerState::Starting if !self.initialized => self.exit_like(status),
            WorkerState::Starting => {
                self.slots[position].failures += 1;
                let pause = self.slots[position].respawn().as_millis();
                notice(&format!("a worker process did not start: {how}; starting another one in {pause} ms"));
            }
        }
    }

    /// A worker's requests for invocations have failed. The others finish their invocations and ask for no more, then this process ends.
    fn drain(&mut self, status: ExitStatus) {
        let serving = (0..self.slots.len()).map(|position| self.scoreboard.entry(position)).filter_map(|entry| {
            matches!(entry.state(), WorkerState::Serving(_)).then(|| entry.time_left().unwrap_or(MAX_INVOCATION))
        });
        self.drained = true;
        self.drained_by = Some(Instant::now() + serving.max().unwrap_or_default() + EXIT_GRACE);
        self.end_workers(status);
        if let Err(error) = (&self.drain.1).write_all(&[0]) {
            notice(&format!("could not tell the worker processes to end: {error}"));
            self.signal(SIGTERM);
        }
    }

    /// Starts no more workers. This process ends when the running ones have exited.
    fn end_workers(&mut self, status: ExitStatus) {
        self.exit_status.get_or_insert(status);
        for slot in &mut self.slots {
            slot.due = None;
        }
    }

    /// Reports the invocation of a worker that died. The report waits for Lambda and for a reader of the log, so a process of its own sends
    /// it.
    fn report(&mut self, ticket: &Ticket, status: ExitStatus) {
        let report = ExitReport { parent: self.parent, endpoint: &self.pool.endpoint, ticket, status };
        // SAFETY: not Python's fork, so none of the function's hooks run. The child writes to the log, sends the report and exits.
        match unsafe { libc::fork() } {
            0 => {
                report.send(self.py, REPORT_TIMEOUT);
                // SAFETY: ends the process, and touches nothing of its parent's.
                unsafe { libc::_exit(0) }
            }
            -1 => report.send(self.py, LAST_REPORT_TIMEOUT),
            reporter => self.reports.push((reporter, Instant::now() + REPORT_TIMEOUT)),
        }
    }

    /// Sends a signal to all workers. If the signal is one that ends processes, all workers are to exit. After that other signals are not
    /// forwarded: Python restores the default handlers when it ends, and a timer would end a worker too early.
    fn forward_signal(&mut self, signal: i32) {
        if matches!(signal, SIGTERM | SIGINT | SIGHUP | SIGQUIT) {
            self.end_workers(ExitStatus::from_raw(signal));
        } else if self.exit_status.is_some() {
            return;
        }
        self.signal(signal);
    }

    fn signal(&self, signal: i32) {
        for (worker, _) in self.slots.iter().filter_map(|slot| slot.worker) {
            kill(worker, signal);
        }
    }

    /// Ends this process with a worker's exit status, and kills the others. Python is not finalized: the workers have run the function's
    /// exit handlers.
    fn exit_like(&self, status: ExitStatus) -> ! {
        self.signal(libc::SIGKILL);
        for &(reporter, _) in &self.reports {
            kill(reporter, libc::SIGKILL);
        }
        self.mask.restore();
        match status.signal() {
            Some(signal) => {
                // SAFETY: the default is always allowed; the function may have installed a handler.
                unsafe { libc::signal(signal, libc::SIG_DFL) };
                die_of(signal)
            }
            // SAFETY: ends the process. There is nothing to clean up.
            None => unsafe { libc::_exit(status.code().unwrap_or(1)) },
        }
    }
}

fn kill(child: i32, signal: i32) {
    // SAFETY: the child has not been waited for, so no other process has its id.
    unsafe { libc::kill(child, signal) };
}

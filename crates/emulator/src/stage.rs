//! What the threads of one play share: the process, its output, what it asked, and one condition to wait on.

use std::{
    collections::HashMap,
    io::Read,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::{
    process::Signal,
    time::{ClockId, clock_gettime},
};

use crate::{
    list::List,
    process::{Exit, Process},
    recording::RecordedRequest,
    script::Script,
};

/// Outputs by position: stdout, stderr, then the script's pipes.
pub(crate) const STDOUT: usize = 0;
pub(crate) const STDERR: usize = 1;

/// One play.
pub(crate) struct Stage {
    pub(crate) script: Script,
    state: Mutex<State>,
    /// Notified at every change that somebody may wait for.
    changed: Condvar,
}

pub(crate) struct State {
    pub(crate) spawned: Instant,
    pub(crate) process: Option<Arc<Process>>,
    /// How it ended, and when.
    pub(crate) exit: Option<(Exit, Instant)>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) requests: Vec<RecordedRequest>,
    pub(crate) request_count: usize,
    pub(crate) first_next_us: Option<u64>,
    pub(crate) latencies_us: Vec<f64>,
    pub(crate) pss_kb: Vec<u64>,
    /// Position in `next`, and how often the step there was served.
    pub(crate) step: (usize, usize),
    /// Events given out so far.
    pub(crate) events: usize,
    /// Requests that wait for an event.
    pub(crate) pollers: usize,
    /// Request ids that have no POST yet, and when their event began to be written.
    pub(crate) unanswered: HashMap<Vec<u8>, Instant>,
    /// How many answers of each list are used.
    pub(crate) used: HashMap<List, usize>,
    pub(crate) end_signal_sent: bool,
}

/// What came out of one descriptor.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) closed: bool,
}

impl Stage {
    pub(crate) fn new(script: Script) -> Stage {
        let outputs = 2 + script.pipes.len();
        Stage {
            script,
            state: Mutex::new(State {
                spawned: Instant::now(),
                process: None,
                exit: None,
                outputs: (0..outputs).map(|_| Output::default()).collect(),
                requests: Vec::new(),
                request_count: 0,
                first_next_us: None,
                latencies_us: Vec::new(),
                pss_kb: Vec::new(),
                step: (0, 0),
                events: 0,
                pollers: 0,
                unanswered: HashMap::new(),
                used: HashMap::new(),
                end_signal_sent: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the lock is not poisoned")
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Blocks until `done`, for at most `limit`. True when it was done.
    pub(crate) fn wait_for(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let (_state, outcome) = self
            .changed
            .wait_timeout_while(self.state(), limit, |state| !done(state))
            .expect("the lock is not poisoned");
        !outcome.timed_out()
    }

    /// Blocks until the process has ended or `done`. The play's own time-out ends the process, so this ends too.
    pub(crate) fn wait_while_running(&self, done: impl Fn(&State) -> bool) {
        let waited = self.changed.wait_while(self.state(), |state| state.exit.is_none() && !done(state));
        drop(waited.expect("the lock is not poisoned"));
    }

    /// Sleeps, but not longer than the process lives.
    pub(crate) fn pause(&self, duration: Duration) {
        if !duration.is_zero() {
            self.wait_for(duration, |state| state.exit.is_some());
        }
    }

    /// Sends a signal to the process, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.state().process.clone();
        if let Some(process) = process {
            process.signal(signal);
            // Else one of its threads may still notice what comes next.
            if signal == Signal::STOP {
                process.wait_until_stopped();
            }
        }
    }

    /// Notes the process's proportional set size: its own pages, and its part of those that others map too.
    pub(crate) fn measure_memory(&self) {
        let Some(process) = self.state().process.clone() else { return };
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.id())).unwrap_or_default();
        let pss: Option<u64> =
            rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
        self.state().pss_kb.extend(pss);
    }

    /// Copies what comes out of a descriptor until its end.
    pub(crate) fn capture(&self, output: usize, mut source: impl Read) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match source.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let mut state = self.state();
            let output = &mut state.outputs[output];
            output.bytes.extend_from_slice(&buffer[..read]);
            output.closed = read == 0;
            drop(state);
            self.notify();
            if read == 0 {
                return;
            }
        }
    }
}

impl State {
    /// Microseconds from the spawn to `instant`.
    pub(crate) fn since_spawn(&self, instant: Instant) -> u64 {
        microseconds(instant.saturating_duration_since(self.spawned))
    }

    /// An instant in microseconds of the clock behind it.
    pub(crate) fn monotonic(instant: Instant) -> u64 {
        let clock = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(clock.tv_sec.unsigned_abs(), u32::try_from(clock.tv_nsec).unwrap_or_default());
        microseconds(now.saturating_sub(instant.elapsed()))
    }

    /// Whether stdout or stderr contains `text`.
    pub(crate) fn has_written(&self, text: &str) -> bool {
        [STDOUT, STDERR].into_iter().any(|output| {
            let bytes = &self.outputs[output].bytes;
            text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

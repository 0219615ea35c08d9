//! One process of the function, from its start to its end.

use std::{
    io,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::Signal;

use crate::{
    function::Function,
    invocation::Invocation,
    log::{Log, Output},
    process::{Exit, Process},
    report::{Checkpoint, Init},
    runtime_api::{Piece, Reply, RuntimeApi},
    simulation::{Fate, Simulation},
};

/// How long the shutdown phase is where the only extensions are in the runtime's process.
pub const SHUTDOWN: Duration = Duration::from_millis(500);
/// How long a process may take to end that has reported a failed init phase, or was killed; and to ask for its next event.
const EXIT: Duration = Duration::from_millis(600);
/// Lambda's limit for the init phase; functions with a longer time-out get that.
const INIT: Duration = Duration::from_secs(10);

/// How the line begins in which the restorer says why it does not use a checkpoint.
pub const NOT_RESTORED: &str = "whipsnake: starting without the checkpoint: ";

/// How a phase ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// By a POST of the runtime's; of an init phase, by the first /next.
    Reply(Reply),
    /// The process ended. `delivered` is false when it did so without ever seeing the event.
    Exited { exit: Exit, delivered: bool },
    /// Time was up, and the process was killed.
    TimedOut,
}

/// A running `bootstrap` and the Runtime API it talks to.
pub(crate) struct ExecutionEnvironment {
    function: Function,
    process: Arc<Process>,
    runtime_api: Arc<RuntimeApi>,
    output: Arc<Output>,
    started: Instant,
    /// Whether it serves several invocations at once.
    serves_several: bool,
    /// Known once the init phase went well.
    init: OnceLock<Init>,
    /// Whether a REPORT has shown this environment's init duration.
    reported_init: AtomicBool,
    simulation: Simulation,
    /// Until when the process stands still, if it does.
    frozen: Mutex<Option<Instant>>,
}

impl ExecutionEnvironment {
    /// Starts the process with the environment it would have on Lambda.
    pub(crate) fn start(
        function: &Function,
        concurrency: Option<u16>,
        log: &Arc<Log>,
        simulation: &Simulation,
    ) -> io::Result<Self> {
        let runtime_api = Arc::new(RuntimeApi::start(function, concurrency.is_some(), simulation.refuse)?);
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(&function.bootstrap);
        command
            .current_dir(&function.task)
            .env_clear()
            .envs(function.process_environment(runtime_api.address())?)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        if let Some(concurrency) = concurrency {
            command.env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string());
            command.env("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances");
            command.env("AWS_LAMBDA_LOG_FORMAT", "JSON");
        }
        let started = Instant::now();
        let process = Arc::new(Process::spawn(command, Vec::new())?);
        let output = Output::forward(reader, Arc::clone(log))?;

        let (waited, desk) = (Arc::clone(&process), Arc::clone(&runtime_api));
        thread::spawn(move || {
            // It fails only if somebody else reaped our child; how it ended is then lost.
            desk.process_ended(waited.wait().unwrap_or(Exit::Code(-1)));
        });
        Ok(ExecutionEnvironment {
            function: function.clone(),
            process,
            runtime_api,
            output,
            started,
            serves_several: concurrency.is_some(),
            init: OnceLock::new(),
            reported_init: AtomicBool::new(false),
            simulation: simulation.clone(),
            frozen: Mutex::default(),
        })
    }

    /// Waits for the runtime's first /next; or says how long the init phase took and how it failed.
    pub(crate) fn initialise(&self) -> Result<(), (Duration, Ending)> {
        let deadline = self.started + self.function.init_timeout.unwrap_or(INIT.max(self.function.timeout));
        if self.simulation.init_crash {
            self.process.signal_group(Signal::KILL);
        }
        let state = self
            .runtime_api
            .wait_for(deadline, |state| state.is_initialised() || state.init_error.is_some() || state.exit.is_some());
        let duration = self.started.elapsed();
        if state.is_initialised() {
            let restored = state.restored;
            drop(state);
            self.output.drain();
            let refused = || self.output.first_line(NOT_RESTORED).map(Checkpoint::NotUsed);
            let checkpoint = if restored { Some(Checkpoint::Restored) } else { refused() };
            // Each environment is initialised once.
            let _ = self.init.set(Init { duration, checkpoint });
            return Ok(());
        }
        let ending = if let Some(reply) = &state.init_error {
            Ending::Reply(reply.clone())
        } else if let Some(exit) = state.exit {
            Ending::Exited { exit, delivered: false }
        } else {
            Ending::TimedOut
        };
        drop(state);
        if let Ending::Reply(_) = ending {
            // After /init/error it exits by itself, and what it still has to say belongs to the init phase.
            self.wait_for_exit(EXIT);
        }
        self.kill();
        Err((duration, ending))
    }

    /// The init phase, the first time it is asked.
    pub(crate) fn unreported_init(&self) -> Option<Init> {
        let first = !self.reported_init.swap(true, Ordering::Relaxed);
        self.init.get().cloned().filter(|_| first)
    }

    /// What became of the checkpoint in the init phase.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.init.get()?.checkpoint.clone()
    }

    /// Gives the runtime one event and waits for the end of it. What it streams meanwhile goes to `pass`.
    pub(crate) fn invoke(
        &self,
        invocation: &Invocation,
        fate: Fate,
        pass: &mut dyn FnMut(Piece),
    ) -> (Duration, Ending) {
        self.thaw();
        self.await_fate(fate);
        let begun = Instant::now();
        let timeout = invocation.timeout.unwrap_or(self.function.timeout);
        let deadline = SystemTime::now() + timeout;
        self.runtime_api.submit(invocation.clone(), self.function.arn(), deadline);
        let id = invocation.request_id.as_str();
        let time_is_up = if self.suffer(fate, id) { Instant::now() } else { begun + timeout };
        let state = loop {
            let state = self
                .runtime_api
                .wait_for(time_is_up, |state| state.has_piece(id) || state.reply(id).is_some() || state.exit.is_some());
            // Time is up for a response that never ends, too; one that has ended is taken to its end.
            let too_late = state.reply(id).is_none() && Instant::now() >= time_is_up;
            if !state.has_piece(id) || too_late {
                break state;
            }
            // Not under the lock: whoever it goes to may be slow.
            drop(state);
            if let Some(piece) = self.runtime_api.take_piece(id) {
                let size = if let Piece::Chunk(chunk) = &piece { chunk.len() } else { 0 };
                pass(piece);
                if let Some(rate) = self.simulation.stream_rate {
                    let pause = Duration::from_secs_f64(size as f64 / f64::from(rate));
                    thread::sleep(pause.min(time_is_up.saturating_duration_since(Instant::now())));
                }
            }
        };
        let duration = begun.elapsed();
        let ending = if let Some(reply) = state.reply(id) {
            Ending::Reply(reply.clone())
        } else if let Some(exit) = state.exit {
            let delivered = state.was_delivered(id);
            Ending::Exited { exit, delivered }
        } else {
            Ending::TimedOut
        };
        drop(state);
        self.runtime_api.settle(id);
        match ending {
            Ending::Reply(_) => _ = self.output.drain(),
            // The others go on.
            Ending::TimedOut if self.serves_several => _ = self.output.drain(),
            Ending::Exited { .. } | Ending::TimedOut => self.kill(),
        }
        (duration, ending)
    }

    /// Has the process stand still before the event comes that it is not to answer: it might be too quick otherwise.
    fn await_fate(&self, fate: Fate) {
        if fate != Fate::Kind {
            self.wait_until_idle();
            self.process.signal_group(Signal::STOP);
        }
    }

    /// Does to the process what `fate` has for it, once it has the event. True when its time is up by that.
    fn suffer(&self, fate: Fate, id: &str) -> bool {
        if fate == Fate::Kind {
            return false;
        }
        let limit = Instant::now() + EXIT;
        drop(self.runtime_api.wait_for(limit, |state| state.was_delivered(id) || state.exit.is_some()));
        if fate == Fate::Crash {
            self.process.signal_group(Signal::KILL);
        }
        fate == Fate::TimeOut
    }

    fn wait_until_idle(&self) {
        let limit = Instant::now() + EXIT;
        drop(self.runtime_api.wait_for(limit, |state| state.is_idle() || state.exit.is_some()));
    }

    /// Between two invocations: has the process stand still and loses its connections, where that is simulated.
    pub(crate) fn rest(&self) {
        if self.simulation.freeze.is_none() && !self.simulation.hang_up {
            return;
        }
        self.wait_until_idle();
        if let Some(duration) = self.simulation.freeze {
            self.process.signal_group(Signal::STOP);
            *self.frozen() = Some(Instant::now() + duration);
        }
        if self.simulation.hang_up {
            self.runtime_api.hang_up();
        }
    }

    /// Has it go on, not before its time.
    fn thaw(&self) {
        if let Some(until) = self.frozen().take() {
            thread::sleep(until.saturating_duration_since(Instant::now()));
            self.process.signal_group(Signal::CONT);
        }
    }

    fn frozen(&self) -> MutexGuard<'_, Option<Instant>> {
        self.frozen.lock().expect("the lock is not poisoned")
    }

    /// Peak memory of the process in megabytes, if it still runs.
    pub(crate) fn memory_used(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.runtime_api.wait_for(Instant::now(), |_| true).exit.is_some()
    }

    /// Ends the process as Lambda does in the shutdown phase: with notice and some time where there is an extension, at once
    /// where there is none, or in any case with notice.
    pub(crate) fn shut_down(&self, gives_notice: bool) {
        if gives_notice || self.runtime_api.wait_for(Instant::now(), |_| true).has_extensions() {
            self.process.signal_group(Signal::TERM);
            // It may stand still.
            self.process.signal_group(Signal::CONT);
            self.wait_for_exit(SHUTDOWN);
        }
        self.kill();
    }

    fn kill(&self) {
        self.process.signal_group(Signal::KILL);
        self.wait_for_exit(EXIT);
        self.output.drain();
        self.process.reap();
        self.runtime_api.stop();
    }

    fn wait_for_exit(&self, limit: Duration) {
        drop(self.runtime_api.wait_for(Instant::now() + limit, |state| state.exit.is_some()));
    }
}

//! A function and its execution environment: started when needed, replaced when it ends.

use std::{
    any::Any,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use crate::{
    execution_environment::{Ending, ExecutionEnvironment},
    function::Function,
    invocation::Invocation,
    log::Log,
    process::Exit,
    report::{self, Checkpoint, Init, Report, Status},
    runtime_api::{MAX_RESPONSE, Piece, Reply},
    simulation::Simulation,
};

/// How the Invoke API calls a function's failure.
const UNHANDLED: &str = "Unhandled";

/// What the caller gets, as it comes.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A streamed response begins.
    Beginning {
        /// Its content type.
        content_type: &'a str,
    },
    /// Some of a streamed response.
    Chunk(&'a [u8]),
    /// A streamed response has come to its end.
    End,
    /// A response that is not streamed.
    Whole(&'a [u8]),
    /// The JSON of what went wrong, be it in the middle of a streamed response.
    Fault(&'a [u8]),
}

/// What an invocation came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The function's response, or the JSON of what went wrong. Of a streamed response nothing: it has gone by.
    pub payload: Vec<u8>,
    /// What went wrong, in a word: `Unhandled`, or the type that a streamed response ended with.
    pub fault: Option<String>,
    /// The last 4 KB of the invocation's log.
    pub log_tail: Vec<u8>,
    /// What the log's last line reports.
    pub report: Report,
}

/// Runs one function in one execution environment. Invocations that it has no place for wait for each other.
pub struct Emulator {
    function: Function,
    /// How many invocations there can be at once; None where they come one by one.
    concurrency: Option<u16>,
    log: Arc<Log>,
    /// How many more invocations can be run.
    places: Mutex<u16>,
    /// Notified when there is one more.
    vacated: Condvar,
    /// Held by whoever sees to it that there is an environment.
    starting: Mutex<()>,
    /// Here from its start on, so that a shutdown reaches it in whatever phase it is.
    environment: Mutex<Option<Arc<ExecutionEnvironment>>>,
    observer: Option<Box<Observer>>,
    init_observer: Option<Box<InitObserver>>,
    simulation: Simulation,
    gives_notice: bool,
    /// How many invocations and how many init phases there were.
    invocations: AtomicU32,
    inits: AtomicU32,
}

type Observer = dyn Fn(&Invocation) + Send + Sync;
type InitObserver = dyn Fn() -> Box<dyn Any> + Send + Sync;

/// What became of a phase, ready to be reported.
struct Verdict {
    payload: Vec<u8>,
    /// What REPORT says went wrong.
    status: Option<Status>,
    fault: Option<String>,
    is_streamed: bool,
}

impl Verdict {
    fn show_to(&self, show: &mut dyn FnMut(Part<'_>)) {
        if self.fault.is_some() {
            show(Part::Fault(&self.payload));
        } else if self.is_streamed {
            show(Part::End);
        } else {
            show(Part::Whole(&self.payload));
        }
    }
}

impl Emulator {
    /// Prepares to run `function`; its log, as Lambda would write it, goes to `log`.
    #[must_use]
    pub fn new(function: Function, log: Box<dyn Write + Send>) -> Self {
        Emulator {
            function,
            concurrency: None,
            log: Arc::new(Log::new(log)),
            places: Mutex::new(1),
            vacated: Condvar::new(),
            starting: Mutex::new(()),
            environment: Mutex::new(None),
            observer: None,
            init_observer: None,
            simulation: Simulation::default(),
            gives_notice: false,
            invocations: AtomicU32::new(0),
            inits: AtomicU32::new(0),
        }
    }

    /// Gives the environment so many invocations at once, as Lambda Managed Instances do.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: u16) -> Self {
        self.concurrency = Some(concurrency);
        self.places = Mutex::new(concurrency);
        self
    }

    /// The function that is run.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Has `observer` see every invocation before the function does.
    #[must_use]
    pub fn observed(mut self, observer: impl Fn(&Invocation) + Send + Sync + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Calls `begin` when an init phase begins, and drops what it returns when that ends.
    #[must_use]
    pub fn during_init<T: 'static>(mut self, begin: impl Fn() -> T + Send + Sync + 'static) -> Self {
        self.init_observer = Some(Box::new(move || Box::new(begin())));
        self
    }

    /// Has the function meet what is simulated.
    #[must_use]
    pub fn simulating(mut self, simulation: Simulation) -> Self {
        self.simulation = simulation;
        self
    }

    /// Has the function's processes end with a SIGTERM even where no extension is registered, so that its shutdown hooks can be
    /// tried.
    #[must_use]
    pub fn giving_notice(mut self) -> Self {
        self.gives_notice = true;
        self
    }

    /// Runs the init phase now instead of at the first invocation. One that fails is run again then; what went wrong is in the log,
    /// and is returned as JSON.
    ///
    /// # Errors
    /// When there can be no process, or nothing be read of it.
    pub fn start(&self) -> io::Result<Option<Vec<u8>>> {
        let _place = self.take_place();
        Ok(self.running("")?.err().map(|(_, verdict)| verdict.payload))
    }

    /// What became of the function's checkpoint when the process started, if the function has one and it is turned on.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.environment().as_ref().and_then(|environment| environment.checkpoint())
    }

    /// Whether there is a process: there is none before the first start, after a crash and after an init phase that failed.
    pub fn is_running(&self) -> bool {
        self.environment().as_ref().is_some_and(|environment| !environment.has_ended())
    }

    /// Ends the process when the invocations that it runs have ended.
    pub fn retire(&self) {
        let _all: Vec<_> = (0..self.concurrency.unwrap_or(1)).map(|_| self.take_place()).collect();
        self.shut_down();
    }

    /// Runs the function once. A streamed response is waited for, and is as limited as any other.
    ///
    /// # Errors
    /// When there can be no process, or nothing be read of it. What the function does wrong is in the outcome.
    pub fn invoke(&self, invocation: &Invocation) -> io::Result<Outcome> {
        let mut streamed = Vec::new();
        let mut size = 0;
        let mut outcome = self.invoke_and_show(invocation, &mut |part| {
            if let Part::Chunk(chunk) = part {
                size += chunk.len();
                if size <= MAX_RESPONSE {
                    streamed.extend_from_slice(chunk);
                }
            }
        })?;
        if outcome.fault.is_none() && size > MAX_RESPONSE {
            outcome.fault = Some(UNHANDLED.to_owned());
            outcome.payload = too_large();
        } else if outcome.fault.is_none() && size > 0 {
            outcome.payload = streamed;
        }
        Ok(outcome)
    }

    /// Runs the function once; `show` is given what the caller gets while the log is still without its END and REPORT, and of a
    /// streamed response each part as it comes.
    ///
    /// # Errors
    /// Those of [`invoke`](Emulator::invoke).
    pub fn invoke_and_show(&self, invocation: &Invocation, show: &mut dyn FnMut(Part<'_>)) -> io::Result<Outcome> {
        let _place = self.take_place();
        if let Some(observe) = &self.observer {
            observe(invocation);
        }
        let first = self.attempt(invocation, show)?;
        match first {
            Some(outcome) => Ok(outcome),
            // The process ended between two invocations, after this one had come in: the event is not lost with it.
            None => match self.attempt(invocation, show)? {
                Some(outcome) => Ok(outcome),
                None => Err(io::Error::other(format!(
                    "{} ends after its init phase, without taking an event",
                    self.function.bootstrap.display()
                ))),
            },
        }
    }

    /// Writes a line into the function's log, for want of a caller to tell.
    pub(crate) fn note(&self, line: &str) {
        self.log.line(line);
    }

    /// Runs the function; None when the process ended before it saw the event.
    fn attempt(&self, invocation: &Invocation, show: &mut dyn FnMut(Part<'_>)) -> io::Result<Option<Outcome>> {
        let id = invocation.request_id.as_str();
        self.log.begin();
        let environment = match self.running(id)? {
            Ok(environment) => environment,
            Err((duration, verdict)) => {
                self.log.line(&report::start(id));
                verdict.show_to(show);
                return Ok(Some(self.finish(id, duration, None, None, verdict)));
            }
        };
        self.log.line(&report::start(id));
        let memory = environment.memory_used();
        let fate = self.simulation.fate(self.invocations.fetch_add(1, Ordering::Relaxed) + 1);
        let (duration, ending) = environment.invoke(invocation, fate, &mut |piece| match &piece {
            Piece::Beginning(content_type) => show(Part::Beginning { content_type }),
            Piece::Chunk(chunk) => show(Part::Chunk(chunk)),
        });
        let memory = environment.memory_used().or(memory);
        let mut verdict = self.verdict(&ending, id, invocation.timeout);
        match ending {
            // The function answered: what it answered is the caller's business, not REPORT's.
            Ending::Reply(_) => verdict.status = None,
            Ending::Exited { delivered: false, .. } => {
                self.forget(&environment);
                return Ok(None);
            }
            Ending::Exited { exit, .. } => {
                self.forget(&environment);
                let message = exit_message(exit);
                self.log.line(&format!("RequestId: {id} Error: {message}\nRuntime.ExitError"));
            }
            Ending::TimedOut if self.concurrency.is_some() => {}
            Ending::TimedOut => self.forget(&environment),
        }
        verdict.show_to(show);
        let init = environment.unreported_init();
        let outcome = self.finish(id, duration, init, memory, verdict);
        environment.rest();
        Ok(Some(outcome))
    }

    /// Ends the process as Lambda does; an invocation that runs meanwhile fails.
    pub fn shut_down(&self) {
        let environment = self.environment().take();
        if let Some(environment) = environment {
            environment.shut_down(self.gives_notice);
        }
    }

    /// The environment that runs, or a new one; or how long its init phase took and how it failed.
    fn running(&self, request_id: &str) -> io::Result<Result<Arc<ExecutionEnvironment>, (Duration, Verdict)>> {
        let _alone = self.starting.lock().expect("the lock is not poisoned");
        let present = self.environment().clone();
        if let Some(environment) = present {
            if !environment.has_ended() {
                return Ok(Ok(environment));
            }
            environment.shut_down(self.gives_notice);
        }
        let mut simulation = self.simulation.clone();
        simulation.init_crash &= self.inits.fetch_add(1, Ordering::Relaxed) == 0;
        let environment = ExecutionEnvironment::start(&self.function, self.concurrency, &self.log, &simulation)
            .map_err(|error| {
                let (bootstrap, task) = (self.function.bootstrap.display(), self.function.task.display());
                io::Error::new(error.kind(), format!("starting {bootstrap} in {task}: {error}"))
            })?;
        let environment = Arc::new(environment);
        *self.environment() = Some(Arc::clone(&environment));
        let observed = self.init_observer.as_ref().map(|begin| begin());
        let initialised = environment.initialise();
        drop(observed);
        let Err((duration, ending)) = initialised else {
            return Ok(Ok(environment));
        };
        self.forget(&environment);
        let verdict = self.verdict(&ending, request_id, None);
        if let Some(status) = &verdict.status {
            self.log.line(&report::init(duration, status));
        }
        Ok(Err((duration, verdict)))
    }

    fn finish(
        &self,
        request_id: &str,
        duration: Duration,
        init: Option<Init>,
        memory: Option<u64>,
        verdict: Verdict,
    ) -> Outcome {
        self.log.line(&report::end(request_id));
        let report = Report {
            request_id: request_id.to_owned(),
            duration,
            memory: self.function.memory,
            memory_used: memory.unwrap_or_default(),
            init,
            status: verdict.status,
        };
        self.log.line(&report.line());
        Outcome { payload: verdict.payload, fault: verdict.fault, log_tail: self.log.tail(), report }
    }

    /// Says an ending in Lambda's words.
    fn verdict(&self, ending: &Ending, request_id: &str, timeout: Option<Duration>) -> Verdict {
        let answered = |payload: Vec<u8>, fault: Option<&str>| Verdict {
            payload,
            status: None,
            fault: fault.map(str::to_owned),
            is_streamed: false,
        };
        let failed = |error_type: &str, message: String, status: Status| {
            let message = format!("RequestId: {request_id} Error: {message}");
            let payload = json!({"errorType": error_type, "errorMessage": message}).to_string();
            Verdict { status: Some(status), ..answered(payload.into(), Some(UNHANDLED)) }
        };
        match ending {
            Ending::Reply(Reply::Response(payload)) => answered(payload.clone(), None),
            Ending::Reply(Reply::Streamed) => Verdict { is_streamed: true, ..answered(Vec::new(), None) },
            Ending::Reply(Reply::Error { payload, error_type }) => Verdict {
                status: Some(Status::Error { error_type: error_type.clone() }),
                ..answered(payload.clone(), Some(UNHANDLED))
            },
            Ending::Reply(Reply::Broken { payload, error_type }) => answered(payload.clone(), Some(error_type)),
            Ending::Exited { exit, .. } => {
                let error_type = "Runtime.ExitError".to_owned();
                failed("Runtime.ExitError", exit_message(*exit), Status::Error { error_type })
            }
            Ending::TimedOut => {
                let seconds = timeout.unwrap_or(self.function.timeout).as_secs_f64();
                failed("Sandbox.Timedout", format!("Task timed out after {seconds:.2} seconds"), Status::Timeout)
            }
        }
    }

    /// An environment has ended. Another one may be there already.
    fn forget(&self, ended: &Arc<ExecutionEnvironment>) {
        self.environment().take_if(|present| Arc::ptr_eq(present, ended));
    }

    fn environment(&self) -> MutexGuard<'_, Option<Arc<ExecutionEnvironment>>> {
        self.environment.lock().expect("the lock is not poisoned")
    }

    /// Waits for a place; it is given back when the guard goes.
    fn take_place(&self) -> impl Drop {
        struct Place<'a>(&'a Emulator);
        impl Drop for Place<'_> {
            fn drop(&mut self) {
                *self.0.places.lock().expect("the lock is not poisoned") += 1;
                self.0.vacated.notify_one();
            }
        }
        let places = self.places.lock().expect("the lock is not poisoned");
        *self.vacated.wait_while(places, |places| *places == 0).expect("the lock is not poisoned") -= 1;
        Place(self)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// What the caller gets of a response over the limit.
fn too_large() -> Vec<u8> {
    let message = format!("Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
    json!({"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}).to_string().into()
}

/// How a process ended, in the words of the Go library that Lambda is written with.
fn exit_message(exit: Exit) -> String {
    let signal = match exit {
        Exit::Code(0) => return "Runtime exited without providing a reason".to_owned(),
        Exit::Code(code) => return format!("Runtime exited with error: exit status {code}"),
        Exit::Signal(1) => "hangup",
        Exit::Signal(2) => "interrupt",
        Exit::Signal(3) => "quit",
        Exit::Signal(4) => "illegal instruction",
        Exit::Signal(5) => "trace/breakpoint trap",
        Exit::Signal(6) => "aborted",
        Exit::Signal(7) => "bus error",
        Exit::Signal(8) => "floating point exception",
        Exit::Signal(9) => "killed",
        Exit::Signal(10) => "user defined signal 1",
        Exit::Signal(11) => "segmentation fault",
        Exit::Signal(12) => "user defined signal 2",
        Exit::Signal(13) => "broken pipe",
        Exit::Signal(14) => "alarm clock",
        Exit::Signal(15) => "terminated",
        Exit::Signal(other) => return format!("Runtime exited with error: signal: signal {other}"),
    };
    format!("Runtime exited with error: signal: {signal}")
}

//! Waits for Lambda and for signals at once.
//!
//! CPython's C signal handler writes a byte to the descriptor of `signal.set_wakeup_fd`. The wait ends, and the function's own handler runs
//! within milliseconds instead of at the next invocation. The descriptor is ours only while the runtime waits, because asyncio, trio
//! and others ask whose it is. SIGTERM without a handler of the function's is the one signal that Python does not handle: see
//! [`sigterm`]. Its handler is registered after CPython has looked, so that `signal.getsignal` returns SIG_DFL, and before the
//! function's code runs, so that `signal.signal` replaces it.

use crate::invoke::event_loop::EventLoop;
use crate::invoke::forked;
use crate::invoke::signal_mask::SignalMask;
use crate::invoke::sigterm;
use crate::shutdown::{self, ExitReason};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use signal_hook::SigId;
use std::ffi::c_int;
use std::future::Future;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{ptr, thread};
use tokio::net::UnixStream as AsyncUnixStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

unsafe extern "C" {
    /// What `signal.set_wakeup_fd` does, without asking the kernel about the descriptor. Part of CPython's C interface.
    safe fn PySignal_SetWakeupFd(descriptor: c_int) -> c_int;
}

/// No descriptor.
const NONE: RawFd = -1;

/// How often signals are looked for where nothing can wake us, as the function has closed one of our descriptors.
const DEAF: Duration = Duration::from_millis(100);

/// Why a wait was given up.
pub enum Interruption {
    /// A signal handler of the function's raised.
    Raised(PyErr),
    /// SIGTERM, and the function has no handler for it.
    Terminated,
}

impl From<Interruption> for ExitReason {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Raised(error) => Self::Raised(error),
            Interruption::Terminated => Self::Terminated,
        }
    }
}

/// Why there was no wait beside the event loop, or why it was given up.
enum BesideLoop {
    Interrupted(Interruption),
    /// The process may have no other.
    NoThread,
}

impl From<Interruption> for BesideLoop {
    fn from(interruption: Interruption) -> Self {
        Self::Interrupted(interruption)
    }
}

/// Waits for Lambda and for signals at once, on this thread.
pub struct Driver {
    tokio: Runtime,
    wakeups: AsyncUnixStream,
    busy: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    /// What signal-hook does about SIGTERM. None beside the main thread: signals are that one's.
    action: Option<SigId>,
    /// What a signal handler raised while a response was on its way. It counts when that has been acknowledged.
    raised: Mutex<Option<PyErr>>,
    /// The end that CPython and signal-hook write to.
    sender: UnixStream,
    /// What async handlers have going on runs while we wait.
    pub event_loop: EventLoop,
}

impl Driver {
    /// Takes charge of the signals. To be called after CPython has started and before the function's code runs.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let mut driver = Self::without_signals(py)?;
        driver.busy = forked::take_charge();
        driver.action = Some(sigterm::watch(&driver.busy, &driver.terminated, &driver.sender)?);
        // CPython keeps this choice until it is given another descriptor by this function.
        let options = PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        // The C module under `signal`, which itself imports enum.
        let set_wakeup_fd = py.import("_signal")?.getattr("set_wakeup_fd")?;
        let before: RawFd = set_wakeup_fd.call((driver.sender.as_raw_fd(),), Some(&options))?.extract()?;
        PySignal_SetWakeupFd(before);
        Ok(driver)
    }

    /// The same in a forked worker: what [`new`](Self::new) made belongs to its parent, too.
    pub fn after_fork(&self, py: Python<'_>) -> PyResult<Self> {
        if let Some(action) = self.action {
            signal_hook::low_level::unregister(action);
        }
        Self::new(py)
    }

    /// For a thread that is not the main one. Only [`interrupt`](Self::interrupt) ends its waits.
    pub fn without_signals(_py: Python<'_>) -> PyResult<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wakeups = {
            let _inside = tokio.enter();
            AsyncUnixStream::from_std(receiver)?
        };
        let event_loop = EventLoop::new(wakeups.as_raw_fd());
        Ok(Self {
            tokio,
            wakeups,
            busy: Arc::new(AtomicBool::new(true)),
            terminated: Arc::default(),
            action: None,
            raised: Mutex::default(),
            event_loop,
            sender,
        })
    }

    /// Waits for `future` without holding Python, and runs the function's signal handlers meanwhile. Given up when one of them
    /// raises, and on SIGTERM without one.
    pub fn wait<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked::leave_forked_process(py);
        self.is_to_end()?;
        let mut future = pin!(future);
        let is_deaf = self.is_deaf();
        if self.event_loop.is_open(py) && !is_deaf {
            match self.wait_beside_loop(py, future.as_mut()) {
                // Without a thread the event loop has to stand still meanwhile.
                Err(BesideLoop::NoThread) => {}
                Err(BesideLoop::Interrupted(interruption)) => return Err(interruption),
                Ok(output) => return Ok(output),
            }
        }
        let _woken = (!is_deaf).then(|| self.be_woken(py, Others::Replaced));
        // What came while the descriptor was not ours.
        py.check_signals().map_err(Interruption::Raised)?;
        let _idle = self.idle();
        loop {
            let outcome = py.detach(|| {
                self.tokio.block_on(async {
                    tokio::select! {
                        // Signals first: one that came before must be served before the future does anything.
                        biased;
                        _ = self.wakeups.readable() => None,
                        output = future.as_mut() => Some(output),
                        () = async { sleep(DEAF).await }, if is_deaf => None,
                    }
                })
            });
            if let Some(output) = outcome {
                return Ok(output);
            }
            self.drain();
            if self.terminated.load(Ordering::SeqCst) {
                return Err(Interruption::Terminated);
            }
            py.check_signals().map_err(Interruption::Raised)?;
        }
    }

    /// The same for what mostly needs no waiting: with the event loop open, that would be a thread each time.
    pub fn wait_if_needed<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked::leave_forked_process(py);
        let mut future = pin!(future);
        let at_once = py.detach(|| {
            self.tokio.block_on(async {
                tokio::select! {
                    biased;
                    output = future.as_mut() => Some(output),
                    // The connection's own task has a turn or two meanwhile.
                    () = async { for _ in 0..2 { tokio::task::yield_now().await } } => None,
                }
            })
        });
        match at_once {
            Some(output) => Ok(output),
            None => self.wait(py, future),
        }
    }

    /// [`wait`](Self::wait) with the event loop running on this thread, and `future` on another one: asyncio has no place for a wait that is
    /// not its own. Signals stay with this thread. The loop has their descriptor itself where the function gave it a handler.
    fn wait_beside_loop<F>(&self, py: Python<'_>, future: Pin<&mut F>) -> Result<F::Output, BesideLoop>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let _woken = self.be_woken(py, Others::Kept);
        py.check_signals().map_err(Interruption::Raised)?;
        let _idle = self.idle();
        let output = Mutex::new(None);
        let given_up = Notify::new();
        let wait = || {
            // Signals stay with the thread that runs Python.
            SignalMask::block();
            let outcome = self.tokio.block_on(async {
                tokio::select! {
                    output = future => Some(output),
                    () = given_up.notified() => None,
                }
            });
            *output.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
            // Nobody reads more than that there is something to read: a full buffer says it, too.
            let _ = (&self.sender).write(&[0]);
        };
        let interruption = thread::scope(|scope| {
            if thread::Builder::new().spawn_scoped(scope, wait).is_err() {
                return Err(BesideLoop::NoThread);
            }
            let interruption = loop {
                if let Err(error) = self.event_loop.idle(py).and_then(|()| py.check_signals()) {
                    break Some(Interruption::Raised(error));
                }
                if self.terminated.load(Ordering::SeqCst) {
                    break Some(Interruption::Terminated);
                }
                if output.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    break None;
                }
            };
            given_up.notify_one();
            Ok(interruption)
        })?;
        match (interruption, output.into_inner().unwrap_or_else(PoisonError::into_inner)) {
            (None, Some(output)) => Ok(output),
            (interruption, _) => Err(interruption.unwrap_or(Interruption::Terminated).into()),
        }
    }

    /// Runs `future` to its end without holding Python: a response that is on its way must arrive. Signal handlers run meanwhile. What
    /// they raise counts at the next wait, or when [`shutdown::LIMIT`] is over: then the future is given up.
    pub fn complete<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked::leave_forked_process(py);
        let mut future = pin!(future);
        let _woken = self.be_woken(py, Others::Kept);
        let _idle = self.idle();
        let mut ends_at = None;
        loop {
            // Also before the first wait: nothing wakes us for what came while the descriptor was not ours.
            if let Err(error) = py.check_signals() {
                // Whoever asks twice does not want to wait.
                if self.raised().replace(error).is_some() {
                    self.is_to_end()?;
                }
                ends_at = Some(Instant::now() + shutdown::LIMIT);
            }
            if ends_at.is_some_and(|end| end <= Instant::now()) {
                self.is_to_end()?;
            }
            let outcome = py.detach(|| {
                self.tokio.block_on(async {
                    tokio::select! {
                        biased;
                        output = future.as_mut() => Some(output),
                        _ = self.wakeups.readable() => None,
                        () = async { if let Some(end) = ends_at { sleep_until(end).await } }, if ends_at.is_some() => None,
                    }
                })
            });
            if let Some(output) = outcome {
                return Ok(output);
            }
            self.drain();
        }
    }

    /// Whether something that came while a response was on its way ends the process.
    fn is_to_end(&self) -> Result<(), Interruption> {
        if let Some(error) = self.raised().take() {
            return Err(Interruption::Raised(error));
        }
        if self.terminated.load(Ordering::SeqCst) { Err(Interruption::Terminated) } else { Ok(()) }
    }

    fn raised(&self) -> MutexGuard<'_, Option<PyErr>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the guard is dropped, CPython's C handlers wake us. Called and dropped by the thread that is attached to Python.
    fn be_woken<'py>(&self, py: Python<'py>, others: Others) -> Woken<'py> {
        let ours = self.sender.as_raw_fd();
        // BesideLoop the main thread signals are not ours.
        let mut woken = Woken { ours: NONE, before: NONE, _attached: py };
        if self.action.is_some() {
            let before = PySignal_SetWakeupFd(ours);
            if before != NONE && matches!(others, Others::Kept) {
                PySignal_SetWakeupFd(before);
            } else {
                woken = Woken { ours, before, ..woken };
            }
        }
        woken
    }

    /// Whether nothing can wake us: the function has closed one of the two descriptors, and may have opened something else there.
    fn is_deaf(&self) -> bool {
        // SAFETY: asks the kernel about a number, and sends nothing.
        let sent =
            unsafe { libc::send(self.sender.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        sent < 0 && self.action.is_some()
    }

    /// Gives up this driver's wait and every later one, as SIGTERM does.
    pub fn interrupt(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        // A full buffer wakes it as well.
        let _ = (&self.sender).write(&[0]);
    }

    /// Until the guard is dropped, SIGTERM is ours to note. Afterwards a second one is not ours to delay.
    pub fn idle(&self) -> impl Drop {
        struct Idle<'a>(&'a AtomicBool);
        impl Drop for Idle<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        self.busy.store(false, Ordering::SeqCst);
        Idle(&self.busy)
    }

    /// Takes what the handlers wrote. How many wrote does not matter, CPython keeps count itself.
    fn drain(&self) {
        let mut bytes = [0; 64];
        while self.wakeups.try_read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }
}

/// Whether a descriptor of somebody else's stays where CPython has one.
#[derive(Clone, Copy)]
enum Others {
    /// An event loop of the function's has it, and calls the function's handlers itself.
    Kept,
    /// Until the wait is over.
    Replaced,
}

/// The time in which CPython's C handlers wake us.
struct Woken<'py> {
    ours: RawFd,
    before: RawFd,
    _attached: Python<'py>,
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        if self.ours != NONE {
            let now = PySignal_SetWakeupFd(self.before);
            // A signal handler, or a task of the event loop, has put its own there.
            if now != self.ours {
                PySignal_SetWakeupFd(now);
            }
        }
    }
}

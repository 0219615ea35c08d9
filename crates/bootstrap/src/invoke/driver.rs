//! Waits for Lambda and for signals at once.
//!
//! CPython's C signal handler writes a byte to the descriptor of `signal.set_wakeup_fd`. The wait ends, and the function's own handler runs
//! within milliseconds instead of at the next invocation. The descriptor is ours only while the runtime waits, because asyncio, trio and
//! others ask who owns it. SIGTERM without a handler of the function's is the one signal that Python does not handle: see [`sigterm`]. Its
//! handler is registered after CPython has looked, so that `signal.getsignal` returns SIG_DFL, and before the function's code runs, so that
//! `signal.signal` replaces it.

use crate::invoke::event_loop::EventLoop;
use crate::invoke::forked_children;
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
    /// Does what `signal.set_wakeup_fd` does, without asking the kernel about the descriptor. Part of CPython's C interface.
    safe fn PySignal_SetWakeupFd(descriptor: c_int) -> c_int;
}

/// No descriptor.
const NONE: RawFd = -1;

/// How often the driver looks for signals if nothing can wake it, because the function has closed one of its descriptors.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why a wait was interrupted.
pub enum Interruption {
    /// A signal handler of the function's raised an exception.
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

/// Why a wait with the event loop running did not end.
enum LoopWaitError {
    Interrupted(Interruption),
    /// The process may not start another thread.
    NoThread,
}

impl From<Interruption> for LoopWaitError {
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
    /// The handler of SIGTERM. `None` outside the main thread, which gets all signals.
    action: Option<SigId>,
    /// An exception of a signal handler that ran while a response was sent. It counts when the response has been acknowledged.
    raised: Mutex<Option<PyErr>>,
    /// The end that CPython and signal-hook write to.
    sender: UnixStream,
    /// Tasks that async handlers have started run while the runtime waits.
    pub event_loop: EventLoop,
}

impl Driver {
    /// Installs the signal handlers. Call this after CPython has started and before the function's code runs.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let mut driver = Self::without_signals(py)?;
        driver.busy = forked_children::take_charge();
        driver.action = Some(sigterm::watch(&driver.busy, &driver.terminated, &driver.sender)?);
        // CPython keeps this option until the function `set_wakeup_fd` is called again.
        let options = PyDict::new(py);
        options.set_item("warn_on_full_buffer", false)?;
        // `_signal` is the C module below `signal`, which would import enum.
        let set_wakeup_fd = py.import("_signal")?.getattr("set_wakeup_fd")?;
        let before: RawFd = set_wakeup_fd.call((driver.sender.as_raw_fd(),), Some(&options))?.extract()?;
        PySignal_SetWakeupFd(before);
        Ok(driver)
    }

    /// The driver of a forked worker process. The one that [`new`](Self::new) made belongs to its parent.
    pub fn after_fork(&self, py: Python<'_>) -> PyResult<Self> {
        if let Some(action) = self.action {
            signal_hook::low_level::unregister(action);
        }
        Self::new(py)
    }

    /// A driver for a thread that is not the main one. Only [`interrupt`](Self::interrupt) ends its waits.
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

    /// Waits for `future` without holding Python, and runs the function's signal handlers meanwhile. An exception of a handler interrupts
    /// the wait, and so does SIGTERM without a handler.
    pub fn wait<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked_children::leave_forked_process(py);
        self.check_exit()?;
        let mut future = pin!(future);
        let cannot_be_woken = self.cannot_be_woken();
        if self.event_loop.is_open(py) && !cannot_be_woken {
            match self.wait_with_loop(py, future.as_mut()) {
                // Without a thread the event loop stands still during the wait.
                Err(LoopWaitError::NoThread) => {}
                Err(LoopWaitError::Interrupted(interruption)) => return Err(interruption),
                Ok(output) => return Ok(output),
            }
        }
        let _wakeup_fd = (!cannot_be_woken).then(|| self.take_wakeup_fd(py, ForeignFd::Replaced));
        // Signals may have come while the descriptor was not ours.
        py.check_signals().map_err(Interruption::Raised)?;
        let _idle = self.idle();
        loop {
            let outcome = py.detach(|| {
                self.tokio.block_on(async {
                    tokio::select! {
                        // Signals first: an earlier signal is handled before the future makes progress.
                        biased;
                        _ = self.wakeups.readable() => None,
                        output = future.as_mut() => Some(output),
                        () = async { sleep(POLL_INTERVAL).await }, if cannot_be_woken => None,
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

    /// The same for a future that is mostly ready. With the event loop open, [`wait`](Self::wait) would start a thread each time.
    pub fn wait_if_needed<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked_children::leave_forked_process(py);
        let mut future = pin!(future);
        let at_once = py.detach(|| {
            self.tokio.block_on(async {
                tokio::select! {
                    biased;
                    output = future.as_mut() => Some(output),
                    // Meanwhile the connection's own task runs once or twice.
                    () = async { for _ in 0..2 { tokio::task::yield_now().await } } => None,
                }
            })
        });
        match at_once {
            Some(output) => Ok(output),
            None => self.wait(py, future),
        }
    }

    /// [`wait`](Self::wait) with the event loop running on this thread and `future` on another one, because asyncio cannot wait for a
    /// future of tokio's. Signals stay with this thread. If the function gave the loop a signal handler, the loop has the wakeup descriptor
    /// itself.
    fn wait_with_loop<F>(&self, py: Python<'_>, future: Pin<&mut F>) -> Result<F::Output, LoopWaitError>
    where
        F: Future + Send,
        F::Output: Send,
    {
        let _wakeup_fd = self.take_wakeup_fd(py, ForeignFd::Kept);
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
            // If the buffer is full, the reader is woken as well.
            let _ = (&self.sender).write(&[0]);
        };
        let interruption = thread::scope(|scope| {
            if thread::Builder::new().spawn_scoped(scope, wait).is_err() {
                return Err(LoopWaitError::NoThread);
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

    /// Runs `future` to its end without holding Python: a response that is on its way must arrive. Signal handlers run meanwhile. Their
    /// exceptions count at the next wait, or after [`shutdown::LIMIT`], when the future is dropped.
    pub fn complete<F>(&self, py: Python<'_>, future: F) -> Result<F::Output, Interruption>
    where
        F: Future + Send,
        F::Output: Send,
    {
        forked_children::leave_forked_process(py);
        let mut future = pin!(future);
        let _wakeup_fd = self.take_wakeup_fd(py, ForeignFd::Kept);
        let _idle = self.idle();
        let mut ends_at = None;
        loop {
            // Also before the first wait: nothing wakes the driver for signals that came while the descriptor was not ours.
            if let Err(error) = py.check_signals() {
                // A second exception ends the wait at once.
                if self.raised().replace(error).is_some() {
                    self.check_exit()?;
                }
                ends_at = Some(Instant::now() + shutdown::LIMIT);
            }
            if ends_at.is_some_and(|end| end <= Instant::now()) {
                self.check_exit()?;
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

    /// Fails if a signal that came while a response was sent ends the process.
    fn check_exit(&self) -> Result<(), Interruption> {
        if let Some(error) = self.raised().take() {
            return Err(Interruption::Raised(error));
        }
        if self.terminated.load(Ordering::SeqCst) { Err(Interruption::Terminated) } else { Ok(()) }
    }

    fn raised(&self) -> MutexGuard<'_, Option<PyErr>> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the guard is dropped, CPython's C handlers wake this driver. The thread that is attached to Python calls and drops it.
    fn take_wakeup_fd<'py>(&self, py: Python<'py>, foreign: ForeignFd) -> WakeupFd<'py> {
        let ours = self.sender.as_raw_fd();
        // Outside the main thread signals are not ours.
        let mut wakeup_fd = WakeupFd { ours: NONE, before: NONE, _attached: py };
        if self.action.is_some() {
            let before = PySignal_SetWakeupFd(ours);
            if before != NONE && matches!(foreign, ForeignFd::Kept) {
                PySignal_SetWakeupFd(before);
            } else {
                wakeup_fd = WakeupFd { ours, before, ..wakeup_fd };
            }
        }
        wakeup_fd
    }

    /// Whether nothing can wake the driver: the function has closed one of its two descriptors, and may have opened something else there.
    fn cannot_be_woken(&self) -> bool {
        // SAFETY: asks the kernel about a number, and sends nothing.
        let sent =
            unsafe { libc::send(self.sender.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        sent < 0 && self.action.is_some()
    }

    /// Interrupts this driver's wait and every later one, as SIGTERM does.
    pub fn interrupt(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        // If the buffer is full, the driver is woken as well.
        let _ = (&self.sender).write(&[0]);
    }

    /// Until the guard is dropped, SIGTERM only sets a flag. After that, SIGTERM ends the process at once.
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

    /// Reads what the handlers wrote. The number of bytes does not matter, because CPython counts signals itself.
    fn drain(&self) {
        let mut bytes = [0; 64];
        while self.wakeups.try_read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }
}

/// What to do if the wakeup descriptor belongs to somebody else.
#[derive(Clone, Copy)]
enum ForeignFd {
    /// It stays: an event loop of the function's has it, and calls the function's handlers itself.
    Kept,
    /// It is replaced until the wait is over.
    Replaced,
}

/// CPython's C handlers wake the driver while this lives.
struct WakeupFd<'py> {
    ours: RawFd,
    before: RawFd,
    _attached: Python<'py>,
}

impl Drop for WakeupFd<'_> {
    fn drop(&mut self) {
        if self.ours != NONE {
            let now = PySignal_SetWakeupFd(self.before);
            // A signal handler or a task of the event loop has installed its own descriptor.
            if now != self.ours {
                PySignal_SetWakeupFd(now);
            }
        }
    }
}

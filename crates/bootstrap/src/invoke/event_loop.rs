//! Async handlers: awaits what a handler returned, on one event loop that lives as long as the process.
//!
//! The loop is asyncio's or the one that the function chose, and runs on this thread (python/src/whipsnake/_event_loop.py). It also runs
//! while the runtime waits for Lambda, so that background tasks continue between invocations; see `Driver`.

use crate::invoke::forked_children;
use crate::report::traceback::{self, Failure};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyCFunction;
use std::os::fd::RawFd;

/// The event loop. It is made when a handler returns an awaitable for the first time.
pub struct EventLoop {
    python: PyOnceLock<Py<PyAny>>,
    /// A descriptor that can be read when the loop is to stop idling.
    wakeup_fd: RawFd,
    /// Whether it runs on another thread.
    is_on_other_thread: bool,
}

impl EventLoop {
    pub fn new(wakeup_fd: RawFd) -> Self {
        Self { python: PyOnceLock::new(), wakeup_fd, is_on_other_thread: false }
    }

    /// The loop of another thread, which this thread only waits for.
    pub fn of_other_thread(py: Python<'_>, event_loop: Py<PyAny>) -> Self {
        let python = PyOnceLock::new();
        python.get_or_init(py, || event_loop);
        Self { python, wakeup_fd: -1, is_on_other_thread: true }
    }

    /// Awaits a handler's result if it is awaitable. Other results are returned as they are.
    pub fn outcome_of<'py>(&self, result: Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Failure> {
        if !is_awaitable(&result) {
            return Ok(result);
        }
        let py = result.py();
        let raised = |error| traceback::failure(py, error);
        let future =
            self.opened(py).and_then(|event_loop| event_loop.call_method1("run", (result,))).map_err(raised)?;
        match future.call_method0("exception") {
            Ok(exception) if exception.is_none() => future.call_method0("result").map_err(raised),
            Ok(exception) => Err(raised(PyErr::from_value(exception))),
            // The function has cancelled its own task. That fails the invocation, although CancelledError is no `Exception`.
            Err(cancelled) => Err(traceback::reported(py, cancelled)),
        }
    }

    /// An iterator over the items of an async iterator. It runs the loop from one item to the next.
    pub fn steps<'py>(&self, items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.opened(items.py())?.call_method1("steps", (items,))
    }

    /// Whether an error is asyncio's CancelledError, which is no `Exception`.
    pub fn is_cancellation(py: Python<'_>, error: &PyErr) -> bool {
        let class = py.import("asyncio").and_then(|asyncio| asyncio.getattr("CancelledError"));
        class.is_ok_and(|class| error.matches(py, class).unwrap_or(false))
    }

    /// Runs the loop, if there is one, until the wakeup descriptor can be read.
    pub fn idle(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, "idle")
    }

    /// Whether there is a loop on this thread.
    pub fn is_open(&self, py: Python<'_>) -> bool {
        !self.is_on_other_thread && self.python.get(py).is_some()
    }

    /// Cancels the loop's tasks, and closes it.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.call(py, "close")
    }

    fn call(&self, py: Python<'_>, method: &str) -> PyResult<()> {
        match self.python.get(py) {
            Some(event_loop) => event_loop.bind(py).call_method0(method).map(drop),
            None => Ok(()),
        }
    }

    /// The loop as Python has it. Makes it if there is none.
    pub fn opened<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        let make = || {
            let module = py.import("whipsnake._event_loop")?;
            let leave = PyCFunction::new_closure(py, Some(c"leave_forked_process"), None, |arguments, _| {
                forked_children::leave_forked_process(arguments.py());
            })?;
            Ok::<_, PyErr>(module.call_method1("EventLoop", (self.wakeup_fd, leave))?.unbind())
        };
        Ok(self.python.get_or_try_init(py, make)?.bind(py))
    }
}

/// Whether a value can be awaited: a coroutine, a future, anything with `__await__`.
fn is_awaitable(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached, and the instance keeps its type alive. A type without the slot gives null.
    !unsafe { ffi::PyType_GetSlot(value.get_type_ptr(), ffi::Py_am_await) }.is_null()
}

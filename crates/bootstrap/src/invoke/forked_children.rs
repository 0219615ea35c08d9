//! Processes that the function forks. What the runtime talks to Lambda with belongs to their parent.

use crate::report::notices::notice;
use crate::report::{log, stdio};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// True while the function's code may run, and in every forked child. Then SIGTERM without a handler ends the process at once, as it does
/// under the managed runtime. While the runtime waits it is false, and the process ends in order.
static BUSY: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// True in a process that the function has forked.
static IS_FORKED: AtomicBool = AtomicBool::new(false);

/// Makes this process the one that talks to Lambda. Returns the flag that says whether the function's code may run.
pub fn take_charge() -> Arc<AtomicBool> {
    IS_FORKED.store(false, Ordering::Relaxed);
    Arc::clone(BUSY.get_or_init(|| Arc::new(AtomicBool::new(true))))
}

/// Has forked children noticed. A child that a background thread forks while the runtime waits must die of SIGTERM, and must not wake its
/// parent.
pub fn watch() {
    // SAFETY: the function stores to atomics and to a lock, which is allowed after fork.
    unsafe { libc::pthread_atfork(None, None, Some(after_fork)) };
}

extern "C" fn after_fork() {
    IS_FORKED.store(true, Ordering::Relaxed);
    log::after_fork();
    if let Some(busy) = BUSY.get() {
        busy.store(true, Ordering::SeqCst);
    }
}

/// Whether the function has forked this process.
pub fn is_forked() -> bool {
    IS_FORKED.load(Ordering::Relaxed)
}

/// Ends a process that the function has forked and that has returned from the handler. It would respond to its parent's invocation again and
/// ask for another one over its parent's connection, and each would read bytes that are meant for the other.
pub fn leave_forked_process(py: Python<'_>) {
    if is_forked() {
        stdio::flush(py);
        notice("a process that the function has forked came back from the handler, and ends: end it with os._exit");
        // SAFETY: ends the process and runs no exit functions, so that nothing of its parent's is touched.
        unsafe { libc::_exit(1) }
    }
}

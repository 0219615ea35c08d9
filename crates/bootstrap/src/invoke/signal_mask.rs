//! Blocked signals.

use std::time::Duration;
use std::{mem, ptr};

/// All signals are blocked for this thread until [`Self::restore`]. The handlers stay as they are, and signals can be waited for.
pub struct SignalMask {
    before: libc::sigset_t,
}

impl SignalMask {
    /// Blocks them for this thread.
    pub fn block() -> Self {
        // SAFETY: fills sets on the stack and applies one to this thread.
        unsafe {
            let mut all = mem::zeroed();
            let mut before = mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
            Self { before }
        }
    }

    /// Waits for a signal and takes it. `None` if no signal comes within the limit.
    pub fn wait(&self, limit: Option<Duration>) -> Option<i32> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: as above; the limit outlives the call.
        let signal = unsafe {
            let mut all = mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigtimedwait(&raw const all, ptr::null_mut(), limit)
        };
        (signal > 0).then_some(signal)
    }

    /// Restores the mask that the thread had before.
    pub fn restore(&self) {
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

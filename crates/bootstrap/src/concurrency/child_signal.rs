//! The handler of SIGCHLD in the supervisor.

use signal_hook::consts::SIGCHLD;
use std::{mem, ptr};

/// What the process does about SIGCHLD. If the function ignores that signal, or the process that started this one did, the system sends no
/// signal when a child ends and keeps no exit status.
pub struct ChildSignal {
    before: libc::sigaction,
}

impl ChildSignal {
    /// Sets the default, which the supervisor needs.
    pub fn take() -> Self {
        // SAFETY: zeros are a valid action, the default one; the current action is read into a value on the stack.
        unsafe {
            let default: libc::sigaction = mem::zeroed();
            let mut before = mem::zeroed();
            libc::sigaction(SIGCHLD, &raw const default, &raw mut before);
            Self { before }
        }
    }

    /// Restores the handler that was there before.
    pub fn restore(&self) {
        // SAFETY: an action that was set in this program before.
        unsafe { libc::sigaction(SIGCHLD, &raw const self.before, ptr::null_mut()) };
    }
}

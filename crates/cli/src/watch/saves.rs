//! Has events wait for the code that was saved before they came.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::changes::PATIENCE;

/// An event waits no longer than this: a function that writes into its own folder all the time is served nevertheless.
const LIMIT: Duration = PATIENCE.saturating_mul(2);

/// Whether all that was saved is deployed.
///
/// The kernel queues an inotify event before the call that saves a file returns. So an event for the function that comes after a
/// save finds it either in that queue, or taken from there and not yet deployed.
pub struct Saves {
    inotify: Arc<OwnedFd>,
    /// Whether something was taken from the queue that is not deployed.
    is_deploying: Mutex<bool>,
    changed: Condvar,
}

impl Saves {
    /// Saves of which an inotify instance tells.
    pub fn of(inotify: Arc<OwnedFd>) -> Saves {
        Saves { inotify, is_deploying: Mutex::new(false), changed: Condvar::new() }
    }

    /// What is in the queue will now be taken from it.
    pub fn begin(&self) {
        *self.is_deploying() = true;
    }

    /// What was taken from the queue is deployed.
    pub fn end(&self) {
        *self.is_deploying() = false;
        self.changed.notify_all();
    }

    /// Waits until what was saved before this call is deployed.
    pub fn wait_until_deployed(&self) {
        let deadline = Instant::now() + LIMIT;
        let mut is_deploying = self.is_deploying();
        while *is_deploying || self.is_queued() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // What is queued is taken from there by another thread, which calls `end` in any case.
            is_deploying = self.changed.wait_timeout(is_deploying, left).expect("nobody panics while deploying").0;
        }
    }

    fn is_queued(&self) -> bool {
        let mut sources = [PollFd::new(&*self.inotify, PollFlags::IN)];
        poll(&mut sources, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn is_deploying(&self) -> MutexGuard<'_, bool> {
        self.is_deploying.lock().expect("nobody panics while deploying")
    }
}

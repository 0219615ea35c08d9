//! The worker process: its slot, and what it does after the fork.

use super::scoreboard::Entry;
use crate::invoke::slot::{Next, WorkerSlot, next_with_retries};
use crate::shutdown::ExitReason;
use pyo3::prelude::*;
use std::future;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::OnceLock;
use tokio::net::unix::pipe::Receiver;
use whipsnake_runtime_api::{Client, Invocation};

/// The slot of a worker that has a process of its own. The worker notes what it does in the scoreboard.
pub struct ProcessSlot {
    entry: Entry,
    /// Can be read when the supervisor wants no further invocations.
    drain: OwnedFd,
    /// The same pipe, once the worker's reactor watches it.
    watched: OnceLock<Option<Receiver>>,
}

impl ProcessSlot {
    /// `drain`: the pipe that the supervisor writes to when no worker is to ask for invocations any more.
    pub fn new(entry: Entry, drain: PipeReader) -> Self {
        Self { entry, drain: drain.into(), watched: OnceLock::new() }
    }

    /// Returns when the supervisor has written to the pipe. No worker reads the byte, so every worker sees it.
    async fn drain_is_asked_for(&self) {
        let watch = || Receiver::from_owned_fd(self.drain.try_clone().ok()?).ok();
        if let Some(watched) = self.watched.get_or_init(watch)
            && watched.readable().await.is_ok()
        {
            return;
        }
        // It cannot be watched, for instance because the function has closed it.
        future::pending::<()>().await;
    }
}

impl WorkerSlot for ProcessSlot {
    fn next<'a>(&'a self, client: &'a Client) -> Next<'a> {
        Box::pin(async move {
            self.end();
            tokio::select! {
                biased;
                () = self.drain_is_asked_for() => Err(ExitReason::Terminated),
                next = next_with_retries(client) => Ok(next.inspect_err(|_| self.entry.note_gave_up())?),
            }
        })
    }

    fn begin(&self, _: Python<'_>, invocation: &Invocation) -> bool {
        self.entry.note_busy(&invocation.ticket, invocation.deadline);
        false
    }

    fn end(&self) {
        self.entry.note_idle();
    }
}

/// Leaves the process group, so that a signal to the group reaches the worker once, through its supervisor. The worker is killed when the
/// supervisor dies.
pub fn leave_the_group_and_die_with(supervisor: u32) {
    // SAFETY: both calls concern this process only, and cannot fail in one that has just been forked.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    if std::os::unix::process::parent_id() != supervisor {
        process::exit(1);
    }
}

/// Replaces standard output and standard error by two connections: Lambda has a stream of log lines for each worker.
pub fn redirect_output(provider: &str) -> io::Result<()> {
    for descriptor in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        let connection = UnixStream::connect(provider)?;
        // SAFETY: two open descriptors.
        if unsafe { libc::dup2(connection.as_raw_fd(), descriptor) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

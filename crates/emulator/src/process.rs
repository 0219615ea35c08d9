//! A child process that can be signalled from any thread without ever hitting a stranger.

use std::{
    io::{self, PipeWriter},
    os::unix::process::CommandExt,
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid},
};

/// Held while a descriptor is inheritable: a process spawned meanwhile by another thread would keep it open.
static SPAWNING: Mutex<()> = Mutex::new(());

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// A child, leader of its own process group.
pub(crate) struct Process {
    pid: Pid,
    /// None once reaped: from then on the id may belong to someone else.
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Starts `command`; it inherits `pipes` under the numbers they have here.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`pipes` and `command` close here: their only writers are now in the child"
    )]
    pub(crate) fn spawn(mut command: Command, pipes: Vec<PipeWriter>) -> io::Result<Process> {
        let _alone = SPAWNING.lock().expect("the lock is not poisoned");
        for pipe in &pipes {
            fcntl_setfd(pipe, FdFlags::empty())?;
        }
        let child = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Process { pid, child: Mutex::new(Some(child)) })
    }

    /// The process id, for /proc.
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends `signal` to the process. Nothing happens once it is reaped.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.child().is_some() {
            // It fails only when the process has just ended, which is what the waiting thread reports.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Sends `signal` to the process and to everything it started that is still in its group.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if self.child().is_some() {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Blocks until the process has ended; it stays a zombie until [`reap`](Process::reap), so signals stay safe.
    pub(crate) fn wait(&self) -> io::Result<Exit> {
        loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(self.pid), options) {
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => continue,
                    });
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Blocks until the process and all its threads are stopped, or it has ended.
    pub(crate) fn wait_until_stopped(&self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.pid), options).is_err_and(|error| error == rustix::io::Errno::INTR) {}
    }

    /// Kills what is left of the group and lets the kernel forget the process.
    pub(crate) fn reap(&self) {
        self.signal_group(Signal::KILL);
        if let Some(mut child) = self.child().take() {
            let _ = child.wait();
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("the lock is not poisoned")
    }
}

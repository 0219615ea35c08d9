//! Whether a process that has imported the function can be forked into several.
//!
//! Forked processes have open descriptors in common: two that speak over one connection to a database would get each other's
//! answers. And of the threads that the import started, the workers would have none. A function whose import leaves either behind is
//! imported by each worker on its own, as under the managed runtime.

use super::Kind;
use crate::checkpoint;
use crate::shutdown::Ending;
use crate::standard_streams;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What this process has open: what is behind each descriptor's number.
pub struct Descriptors(BTreeMap<i32, PathBuf>);

impl Descriptors {
    /// What is open now, without what modules in the checkpoint have left open, which this process was restored from.
    pub fn before_import() -> Self {
        let mut descriptors = Self::now();
        if let Some(origin) = checkpoint::origin() {
            descriptors.0.retain(|number, _| !origin.descriptors().contains(number));
        }
        descriptors
    }

    fn now() -> Self {
        let number = |path: &Path| path.file_name()?.to_str()?.parse().ok();
        let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let open = entries.filter_map(|entry| Some((number(&entry.path())?, fs::read_link(entry.path()).ok()?)));
        // The last one is the folder that was just read.
        Self(open.filter(|(_, target)| !target.starts_with("/proc")).collect())
    }

    /// What was opened since, but for devices such as /dev/urandom, which have no state.
    fn opened_since(&self) -> Vec<(i32, PathBuf)> {
        let now = Self::now().0.into_iter();
        now.filter(|(number, target)| self.0.get(number) != Some(target) && !target.starts_with("/dev/")).collect()
    }
}

/// What keeps this process from being forked, in words.
pub fn obstacle(py: Python<'_>, before: &Descriptors) -> Option<String> {
    if let Some((_, target)) = before.opened_since().first() {
        return Some(format!("its import left {} open", target.display()));
    }
    let of_python = py.import("_thread").and_then(|module| module.call_method0("_count")?.extract::<usize>());
    // Some libraries take their own threads down before a fork, and start them when they are needed. So it is tried.
    let threads = if of_python.is_ok_and(|count| count > 0) { count_threads() } else { count_threads_when_forked() };
    (threads > 1).then(|| format!("its import started {} threads", threads - 1))
}

fn count_threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

fn count_threads_when_forked() -> usize {
    if count_threads() == 1 {
        return 1;
    }
    // SAFETY: the child does nothing but end, and the parent waits for that.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child if child > 0 => _ = libc::waitpid(child, std::ptr::null_mut(), 0),
            _ => {}
        }
    }
    count_threads()
}

/// Starts this program again, as it was started, to fork before the import. A restored process is restored again only if that can help:
/// not if it was to fork before the import already, nor if the checkpoint itself has what cannot be shared. Comes back only when that fails.
pub fn start_again(py: Python<'_>, before: &Descriptors, kind: Kind, variables: &[(OsString, OsString)]) -> Ending {
    standard_streams::flush(py);
    for (number, _) in before.opened_since() {
        // SAFETY: sets a flag of a descriptor; one that was closed meanwhile is refused.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    let mut command = checkpoint::origin().map_or_else(this_command, checkpoint::Origin::command);
    command.env_clear().envs(variables.iter().cloned()).env("WHIPSNAKE_CONCURRENCY", Kind::ISOLATED);
    if checkpoint::origin().is_some_and(|origin| origin.has_state() || kind == Kind::Isolated) {
        command.env("WHIPSNAKE_CHECKPOINT", "off");
    }
    Ending::Raised(command.exec().into())
}

fn this_command() -> Command {
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    command
}

//! Whether a process that has imported the function can be forked into several.
//!
//! Forked processes share open descriptors: two that use one connection to a database would read each other's responses. Threads that the
//! import has started do not exist in a forked process. If a function's import leaves either behind, each worker imports the function
//! itself, as under the managed runtime.

use super::mode::Mode;
use crate::report::stdio;
use crate::shutdown::ExitReason;
use crate::start::restored_from::{Origin, origin};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The open descriptors of this process, each with what it refers to.
pub struct Descriptors(BTreeMap<i32, PathBuf>);

impl Descriptors {
    /// What is open now, without what modules in the checkpoint have left open, which this process was restored from.
    pub fn before_import() -> Self {
        let mut descriptors = Self::now();
        if let Some(origin) = origin() {
            descriptors.0.retain(|number, _| !origin.descriptors().contains(number));
        }
        descriptors
    }

    fn now() -> Self {
        let number = |path: &Path| path.file_name()?.to_str()?.parse().ok();
        let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        let open = entries.filter_map(|entry| Some((number(&entry.path())?, fs::read_link(entry.path()).ok()?)));
        // The last entry is the folder that is being read.
        Self(open.filter(|(_, target)| !target.starts_with("/proc")).collect())
    }

    /// What has been opened since. Devices such as /dev/urandom have no state and are left out.
    fn opened_since(&self) -> Vec<(i32, PathBuf)> {
        let now = Self::now().0.into_iter();
        now.filter(|(number, target)| self.0.get(number) != Some(target) && !target.starts_with("/dev/")).collect()
    }
}

/// The reason why this process cannot be forked, for the log.
pub fn obstacle(py: Python<'_>, before: &Descriptors) -> Option<String> {
    if let Some((_, target)) = before.opened_since().first() {
        return Some(format!("its import left {} open", target.display()));
    }
    let of_python = py.import("_thread").and_then(|module| module.call_method0("_count")?.extract::<usize>());
    // Some libraries stop their own threads before a fork and restart them on demand. A fork shows whether they do.
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
    // SAFETY: the child exits at once, and the parent waits for it.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child if child > 0 => _ = libc::waitpid(child, std::ptr::null_mut(), 0),
            _ => {}
        }
    }
    count_threads()
}

/// Starts this program again with the same arguments, so that it forks before the import. Returns only if that fails.
///
/// A restored process is restored again only if that can help: not if it was to fork before the import already, nor if the checkpoint
/// itself has what workers must not share.
pub fn start_again(py: Python<'_>, before: &Descriptors, mode: Mode, variables: &[(OsString, OsString)]) -> ExitReason {
    stdio::flush(py);
    for (number, _) in before.opened_since() {
        // SAFETY: sets a flag of a descriptor; the kernel refuses one that was closed meanwhile.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    let mut command = origin().map_or_else(this_command, Origin::command);
    command.env_clear().envs(variables.iter().cloned()).env("WHIPSNAKE_CONCURRENCY", Mode::ISOLATED);
    if origin().is_some_and(|origin| origin.has_state() || mode == Mode::Isolated) {
        command.env("WHIPSNAKE_CHECKPOINT", "off");
    }
    ExitReason::Raised(command.exec().into())
}

fn this_command() -> Command {
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    command
}

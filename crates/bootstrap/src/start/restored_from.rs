//! Which checkpoint this process was restored from, if any.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr, OsString, c_char};
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use whipsnake_checkpoint::process::{Kind, Process};
use whipsnake_checkpoint_format::image::Handover;

/// What a restored process knows of its checkpoint and of its own start.
pub struct Origin {
    kind: Kind,
    /// What the modules in the checkpoint have left open.
    descriptors: BTreeSet<RawFd>,
    /// The command line of this process, not that of the dumped one.
    arguments: Vec<OsString>,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// The checkpoint that this process was restored from. `None` after an ordinary start.
pub fn origin() -> Option<&'static Origin> {
    ORIGIN.get()
}

impl Origin {
    /// Notes where this process comes from.
    pub fn note(process: &Process, handover: &Handover) {
        let numbers = process.descriptors.iter().map(|descriptor| descriptor.number.cast_signed());
        // SAFETY: the kernel's list of arguments, which lives as long as the process.
        let arguments = (0..handover.argument_count).map(|index| unsafe {
            let argument = *(handover.arguments as *const *const c_char).add(usize::try_from(index).unwrap_or(0));
            OsStr::from_bytes(CStr::from_ptr(argument).to_bytes()).to_owned()
        });
        let origin = Self { kind: process.kind, descriptors: numbers.collect(), arguments: arguments.collect() };
        // Once in a process.
        let _ = ORIGIN.set(origin);
    }

    /// The descriptors that modules in the checkpoint have left open.
    pub fn descriptors(&self) -> &BTreeSet<RawFd> {
        &self.descriptors
    }

    /// Whether the checkpoint has something that workers must not share: the function's own modules, or open descriptors.
    pub fn has_state(&self) -> bool {
        self.kind == Kind::Init || !self.descriptors.is_empty()
    }

    /// A command that starts this process again.
    pub fn command(&self) -> Command {
        // By its path: the restorer looks for the checkpoint in its own folder.
        let mut command = Command::new(fs::read_link("/proc/self/exe").unwrap_or_else(|_| "/proc/self/exe".into()));
        let mut arguments = self.arguments.iter();
        command.arg0(arguments.next().map_or(OsStr::new(""), OsString::as_os_str)).args(arguments);
        command
    }
}

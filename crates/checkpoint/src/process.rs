//! What the bootstrap says of a process that it dumps. The command makes the file from it and from the process's memory.
//!
//! A dump is a folder with three files: [`PROCESS`], [`MAPS`] and [`PAGES`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A [`Process`] as JSON.
pub const PROCESS: &str = "process.json";
/// The process's `/proc/self/maps`.
pub const MAPS: &str = "maps";
/// Its memory: runs of pages, each behind its address and its length in bytes, two 64-bit numbers.
pub const PAGES: &str = "pages";

/// Variables that are always compared, because the C library and CPython read them. A restored process must not have one
/// that the dumped process had not.
pub const COMPARED_PATTERNS: &[&str] =
    &["LC_*", "LD_*", "MALLOC_*", "GLIBC_*", "PYTHON*", "TZ*", "LANG*", "LOCPATH*", "NLSPATH*", "RES_OPTIONS*"];

/// Stands for every variable, in [`Process::variables`] and in the file.
pub const EVERY: &str = "*";

/// The last argument of a bootstrap that names the code which stands in the way of a checkpoint.
pub const EXPLAIN: &str = "explain";

/// Variables for the loader of the process that is dumped. The function does not see them.
pub const DUMP_ONLY: &[&str] = &["LD_BIND_NOW"];

/// Variables that differ between the execution environments of one function. A look at the whole environment does not depend on them.
pub const DIFFERENT_EVERYWHERE: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_X_AMZN_TRACE_ID",
    "_LAMBDA_TELEMETRY_LOG_FD",
    "_HANDLER",
    "WHIPSNAKE_CHECKPOINT",
    "WHIPSNAKE_LOG",
];

/// How much of the function is in a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The third-party modules that the function imports. The function's own modules are imported after the restore.
    #[default]
    Imports,
    /// The whole init phase.
    Init,
}

/// A dumped process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Process {
    /// How much of the function is in it.
    pub kind: Kind,
    /// The process that initialized the function.
    pub process_id: u32,
    /// The program it runs.
    pub bootstrap: String,
    /// Where the stack pointer and the instruction are noted that the process continues with.
    pub resume_point: u64,
    /// Where it looks for a [`whipsnake_checkpoint_format::image::Handover`].
    pub handover: u64,
    /// What the kernel keeps for its main thread, as in [`whipsnake_checkpoint_format::image::Thread`].
    pub thread: Thread,
    /// What it does about signals, where that is not the default.
    pub signal_actions: Vec<SignalAction>,
    /// Where its vDSO is; zero if it has none.
    pub vdso: u64,
    /// What its libraries may have chosen code by.
    pub cpu: whipsnake_checkpoint_format::cpu::Features,
    /// Whether an emulator ran it.
    pub is_emulated: bool,
    /// Memory that the processor only branches into at landing pads: start and length. Only arm64 has that.
    #[serde(default)]
    pub guarded: Vec<(u64, u64)>,
    /// Memory of the dump itself, which is left out: start and length.
    pub scratch: (u64, u64),
    /// Its descriptors above standard error.
    pub descriptors: Vec<Descriptor>,
    /// The variables it has read, with their values; `None` for one that was not set.
    pub variables: BTreeMap<String, Option<String>>,
    /// The values among them that are not UTF-8, by name. [`Self::variables`] has them with replacement characters, for people.
    pub values_in_bytes: BTreeMap<String, Vec<u8>>,
    /// Where its code has looked at the whole environment: file and line.
    pub looked_at_all_variables: Vec<String>,
    /// The files of the modules it has imported, and others that its memory depends on.
    pub files: Vec<String>,
    /// The third-party modules in it.
    pub modules: Vec<String>,
    /// What could not be put in, and why.
    pub left_out: Vec<String>,
    /// The lines of code that share memory, by the name of its file. Known only in a process that was asked to explain.
    #[serde(default)]
    pub shared_memory: BTreeMap<String, Vec<String>>,
}

/// See [`whipsnake_checkpoint_format::image::Thread`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of `image::Thread`")]
pub struct Thread {
    pub pointer: u64,
    pub id_address: u64,
    pub robust_list: u64,
    pub robust_list_length: u64,
    pub restartable_sequence: u64,
    pub restartable_sequence_length: u32,
    pub restartable_sequence_signature: u32,
    pub signal_mask: u64,
    pub signal_stack: [u64; 3],
}

/// What the process does about a signal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SignalAction {
    /// The signal.
    pub signal: u64,
    /// The kernel's `sigaction`.
    pub action: [u64; 4],
}

/// A descriptor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Descriptor {
    /// Its number.
    pub number: u32,
    /// `O_CLOEXEC` and what `F_GETFL` says.
    pub flags: u32,
    /// What it is.
    pub what: What,
}

/// What a descriptor is open for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A file or folder, at a position.
    File {
        /// Its absolute path.
        path: String,
        /// In bytes from the beginning.
        position: u64,
    },
    /// A socket that is not connected.
    Socket {
        /// The address family.
        family: u32,
        /// The type.
        kind: u32,
        /// The protocol.
        protocol: u32,
    },
    /// A connection to another process.
    Connection {
        /// The other end, for people.
        peer: String,
    },
    /// An event counter.
    Event {
        /// Its count.
        count: u64,
    },
    /// An epoll instance.
    Epoll {
        /// What it watches.
        watches: Vec<Watch>,
    },
    /// One end of a socket pair.
    Pair {
        /// The number of the other end.
        other: u32,
        /// The type.
        kind: u32,
    },
    /// One end of a pipe.
    Pipe {
        /// The number of the other end.
        other: u32,
        /// Whether this end is written to.
        writes: bool,
    },
    /// A memory file.
    Memory {
        /// Its name.
        name: String,
        /// Its contents.
        contents: Vec<u8>,
        /// In bytes from the beginning.
        position: u64,
    },
}

/// A descriptor that an epoll instance watches.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The descriptor.
    pub descriptor: u32,
    /// `EPOLLIN` and so on.
    pub events: u64,
    /// What the program gets back.
    pub data: u64,
}

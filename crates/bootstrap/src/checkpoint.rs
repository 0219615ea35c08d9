//! Starting from a memory image: dumps this process when its function is packed, and continues in a process that was restored.
//!
//! `whipsnake pack --checkpoint` starts the bootstrap with `--checkpoint`. It initializes the function as a cold start would, forks,
//! and the child writes its memory out ([`fork_point`]). The command composes the checkpoint from that. At a cold start the restorer maps
//! the checkpoint, and the process goes on as the child of that fork: everything that survives a fork survives a restore.
//!
//! ```text
//! bootstrap --checkpoint:  prepare ─► import ─► hooks ─► fork ─► (the child's memory is written)
//! cold start:              restorer ─► the child goes on ─► new environment ─► hooks ─► Runtime API
//! ```

mod after_restore;
#[cfg(target_arch = "aarch64")]
mod arm64;
mod canary;
mod descriptors;
mod executable;
mod fork_point;
mod heap;
mod kernel_state;
mod loaded_libraries;
mod memory_map;
mod modules;
mod obstacle_origins;
pub mod recorded_variables;
mod refusal;
mod thread;

use crate::init::{self, Prepared};
use crate::report::traceback::Failure;
use crate::start::environment::Environment;
use crate::start::gc;
use crate::start::interpreter::Interpreter;
pub use after_restore::{Restored, Started};
use fork_point::Side;
use pyo3::prelude::*;
use refusal::Refused;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::{env, fs};
use whipsnake_checkpoint::process::{EXPLAIN, Kind, PROCESS, Process};

/// The first argument of a bootstrap that is to dump itself.
const OPTION: &[u8] = b"--checkpoint";

/// What the command line asks for: `bootstrap --checkpoint imports|init FOLDER [explain]`.
#[derive(Debug)]
pub struct Request {
    kind: Kind,
    folder: PathBuf,
    /// Whether a refusal names the code that it is about. The process is slow then, and no checkpoint may be made of it.
    explains: bool,
}

impl Request {
    /// Reads the command line. `None` if it does not ask for a dump.
    pub fn from_command_line(arguments: &[OsString]) -> Option<Self> {
        let [_, option, kind, folder, explain @ ..] = arguments else { return None };
        let explains = explain == [OsString::from(EXPLAIN)];
        if option.as_bytes() != OPTION || !(explain.is_empty() || explains) {
            return None;
        }
        let kind = match kind.as_bytes() {
            b"imports" => Kind::Imports,
            b"init" => Kind::Init,
            _ => return None,
        };
        Some(Self { kind, folder: folder.into(), explains })
    }
}

/// How [`dump`] ends: in the process that was asked to dump itself, and in every copy that is restored.
pub enum Outcome {
    /// The folder has the dump.
    Written,
    /// This process was restored just now.
    Restored(Box<Restored>),
}

/// Gets ready to watch what the function does when it is initialized. Call this first of all.
pub fn prepare() -> Result<(), Refused> {
    #[cfg(target_arch = "aarch64")]
    arm64::prepare()?;
    recorded_variables::record();
    thread::note_emulators();
    #[cfg(target_arch = "aarch64")]
    arm64::refuse_emulator(thread::is_emulated())?;
    // SAFETY: what the caller has left open is nothing of the function's. Nothing of this process is open yet.
    unsafe { libc::close_range(3, u32::MAX, 0) };
    fork_point::register();
    kernel_state::note();
    heap::detach_from_break();
    Ok(())
}

/// Initializes the function in a running interpreter and dumps the process.
pub fn dump(interpreter: &Interpreter, environment: &Environment, request: &Request) -> Result<Outcome, Refused> {
    if cfg!(Py_GIL_DISABLED) {
        return Err(Refused::because(
            "this CPython is free-threaded, and checkpoints have only been tested with the GIL. Pack with a CPython that has it, or \
             without --checkpoint",
        ));
    }
    if environment.exec_wrapper.is_some() {
        return Err(Refused::because(
            "AWS_LAMBDA_EXEC_WRAPPER is set, and a program that wraps the runtime has to start it itself",
        ));
    }
    fs::create_dir_all(&request.folder).map_err(Refused::doing("creating the folder of the dump"))?;
    let (prepared, mut process) = interpreter.run(|py| initialize(py, environment, request))?;
    process.process_id = std::process::id();
    process.kind = request.kind;
    let this_program = env::current_exe().map_err(Refused::doing("looking for this program"))?;
    process.bootstrap = this_program.to_string_lossy().into_owned();
    // Nothing of Python's C code is on the stack here: a restored process changes the canary that its frames would check.
    match interpreter.run(|py| fork_point::fork(py, process, &request.folder))? {
        Side::Dumped(process) => {
            let json = whipsnake_runtime_api::json::to_string(&*process);
            fs::write(request.folder.join(PROCESS), json).map_err(Refused::doing("writing the dump"))?;
            Ok(Outcome::Written)
        }
        Side::Restored(started) => Ok(Outcome::Restored(Box::new(Restored { prepared, started: *started }))),
    }
}

/// The part of the init phase that the checkpoint is to have.
fn initialize(py: Python<'_>, environment: &Environment, request: &Request) -> Result<(Prepared, Process), Refused> {
    let raised = |error: PyErr| Refused::raised(py, &error);
    let mut prepared = Prepared::new(py, environment).map_err(raised)?;
    let adapters = py.import("whipsnake._checkpoint").map_err(raised)?;
    adapters.call_method0("record").map_err(raised)?;
    if request.explains {
        adapters.call_method0("record_origins").map_err(raised)?;
    }
    let mut process = Process::default();
    match request.kind {
        Kind::Init => {
            let handler = init::import_handler_only(py, environment).map_err(|failure| match failure {
                Failure::Fault(fault, exception) => {
                    prepared.log.get().fault(py, &fault, exception.as_ref());
                    Refused::because(format!("the function could not be imported: {}", fault.message))
                }
                Failure::Raised(error) => Refused::raised(py, &error),
            })?;
            prepared.handler = Some(handler);
        }
        Kind::Imports => modules::import(py, environment, &mut process)?,
    }
    adapters.call_method0("before").map_err(raised)?;
    process.shared_memory = obstacle_origins::take(&adapters).map_err(raised)?;
    let started_again = adapters.call_method0("threads_started_again").and_then(|threads| threads.extract());
    let names = adapters.call_method0("thread_names").and_then(|names| names.extract());
    thread::expect(started_again.map_err(raised)?, names.map_err(raised)?);
    process.files = modules::files(py).map_err(raised)?;
    let looked_at_all = adapters.call_method0("looked_at_all_variables").and_then(|places| places.extract());
    process.looked_at_all_variables = looked_at_all.map_err(raised)?;
    let read = recorded_variables::read(&adapters, request.kind).map_err(raised)?;
    (process.variables, process.values_in_bytes) = (read.variables, read.values_in_bytes);
    gc::freeze(py).map_err(raised)?;
    Ok((prepared, process))
}

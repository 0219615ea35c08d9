//! The process that Lambda starts: from its environment variables to the last invocation.
//!
//! ```text
//! environment ─► (exec wrapper) ─► interpreter ─► init phase ─┬► invoke phase ─► shutdown
//!                          restored from a checkpoint ─────────┘
//! ```
//!
//! This is C's `main`, without what Rust does before its own `main`. Rust's startup reads the memory map of the process to detect stack
//! overflows, which CPython detects itself. It also installs signal handlers, and a function may want the defaults.

#![cfg_attr(not(test), no_main)]
// `print!` and `eprint!` panic if the stream is broken. `notice` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod build_info;
mod checkpoint;
mod concurrency;
mod imported_modules;
mod init;
mod invoke;
#[cfg(libpython_static)]
mod older_functions;
mod report;
mod shutdown;
mod start;

use build_info::BUILD;
use checkpoint::{Outcome, Restored, Started};
use concurrency::Concurrency;
use invoke::serve;
use invoke::startup::Start;
use report::notices::{StandardError, notice};
use report::stdio;
use start::command_line::Role;
use start::environment::{self, Environment};
use start::exec_wrapper;
use start::interpreter::{self, Interpreter};
use start::proofs::BeforePython;
use start::user_agent::{self, user_agent};
use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::ffi::{OsString, c_char, c_int};
use whipsnake_runtime_api::Client;

/// The error if somebody starts the bootstrap by hand.
const NO_RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API is not set. Lambda sets it; to run a function on this machine use `whipsnake invoke` or `make run`";

/// Where the process begins. Returns its exit code.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    // SAFETY: this is the only call. The process has its first thread, and nothing has started CPython.
    let before = unsafe { BeforePython::assume() };
    stdio::make_safe();
    let arguments: Vec<OsString> = env::args_os().collect();
    let outcome = match checkpoint::Request::from_command_line(&arguments) {
        Some(request) => dump(&request, before),
        None => match Role::from_command_line(arguments) {
            Role::Python => interpreter::run_as_python(before).map_err(Box::from),
            role => serve(&role, before).map(|never| match never {}),
        },
    };
    outcome.unwrap_or_else(|error| {
        notice(error);
        libc::EXIT_FAILURE
    })
}

/// Starts CPython and serves the function. The process ends in here. An error means that it could not start, or that the Runtime API failed.
fn serve(role: &Role, before: BeforePython) -> Result<Infallible, Box<dyn Error>> {
    shutdown::end_on_panic();
    if let Role::RuntimeOf(handler) = role {
        environment::name_handler(handler, &before);
    }
    let environment = &Environment::read();
    trace_if_asked(environment);
    // Keeps a copy of the environment, so it comes before anything is changed.
    let concurrency = Concurrency::asked_for(environment)?;
    environment.complete(&before);
    if let (Some(wrapper), Role::Runtime | Role::RuntimeOf(_)) = (&environment.exec_wrapper, role) {
        return Err(exec_wrapper::exec(wrapper).into());
    }
    environment.withhold(&before);
    let endpoint = environment.runtime_api.as_deref().ok_or(NO_RUNTIME_API)?;
    if BUILD.executable.is_empty() && environment.whipsnake_python.is_none() {
        return Err("WHIPSNAKE_PYTHON is not set. This bootstrap is part of a Python package and uses the Python that the package \
                    is installed in: run functions with the command `whipsnake` of that package"
            .into());
    }
    let client = Client::new(endpoint, user_agent())?;
    let interpreter = Interpreter::start(environment, role, before)?;
    serve_in(interpreter, environment, concurrency, client, Start::Ordinary)
}

fn serve_in(
    interpreter: Interpreter,
    environment: &Environment,
    concurrency: Option<Concurrency>,
    client: Client,
    start: Start,
) -> Result<Infallible, Box<dyn Error>> {
    let exit_reason = interpreter.run(|py| match concurrency {
        None => serve::serve(py, environment, client, start),
        Some(concurrency) => concurrency.serve(py, environment, client, start),
    });
    exit_reason.exit(interpreter)
}

/// Dumps this process once the function is initialized. Each process that is restored from the dump returns from the same call, and serves
/// the function.
fn dump(request: &checkpoint::Request, before: BeforePython) -> Result<c_int, Box<dyn Error>> {
    shutdown::end_on_panic();
    checkpoint::prepare()?;
    // The restored process gets a descriptor for log records of its own.
    let environment = Environment { telemetry_log_fd: None, ..Environment::read() };
    environment.complete(&before);
    environment.withhold(&before);
    let interpreter = Interpreter::start(&environment, &Role::Runtime, before)?;
    match checkpoint::dump(&interpreter, &environment, request)? {
        Outcome::Written => Ok(libc::EXIT_SUCCESS),
        Outcome::Restored(restored) => serve_restored(interpreter, *restored).map(|never| match never {}),
    }
}

/// Serves the function in a process that was restored, with the environment of that process.
fn serve_restored(interpreter: Interpreter, restored: Restored) -> Result<Infallible, Box<dyn Error>> {
    let Restored { prepared, started: Started { environment, concurrency, mapping } } = restored;
    trace_if_asked(&environment);
    user_agent::note_restore();
    tracing::info!(milliseconds = mapping.as_secs_f64() * 1e3, "restored from a checkpoint");
    let endpoint = environment.runtime_api.as_deref().ok_or(NO_RUNTIME_API)?;
    let client = Client::new(endpoint, user_agent())?;
    serve_in(interpreter, &environment, concurrency?, client, Start::Restored(prepared))
}

/// Writes our own diagnosis to standard error if `WHIPSNAKE_LOG` asks for it.
fn trace_if_asked(environment: &Environment) {
    let Some(asked) = environment.whipsnake_log.as_deref() else { return };
    match asked.parse::<tracing::Level>() {
        Ok(level) => tracing_subscriber::fmt().with_max_level(level).with_writer(|| StandardError).init(),
        Err(_) => notice(format_args!("WHIPSNAKE_LOG is {asked:?}, and should be error, warn, info, debug or trace")),
    }
}

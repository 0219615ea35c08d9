//! The process that Lambda starts: from its environment variables to the last invocation.
//!
//! ```text
//! environment ─► (wrapper) ─► interpreter ─► init phase ─► invoke phase ─► shutdown
//! ```
//!
//! C's `main`, without the preparations of Rust's: those read the memory map of the process to tell of overflows of the stack, which
//! is CPython's matter here, and catch signals that a function may want to see.

#![cfg_attr(not(test), no_main)]

mod archive;
mod arenas;
mod caller;
mod compat;
mod compiling;
mod concurrency;
mod context;
mod environment;
mod event_loop;
mod frozen;
mod garbage;
mod handler;
mod importing;
mod init;
mod interpreter;
mod invoke;
mod logging;
#[cfg(libpython_static)]
mod older_functions;
mod places;
mod process_environment;
mod shutdown;
mod signals;
mod site;
mod snapshot;
mod standard_streams;
mod streaming;
mod traceback;
mod web_application;
mod wrapper;

use concurrency::Concurrency;
use environment::Environment;
use interpreter::{BUILD, Interpreter, Role};
use std::convert::Infallible;
use std::error::Error;
use std::ffi::{c_char, c_int};
use whipsnake_runtime_api::Client;

/// Where the process begins. Returns its exit code.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    standard_streams::make_safe();
    let outcome = match Role::of_this_process() {
        Role::Python => interpreter::run_as_python().map_err(Box::from),
        role => serve(&role).map(|never| match never {}),
    };
    outcome.unwrap_or_else(|error| {
        let notice = format!("whipsnake: {error}\n");
        // In one piece: other workers may be saying the same.
        eprint!("{notice}");
        libc::EXIT_FAILURE
    })
}

/// Serves the function; the process ends in there, or with the error that is returned.
fn serve(role: &Role) -> Result<Infallible, Box<dyn Error>> {
    shutdown::end_on_panic();
    let environment = &Environment::read();
    trace_if_asked(environment);
    let concurrency = Concurrency::asked_for(environment)?;
    environment.complete();
    if let (Some(wrapper), Role::Runtime) = (&environment.exec_wrapper, role) {
        return Err(wrapper::exec(wrapper).into());
    }
    environment.withhold();
    let endpoint = environment.runtime_api.as_deref().ok_or(
        "AWS_LAMBDA_RUNTIME_API is not set. Lambda sets it; to run a function on this machine use `whipsnake invoke` or `make run`",
    )?;
    if BUILD.executable.is_empty() && environment.whipsnake_python.is_none() {
        return Err("WHIPSNAKE_PYTHON is not set. This bootstrap is part of a Python package and uses the Python that the package \
                    is installed in: run functions with the command `whipsnake` of that package"
            .into());
    }
    let client = Client::new(endpoint, interpreter::USER_AGENT)?;
    let interpreter = Interpreter::start(environment, role)?;
    let ending = interpreter.run(|py| match concurrency {
        None => invoke::serve(py, environment, client),
        Some(concurrency) => concurrency.serve(py, environment, client),
    });
    ending.exit(interpreter)
}

/// Our own diagnosis, on standard error, when `WHIPSNAKE_LOG` asks for it.
fn trace_if_asked(environment: &Environment) {
    let Some(asked) = environment.whipsnake_log.as_deref() else { return };
    match asked.parse::<tracing::Level>() {
        Ok(level) => tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init(),
        Err(_) => eprintln!("whipsnake: WHIPSNAKE_LOG is {asked:?}, and should be error, warn, info, debug or trace"),
    }
}

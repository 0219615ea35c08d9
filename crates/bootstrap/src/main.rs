//! The process that Lambda starts: from its environment variables to the last invocation.
//!
//! ```text
//! environment ─► (wrapper) ─► interpreter ─► init phase ─► invoke phase ─► shutdown
//! ```

mod context;
mod environment;
mod frozen;
mod handler;
mod importing;
mod init;
mod interpreter;
mod invoke;
mod logging;
mod shutdown;
mod signals;
mod standard_streams;
mod traceback;
mod wrapper;

use environment::Environment;
use interpreter::{Interpreter, Role};
use std::process::ExitCode;
use whipsnake_runtime_api::Client;

fn main() -> ExitCode {
    let role = Role::of_this_process();
    if let Role::Python = role {
        return interpreter::run_as_python();
    }
    let environment = Environment::read();
    trace_if_asked(&environment);
    match run(role, &environment) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("whipsnake: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(role: Role, environment: &Environment) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    environment.complete();
    if let (Some(wrapper), Role::Runtime) = (&environment.exec_wrapper, &role) {
        return Err(wrapper::exec(wrapper)?.into());
    }
    let endpoint = environment.runtime_api.as_deref().ok_or(
        "AWS_LAMBDA_RUNTIME_API is not set. Lambda sets it; to run a function on this machine use `whipsnake invoke` or `make run`",
    )?;
    let client = Client::new(endpoint, interpreter::USER_AGENT)?;
    let interpreter = Interpreter::start(environment, &role)?;
    let ending = interpreter.run(|py| invoke::serve(py, environment, client));
    ending.exit(interpreter)
}

/// Our own diagnosis, on standard error, when `WHIPSNAKE_LOG` asks for it.
fn trace_if_asked(environment: &Environment) {
    let asked = environment.whipsnake_log.as_deref();
    let Some(level) = asked.and_then(|level| level.parse::<tracing::Level>().ok()) else { return };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
}

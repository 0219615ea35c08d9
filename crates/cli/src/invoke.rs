//! `whipsnake invoke`: one event, one response.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use serde::de::IgnoredAny;
use whipsnake_emulator::{Emulator, Invocation, Part};

use crate::{display::Readable, failure::Failure, function::FunctionArguments, signals};

/// Invokes a function once: its response goes to standard output, its log to standard error. A streamed response goes there as it
/// comes.
///
/// Exits with 0 when the function responded, with 1 when it failed (what went wrong is then the response), and with 2
/// when it could not be run.
#[derive(clap::Args)]
pub struct Invoke {
    #[command(flatten)]
    function: FunctionArguments,
    /// The event, a file of JSON; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// The function's name
    #[arg(long, value_name = "NAME", default_value = "function")]
    function_name: String,
    /// The client context a mobile client would send
    #[arg(long, value_name = "JSON", value_parser = json)]
    client_context: Option<String>,
    /// The Cognito identity of the caller
    #[arg(long, value_name = "JSON", value_parser = json)]
    identity: Option<String>,
    /// The tenant, for functions with tenant isolation
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
}

impl Invoke {
    /// Invokes the function and prints what comes back.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let event = self.read_event()?;
        let function = self.function.function(self.function_name)?;
        let mut invocation =
            Invocation::new(event).map_err(|error| Failure::new(format!("making a request id: {error}")))?;
        invocation.client_context = self.client_context;
        invocation.identity = self.identity;
        invocation.tenant = self.tenant;

        let emulator = Arc::new(Emulator::new(function, Box::new(Readable::new(io::stderr()))));
        signals::shut_down_on_signal(&emulator)?;
        let mut printed = Ok(());
        let mut line_is_open = false;
        let outcome = emulator
            .invoke_and_show(&invocation, &mut |part| {
                if printed.is_ok() {
                    printed = print(part, &mut line_is_open);
                }
            })
            .map_err(|error| Failure::new(error.to_string()))?;
        emulator.shut_down();
        printed.map_err(|error| Failure::new(format!("writing the response to standard output: {error}")))?;
        Ok(ExitCode::from(u8::from(outcome.fault.is_some())))
    }

    fn read_event(&self) -> Result<Vec<u8>, Failure> {
        let (name, read) = if self.event.as_os_str() == "-" {
            let mut event = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut event).map(|_| event);
            ("standard input".to_owned(), read)
        } else {
            (self.event.display().to_string(), std::fs::read(&self.event))
        };
        let event = read.map_err(|error| Failure::new(format!("reading the event from {name}: {error}")))?;
        serde_json::from_slice::<IgnoredAny>(&event)
            .map_err(|error| Failure::new(format!("the event in {name} is not JSON: {error}")))?;
        Ok(event)
    }
}

/// Prints a part of the response, at once. What is whole gets a line of its own; a stream is printed as it is.
fn print(part: Part<'_>, line_is_open: &mut bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match part {
        Part::Beginning { .. } => {}
        Part::Chunk(chunk) => {
            stdout.write_all(chunk)?;
            *line_is_open = chunk.last() != Some(&b'\n');
        }
        Part::Whole(response) | Part::Fault(response) => {
            if *line_is_open {
                stdout.write_all(b"\n")?;
            }
            stdout.write_all(response)?;
            stdout.write_all(b"\n")?;
        }
    }
    stdout.flush()
}

/// JSON on one line, as a header needs it.
fn json(text: &str) -> Result<String, String> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok(text.replace(['\r', '\n'], " "))
}

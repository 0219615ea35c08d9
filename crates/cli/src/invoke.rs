//! `whipsnake invoke`: one event, one response.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use serde::de::IgnoredAny;
use whipsnake_emulator::{Emulator, Invocation, Part};

use crate::{
    collected::Collected, display, event::EventArguments, failure::Failure, function::FunctionArguments, json_outcome,
    signals, simulate::SimulationArguments,
};

/// Invokes a function: its response goes to standard output, its log to standard error
///
/// A streamed response goes there as it comes. Exits with 0 when the function responded, with 1 when it failed (what went wrong
/// is then the response), and with 2 when it could not be run.
#[derive(clap::Args)]
pub struct Invoke {
    #[command(flatten)]
    event: EventArguments,
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    function: FunctionArguments,
    #[command(flatten)]
    simulation: SimulationArguments,
    /// Invokes so often, one after the other, in the same process as long as that lives
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    repeat: u32,
    /// Prints one JSON object a line for each invocation: response, fault, logs, report
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What comes with an event.
#[derive(clap::Args)]
#[command(next_help_heading = "Event")]
struct Caller {
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
        let event = self.event.read()?;
        let function = self.function.function()?;
        let log = Collected::default();
        let shown: Box<dyn Write + Send> = if self.json { Box::new(log.clone()) } else { display::log() };
        let emulator = Arc::new(Emulator::new(function, shown).simulating(self.simulation.simulation()));
        let running = Arc::clone(&emulator);
        signals::on_end(move || running.shut_down())?;
        let mut has_failed = false;
        for _ in 0..self.repeat {
            let invocation = self.caller.invocation(event.clone())?;
            has_failed |= if self.json {
                json_outcome::invoke_and_print(&emulator, &invocation, &log)?
            } else {
                show(&emulator, &invocation)?
            };
        }
        emulator.shut_down();
        Ok(ExitCode::from(u8::from(has_failed)))
    }
}

impl Caller {
    fn invocation(&self, event: Vec<u8>) -> Result<Invocation, Failure> {
        let mut invocation =
            Invocation::new(event).map_err(|error| Failure::new(format!("making a request id: {error}")))?;
        invocation.client_context.clone_from(&self.client_context);
        invocation.identity.clone_from(&self.identity);
        invocation.tenant.clone_from(&self.tenant);
        Ok(invocation)
    }
}

/// Invokes once and prints the response. True when the function failed.
pub fn show(emulator: &Emulator, invocation: &Invocation) -> Result<bool, Failure> {
    let mut printed = Ok(());
    let mut line_is_open = false;
    let outcome = emulator
        .invoke_and_show(invocation, &mut |part| {
            if printed.is_ok() {
                printed = print(part, &mut line_is_open);
            }
        })
        .map_err(|error| Failure::new(error.to_string()))?;
    printed.map_err(|error| Failure::new(format!("writing the response to standard output: {error}")))?;
    Ok(outcome.fault.is_some())
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

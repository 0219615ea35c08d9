//! `whipsnake invoke`: one event, one response; or several.

mod at_once;
mod log_by_invocation;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::{Arc, Mutex},
};

use serde::de::IgnoredAny;
use whipsnake_emulator::{Emulator, Invocation, Part};

use crate::{
    collected::Collected, debugpy::Debugpy, display, event::EventArguments, failure::Failure,
    function::FunctionArguments, json_outcome, progress::Progress, signals, simulate::SimulationArguments,
};
use at_once::InOrder;
use log_by_invocation::LogByInvocation;

/// Invokes a function: its response goes to standard output, its log to standard error
///
/// A streamed response goes there as it comes. Exits with 0 when the function responded, with 1 when it failed (what went wrong
/// is then the response), and with 2 when it could not be run.
#[derive(clap::Args)]
pub struct Invoke {
    /// Has debugpy listen in the function's process, and imports the function when an editor has attached; needs the package
    /// debugpy
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "5678", conflicts_with = "concurrency")]
    debugpy: Option<u16>,
    #[command(flatten)]
    event: EventArguments,
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    function: FunctionArguments,
    #[command(flatten)]
    simulation: SimulationArguments,
    /// Invokes so often, in the same process as long as that lives [default: 1, or as often as --concurrency says]
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Invocations")]
    repeat: Option<u32>,
    /// Sends the function up to so many invocations at once, as Lambda Managed Instances do
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Invocations")]
    concurrency: Option<u16>,
    /// Prints one JSON object a line for each invocation, in order: response, fault, logs, report
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
        let mut function = self.function.function()?;
        let debugpy = self.debugpy.map(|port| Debugpy::prepare(port, true, &self.function)).transpose()?;
        if let Some(debugpy) = &debugpy {
            debugpy.attach_to(&mut function);
        }
        let debugpy = Arc::new(debugpy);
        let (log, logs) = self.log();
        let mut emulator = Emulator::new(function, log).simulating(self.simulation.simulation());
        if let Some(concurrency) = self.concurrency {
            emulator = emulator.with_concurrency(concurrency);
        }
        let emulator = Arc::new(emulator.during_init(Progress::of_start));
        let (running, prepared) = (Arc::clone(&emulator), Arc::clone(&debugpy));
        let end = move || {
            running.shut_down();
            prepared.iter().for_each(Debugpy::tidy_up);
        };
        signals::on_end(end.clone())?;
        let outcome = self.invoke(&emulator, &event, &logs);
        signals::let_end();
        end();
        Ok(ExitCode::from(u8::from(outcome?)))
    }

    /// The log, and where what of it is to be printed can be had.
    fn log(&self) -> (Box<dyn Write + Send>, Logs) {
        match (self.json, self.concurrency) {
            (false, _) => (display::log(), Logs::Shown),
            (true, None) => {
                let log = Collected::default();
                (Box::new(log.clone()), Logs::Collected(log))
            }
            (true, Some(_)) => {
                let log = LogByInvocation::new(display::log());
                (Box::new(log.clone()), Logs::ByInvocation(log))
            }
        }
    }

    /// True when an invocation failed.
    fn invoke(&self, emulator: &Emulator, event: &[u8], logs: &Logs) -> Result<bool, Failure> {
        let limit = self.concurrency.unwrap_or(1);
        let (printing, in_order) = (Mutex::new(()), Mutex::new(InOrder::default()));
        at_once::run(self.repeat.unwrap_or(u32::from(limit)), limit, |number| {
            let invocation = self.caller.invocation(event.to_vec())?;
            let id = &invocation.request_id;
            let (line, has_failed) = match logs {
                Logs::Shown if self.concurrency.is_none() => return show(emulator, &invocation),
                Logs::Shown => return at_once::show(emulator, &invocation, &printing),
                Logs::Collected(log) => json_outcome::invoke(emulator, &invocation, || log.take())?,
                Logs::ByInvocation(log) => {
                    log.keep(id);
                    json_outcome::invoke(emulator, &invocation, || log.take(id))?
                }
            };
            let mut in_order = in_order.lock().expect("nobody panics while printing");
            in_order.print(number, line, display::response).map_err(Failure::printing)?;
            Ok(has_failed)
        })
    }
}

/// Where the log of an invocation goes.
enum Logs {
    /// To standard error.
    Shown,
    /// Into the invocation's outcome: whatever is written meanwhile.
    Collected(Collected),
    /// The same where others run meanwhile.
    ByInvocation(LogByInvocation),
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
    printed.map_err(Failure::printing)?;
    Ok(outcome.fault.is_some())
}

/// Prints a part of the response, at once. What is whole gets a line of its own; a stream is printed as it is.
fn print(part: Part<'_>, line_is_open: &mut bool) -> io::Result<()> {
    match part {
        Part::Beginning { .. } | Part::End => Ok(()),
        Part::Chunk(chunk) => {
            *line_is_open = chunk.last().map_or(*line_is_open, |last| *last != b'\n');
            display::response(chunk)
        }
        Part::Whole(response) | Part::Fault(response) => {
            let before: &[u8] = if *line_is_open { b"\n" } else { b"" };
            display::response(&[before, response, b"\n"].concat())
        }
    }
}

/// JSON on one line, as a header needs it.
fn json(text: &str) -> Result<String, String> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("not JSON: {error}"))?;
    Ok(text.replace(['\r', '\n'], " "))
}

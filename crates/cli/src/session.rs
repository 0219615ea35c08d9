//! `whipsnake session`: a function for another program, by lines of JSON. The pytest plugin is such a program.

use std::{
    io::{self, BufRead, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use whipsnake_emulator::{Bytes, Emulator, Invocation, Part};

use crate::{
    failure::Failure,
    function::{FunctionArguments, check_seconds},
    signals,
};

/// Runs a function for another program: an invocation is a line of JSON on standard input, and what comes of it are lines of
/// JSON on standard output.
///
/// Lines in: {"payload": "<JSON>"}, and as far as wanted request_id, trace_id, client_context and identity (both JSON in a string),
/// tenant, and timeout in seconds.
///
/// Lines out: {"log": ...} whenever the log grows; {"initialised": null} once, or with the fault of the init phase; {"begins":
/// "<content type>"} and {"chunk": ...} of a streamed response; and last of an invocation {"outcome": {"request_id", "fault",
/// "payload"}}, or {"refused": "<why>"} when it could not be run. Bytes are a string, or {"base64": ...} when they are not UTF-8.
///
/// The end of standard input ends the function's process, with notice: what it has to do at its end, such as writing what a
/// coverage tool has seen, is done.
#[derive(clap::Args)]
pub struct Session {
    #[command(flatten)]
    function: FunctionArguments,
}

/// A line in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    payload: String,
    request_id: Option<String>,
    trace_id: Option<String>,
    client_context: Option<String>,
    identity: Option<String>,
    tenant: Option<String>,
    timeout: Option<f64>,
}

impl Session {
    /// Serves until standard input ends.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let function = self.function.function()?;
        let emulator = Arc::new(Emulator::new(function, Box::new(LogLines)).giving_notice());
        let running = Arc::clone(&emulator);
        signals::on_end(move || running.shut_down())?;
        let failed = emulator.start().map_err(|error| Failure::new(error.to_string()))?;
        say(&json!({"initialised": failed.map(Bytes)}));
        let served = serve(&emulator, &mut io::stdin().lock());
        emulator.shut_down();
        served.map_err(|error| Failure::new(format!("reading from standard input: {error}")))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Answers each line, whatever bytes it is made of.
fn serve(emulator: &Emulator, input: &mut impl BufRead) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let invoked = invocation(&line).and_then(|invocation| invoke(emulator, &invocation));
        say(&invoked.unwrap_or_else(|why| json!({"refused": why})));
        line.clear();
    }
    Ok(())
}

fn invocation(line: &[u8]) -> Result<Invocation, String> {
    let line = std::str::from_utf8(line).map_err(|error| format!("the line is not UTF-8: {error}"))?;
    let request: Request = serde_json::from_str(line).map_err(|error| format!("the line is no invocation: {error}"))?;
    check_json("the event", &request.payload)?;
    for (name, text) in [("the client context", &request.client_context), ("the identity", &request.identity)] {
        text.as_deref().map_or(Ok(()), |text| check_json(name, text))?;
    }
    // A header has one line.
    let on_one_line = |text: String| text.replace(['\r', '\n'], " ");
    let mut invocation =
        Invocation::new(request.payload.into_bytes()).map_err(|error| format!("making a request id: {error}"))?;
    invocation.request_id = request.request_id.map_or(invocation.request_id, on_one_line);
    invocation.trace_id = request.trace_id.map_or(invocation.trace_id, on_one_line);
    invocation.client_context = request.client_context.map(on_one_line);
    invocation.identity = request.identity.map(on_one_line);
    invocation.tenant = request.tenant.map(on_one_line);
    invocation.timeout = request.timeout.map(check_seconds).transpose()?.map(Duration::from_secs_f64);
    Ok(invocation)
}

/// Lambda takes no event that is not JSON.
fn check_json(what: &str, text: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|error| format!("{what} is not JSON: {error}"))
}

fn invoke(emulator: &Emulator, invocation: &Invocation) -> Result<Value, String> {
    let outcome = emulator.invoke_and_show(invocation, &mut |part| match part {
        Part::Beginning { content_type } => say(&json!({"begins": content_type})),
        Part::Chunk(chunk) => say(&json!({"chunk": Bytes(chunk.to_vec())})),
        // They are in the outcome.
        Part::End | Part::Whole(_) | Part::Fault(_) => {}
    });
    let outcome = outcome.map_err(|error| error.to_string())?;
    let payload = Bytes(outcome.payload);
    Ok(json!({"outcome": {"request_id": invocation.request_id, "fault": outcome.fault, "payload": payload}}))
}

/// Writes a line. When nobody reads any more, the end of standard input is near.
fn say(value: &Value) {
    let mut stdout = io::stdout().lock();
    let _: io::Result<()> = stdout.write_all(format!("{value}\n").as_bytes()).and_then(|()| stdout.flush());
}

/// The function's log, in lines of ours.
struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say(&json!({"log": Bytes(bytes.to_vec())}));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

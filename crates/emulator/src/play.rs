//! Runs a command against scripted answers and records what it does.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    io::{self, PipeReader, PipeWriter},
    net::{Ipv4Addr, SocketAddr},
    os::{fd::AsRawFd, unix::ffi::OsStringExt},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    bytes::Bytes,
    conversation::converse,
    http::Limits,
    process::{Exit, Process},
    recording::Recording,
    script::Script,
    server::Server,
    stage::{STDERR, STDOUT, Stage, State},
};

/// How long a grandchild may keep a pipe or a connection open after the command has ended.
const GRACE: Duration = Duration::from_millis(200);

/// Plays `script` to its command and says what the command did.
///
/// # Errors
/// When the command cannot be run.
pub fn play(script: Script) -> Result<Recording, PlayError> {
    if script.command.is_empty() {
        return Err(PlayError::new(
            "reading the script's `command`",
            "there is none: write it in the script or after --",
        ));
    }
    let timeout = script.timeout();
    let stage = Arc::new(Stage::new(script));
    let audience = Arc::clone(&stage);
    let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Limits::RUNTIME, move |connection| {
        converse(&audience, connection);
    })
    .map_err(|error| PlayError::new("listening on 127.0.0.1 for the command's requests", error))?;

    let process = spawn(&stage, server.address())?;
    let timed_out = !stage.wait_for(timeout, |state| state.exit.is_some());
    if timed_out {
        process.signal_group(Signal::KILL);
        stage.wait_while_running(|_| false);
    }
    let deadline = Instant::now() + GRACE;
    server.stop(deadline);
    stage.wait_for(deadline.saturating_duration_since(Instant::now()), |state| {
        state.outputs.iter().all(|output| output.closed)
    });
    process.reap();
    Ok(recording(&stage, timed_out))
}

fn spawn(stage: &Arc<Stage>, address: SocketAddr) -> Result<Arc<Process>, PlayError> {
    let script = &stage.script;
    let failed = |error: io::Error| {
        let directory = match &script.directory {
            Some(directory) => format!(" in {}", directory.display()),
            None => String::new(),
        };
        PlayError::new(format!("starting the command {}{directory}", script.command[0]), error)
    };
    let mut command = Command::new(&script.command[0]);
    command.args(&script.command[1..]).env_clear().stdin(Stdio::null());
    command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
    for (name, value) in &script.environment {
        command.env(name, OsString::from_vec(value.0.clone()));
    }
    if let Some(directory) = &script.directory {
        command.current_dir(directory);
    }
    let mut readers: Vec<PipeReader> = Vec::new();
    let mut pipe = || -> Result<PipeWriter, PlayError> {
        let (reader, writer) = io::pipe().map_err(|error| PlayError::new("making a pipe for the command", error))?;
        readers.push(reader);
        Ok(writer)
    };
    command.stdout(pipe()?).stderr(pipe()?);
    let mut inherited = Vec::new();
    for variable in &script.pipes {
        let writer = pipe()?;
        command.env(variable, writer.as_raw_fd().to_string());
        inherited.push(writer);
    }

    // Held over the spawn: a request can arrive before it returns, and needs to know when it began.
    let mut state = stage.state();
    state.spawned = Instant::now();
    let process = Arc::new(Process::spawn(command, inherited).map_err(failed)?);
    state.process = Some(Arc::clone(&process));
    drop(state);

    for (output, reader) in readers.into_iter().enumerate() {
        let stage = Arc::clone(stage);
        thread::spawn(move || stage.capture(output, reader));
    }
    let (waiting, waited) = (Arc::clone(stage), Arc::clone(&process));
    thread::spawn(move || {
        // It fails only if somebody else reaped our child; its code is then lost.
        let exit = waited.wait().unwrap_or(Exit::Code(-1));
        waiting.state().exit = Some((exit, Instant::now()));
        waiting.notify();
    });
    Ok(process)
}

fn recording(stage: &Stage, timed_out: bool) -> Recording {
    let mut state = stage.state();
    let mut written = |output: usize| Bytes(std::mem::take(&mut state.outputs[output].bytes));
    let (stdout, stderr) = (written(STDOUT), written(STDERR));
    let pipes: BTreeMap<String, Bytes> = stage
        .script
        .pipes
        .iter()
        .enumerate()
        .map(|(index, variable)| (variable.clone(), written(STDERR + 1 + index)))
        .collect();
    let (exit_code, signal) = match state.exit {
        Some((Exit::Code(code), _)) => (Some(code), None),
        Some((Exit::Signal(signal), _)) => (None, Some(signal)),
        None => (None, None),
    };
    let ended_at_us = state.exit.map(|(_, ended)| state.since_spawn(ended));
    Recording {
        requests: std::mem::take(&mut state.requests),
        request_count: state.request_count,
        stdout,
        stderr,
        pipes,
        exit_code,
        signal,
        timed_out,
        ended_at_us,
        spawned_at_us: State::monotonic(state.spawned),
        spawn_to_first_next_us: state.first_next_us,
        end_signal_sent: state.end_signal_sent,
        latencies_us: std::mem::take(&mut state.latencies_us),
        pss_kb: std::mem::take(&mut state.pss_kb),
    }
}

/// Why a script could not be played at all.
#[derive(Debug)]
pub struct PlayError {
    doing: String,
    cause: String,
}

impl PlayError {
    fn new(doing: impl Into<String>, cause: impl fmt::Display) -> Self {
        PlayError { doing: doing.into(), cause: cause.to_string() }
    }
}

impl fmt::Display for PlayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.doing, self.cause)
    }
}

impl std::error::Error for PlayError {}

//! What takes time, told on a terminal while it does.

use std::{
    io::{self, Write},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    cleanup::Program,
    status_line::{self, Stderr},
};

/// Sooner than this nobody wonders; and how often the line changes.
const TICK: Duration = Duration::from_secs(1);

/// A line that says what is going on, and since when. Gone when this is dropped.
pub struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Says nothing in the first second, and never where there is no terminal for it.
    pub fn of(what: impl Into<String>) -> Progress {
        if !status_line::is_possible() {
            return Progress(None);
        }
        let (what, begun) = (what.into(), Instant::now());
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                status_line::show(&format!("whipsnake: {what}, {} s", begun.elapsed().as_secs()));
            }
            status_line::erase();
        });
        Progress(Some((end, thread)))
    }

    /// Of a function's start.
    pub fn of_start() -> Progress {
        Progress::of("the function is starting")
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // It does not panic.
            let _ = thread.join();
        }
    }
}

/// Runs a program to its end. What it complains about on standard error appears there, whatever line it meets.
pub fn run(what: &str, program: &mut Command, input: &[u8]) -> io::Result<ExitStatus> {
    let _shown = Progress::of(what);
    if status_line::is_possible() {
        program.env("CARGO_TERM_COLOR", "always").stderr(Stdio::piped());
    }
    let mut running = program.stdin(Stdio::piped()).spawn()?;
    let _ends_on_signals = Program::started(&running);
    // One that ends before it has read everything says itself why.
    let _ = running.stdin.take().map(|mut pipe| pipe.write_all(input));
    if let Some(mut complaints) = running.stderr.take() {
        // Nobody is left to tell when standard error is closed.
        let _ = io::copy(&mut complaints, &mut Stderr);
    }
    running.wait()
}

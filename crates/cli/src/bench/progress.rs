//! What is being measured, on a terminal while it is.

use std::io::{self, IsTerminal, Write};

/// A line on standard error that changes. Where that is no terminal, nothing is written.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Looks whether somebody is there to see it.
    pub fn new() -> Self {
        Self { shown: io::stderr().is_terminal() }
    }

    /// `done` of `all` turns of `what`.
    pub fn show(&self, what: &str, done: usize, all: usize) {
        if self.shown {
            let width = 24;
            let filled = width * done / all.max(1);
            let bar: String = (0..width).map(|position| if position < filled { '#' } else { '.' }).collect();
            self.write(&format!("{bar} {done}/{all} {what}"));
        }
    }

    /// Takes the line away, before something else is written.
    pub fn clear(&self) {
        if self.shown {
            self.write("");
        }
    }

    fn write(&self, line: &str) {
        let mut stderr = io::stderr().lock();
        // Nobody is left to tell when standard error is closed.
        let _ = write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush());
    }
}

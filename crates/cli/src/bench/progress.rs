//! What is being measured, on a terminal while it is.

use crate::status_line;

/// A line on standard error that changes. Where that is no terminal, nothing is written.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Looks whether somebody is there to see it.
    pub fn new() -> Self {
        Self { shown: status_line::is_possible() }
    }

    /// `done` of `all` turns of `what`.
    pub fn show(&self, what: &str, done: usize, all: usize) {
        if self.shown {
            let width = 24;
            let filled = width * done / all.max(1);
            let bar: String = (0..width).map(|position| if position < filled { '#' } else { '.' }).collect();
            status_line::show(&format!("{bar} {done}/{all} {what}"));
        }
    }

    /// Takes the line away, before something else is written.
    pub fn clear(&self) {
        status_line::erase();
    }
}

//! The last line of a terminal, where it says what is going on until something else is written.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard},
};

use rustix::termios::tcgetwinsize;

use crate::display;

static LINE: Mutex<Line> = Mutex::new(Line { is_shown: false, other_is_open: false });

struct Line {
    is_shown: bool,
    /// Whether somebody else has written half a line, which is not to be lost.
    other_is_open: bool,
}

/// Whether standard error can have such a line: it is a terminal, and neither `NO_COLOR` nor TERM=dumb asks for plain text. Where CI is
/// set, colours are wanted of a dumb terminal too; it still cannot erase a line.
pub fn is_possible() -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && display::has_colours() && !is_dumb
}

/// Shows `text`, as far as it fits, in the place of what is shown.
pub fn show(text: &str) {
    let mut line = line();
    if line.other_is_open {
        return;
    }
    let mut stderr = io::stderr().lock();
    // A line that the terminal breaks could not be erased.
    let width = tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
    let width = if width == 0 { 80 } else { width };
    let fitting: String = display::visible(text).chars().take(width - 1).collect();
    // Nobody is left to tell when standard error is closed.
    let _ = write!(stderr, "\r\x1b[K{fitting}").and_then(|()| stderr.flush());
    line.is_shown = true;
}

/// Erases it.
pub fn erase() {
    let _ = line().erase();
}

/// Standard error for everybody else: the line makes place for what is written.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = line();
        line.erase()?;
        io::stderr().write_all(bytes)?;
        line.other_is_open = bytes.last().map_or(line.other_is_open, |last| *last != b'\n');
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn line() -> MutexGuard<'static, Line> {
    LINE.lock().expect("nobody panics while writing")
}

impl Line {
    fn erase(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_shown) { io::stderr().write_all(b"\r\x1b[K") } else { Ok(()) }
    }
}

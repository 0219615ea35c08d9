//! What goes to standard error, as people read it: a function's log, and what this command has to say itself.

mod control_characters;

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{LazyLock, Mutex},
};

use anstream::{AutoStream, ColorChoice};
use serde_json::Value;

use crate::{failure::Failure, status_line};
use control_characters::Filter;
pub use control_characters::visible;
use control_characters::visible_lines;

const DIM: &[u8] = b"\x1b[2m";
const RED: &[u8] = b"\x1b[31m";
const YELLOW: &[u8] = b"\x1b[33m";
const PLAIN: &[u8] = b"\x1b[0m";

/// How lines of a log begin that have a colour.
const COLOURS: &[(&[u8], &[u8])] = &[
    (b"START RequestId: ", DIM),
    (b"END RequestId: ", DIM),
    (b"REPORT RequestId: ", DIM),
    (b"INIT_REPORT ", DIM),
    (b"[ERROR]", RED),
    (b"[CRITICAL]", RED),
    (b"[WARNING]", YELLOW),
];

/// Prints text on standard output. A reader that has read enough, such as `head`, may hang up: what remains to be done is done.
pub fn print(text: impl Display) -> Result<(), Failure> {
    let text = text.to_string();
    let mut stdout = io::stdout().lock();
    let text = if stdout.is_terminal() { visible_lines(&text) } else { text.into() };
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::printing(error)),
        _ => Ok(()),
    }
}

/// Prints a line on standard error that is not about this command but about what it has found, such as the Python.
pub fn note(line: impl Display) {
    let line = line.to_string();
    // Nobody is left to tell when standard error is closed.
    let _ = status_line::Stderr.write_all(format!("{}\n", visible_lines(&line)).as_bytes());
}

/// Writes a part of what a function responds on standard output: byte for byte, unless a terminal would obey it.
pub fn response(part: &[u8]) -> io::Result<()> {
    static FILTER: LazyLock<Option<Mutex<Filter>>> = LazyLock::new(|| {
        let stdout = io::stdout();
        let colours = AutoStream::choice(&stdout) != ColorChoice::Never;
        stdout.is_terminal().then(|| Mutex::new(Filter::new(colours)))
    });
    // Standard error may be the same terminal.
    status_line::erase();
    let filtered = FILTER.as_ref().map(|filter| filter.lock().expect("nobody panics while filtering").pass(part));
    let mut stdout = io::stdout().lock();
    stdout.write_all(filtered.as_deref().unwrap_or(part)).and_then(|()| stdout.flush())
}

/// Where a function's log is shown: byte for byte as Lambda would have it, or readably when a terminal shows it.
pub fn log() -> Box<dyn Write + Send> {
    if io::stderr().is_terminal() {
        Box::new(Readable::new(status_line::Stderr, has_colours()))
    } else {
        Box::new(io::stderr())
    }
}

/// Tells something of our own on standard error.
pub fn say(sentence: &str) {
    tell("\x1b[1;32m", sentence);
}

/// The same about something that went wrong.
pub fn complain(sentence: &str) {
    tell("\x1b[1;31m", sentence);
}

fn tell(colour: &str, sentence: &str) {
    let name = if has_colours() { format!("{colour}whipsnake:\x1b[0m") } else { "whipsnake:".to_owned() };
    let sentence = visible_lines(sentence);
    // Nobody is left to tell when standard error is closed.
    let _ = status_line::Stderr.write_all(format!("{name} {sentence}\n").as_bytes());
}

/// Type and first line of what went wrong in a function.
pub fn headline(fault: &[u8]) -> String {
    let fault: Value = serde_json::from_slice(fault).unwrap_or_default();
    let field = |name: &str| fault[name].as_str().unwrap_or_default();
    format!("{}: {}", field("errorType"), field("errorMessage").lines().next().unwrap_or_default())
}

/// Whether standard error is a terminal whose user wants colours: `NO_COLOR`, `CLICOLOR_FORCE` and TERM=dumb are respected.
pub fn has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

/// Shows a carriage return inside a line as a new line: on Lambda it keeps an error and its traceback one record. Of what a
/// terminal would obey, only the function's own colours reach it, and none of them lasts longer than its line.
struct Readable<W> {
    target: W,
    colours: bool,
    filter: Filter,
    /// Whether the last byte was a carriage return, whose meaning depends on what follows.
    pending: bool,
    line: Line,
}

/// How far the line is that is being shown.
enum Line {
    Empty,
    Plain,
    /// By us or by the function.
    Coloured,
}

impl<W: Write> Readable<W> {
    fn new(target: W, colours: bool) -> Self {
        Readable { target, colours, filter: Filter::new(colours), pending: false, line: Line::Empty }
    }

    /// Begins a line, if this is its beginning. What was written at once decides: half a line is not held back.
    fn begin(&mut self, line: &[u8], shown: &mut Vec<u8>) {
        if !matches!(self.line, Line::Empty) {
            return;
        }
        let colour = COLOURS.iter().find(|(beginning, _)| self.colours && line.starts_with(beginning));
        self.line = match colour {
            Some((_, colour)) => {
                shown.extend_from_slice(colour);
                Line::Coloured
            }
            None => Line::Plain,
        };
    }

    fn end(&mut self, shown: &mut Vec<u8>) {
        if matches!(self.line, Line::Coloured) {
            shown.extend_from_slice(PLAIN);
        }
        self.line = Line::Empty;
        shown.push(b'\n');
    }
}

impl<W: Write> Write for Readable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let filtered = self.filter.pass(bytes);
        let mut shown = Vec::with_capacity(filtered.len() + 16);
        for (position, &byte) in filtered.iter().enumerate() {
            if std::mem::take(&mut self.pending) {
                if byte == b'\n' {
                    shown.push(b'\r');
                } else {
                    self.end(&mut shown);
                }
            }
            match byte {
                b'\r' => self.pending = true,
                b'\n' => self.end(&mut shown),
                _ => {
                    self.begin(&filtered[position..], &mut shown);
                    if byte == b'\x1b' {
                        self.line = Line::Coloured;
                    }
                    shown.push(byte);
                }
            }
        }
        self.target.write_all(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Readable, Write};

    fn shown(colours: bool, parts: &[&str]) -> String {
        let mut shown = Vec::new();
        let mut readable = Readable::new(&mut shown, colours);
        for part in parts {
            readable.write_all(part.as_bytes()).expect("a Vec takes everything");
        }
        String::from_utf8(shown).expect("UTF-8")
    }

    #[test]
    fn a_record_becomes_lines_wherever_it_was_cut() {
        assert_eq!(shown(false, &["[ERROR] a\r", "b\rc", "\n", "d\r", "\n"]), "[ERROR] a\nb\nc\nd\r\n");
    }

    #[test]
    fn colours_of_the_functions_end_with_their_line_and_nothing_else_reaches_the_terminal() {
        assert_eq!(
            shown(true, &["\x1b[8mhidden\nEND RequestId: 1\n\x1b", "[2Ja\x1b]0;title\x07\n"]),
            "\x1b[8mhidden\x1b[0m\n\x1b[2mEND RequestId: 1\x1b[0m\n^[[2Ja^[]0;title^G\n"
        );
        assert_eq!(shown(false, &["\x1b[31mred\x1b[0m\n"]), "red\n");
    }

    #[test]
    fn the_first_line_of_a_record_has_its_colour() {
        assert_eq!(
            shown(true, &["[ERROR]\ta", "b\r  [ERROR]\nEND RequestId: 1", "\nplain\n"]),
            "\x1b[31m[ERROR]\tab\x1b[0m\n  [ERROR]\n\x1b[2mEND RequestId: 1\x1b[0m\nplain\n"
        );
    }
}

//! What is wrong with a text that is not JSON, in simplejson's words.

use pyo3::prelude::*;
use pyo3::types::PyString;
use std::borrow::Cow;

/// An error in the text. Positions are offsets in bytes until somebody reads them.
pub(crate) struct SyntaxError {
    pub(crate) message: &'static str,
    pub(crate) position: usize,
    pub(crate) end: Option<usize>,
}

impl SyntaxError {
    /// The text simplejson gives: positions counted in characters, `%r` in the message standing for the one found there.
    pub(crate) fn describe(&self, py: Python<'_>, text: &str) -> String {
        let found = || {
            let character = text[self.position..].chars().next().map(String::from).unwrap_or_default();
            PyString::new(py, &character).repr().map_or_else(|_| format!("{character:?}"), |repr| repr.to_string())
        };
        let message = if self.message.contains("%r") {
            Cow::Owned(self.message.replace("%r", &found()))
        } else {
            Cow::Borrowed(self.message)
        };
        let (line, column, offset) = place(text, self.position);
        match self.end {
            None => format!("{message}: line {line} column {column} (char {offset})"),
            Some(end) => {
                let (end_line, end_column, end_offset) = place(text, end);
                format!(
                    "{message}: line {line} column {column} - line {end_line} column {end_column} (char {offset} - {end_offset})"
                )
            }
        }
    }
}

/// Line and column, from 1, and offset, from 0, of a position, all in characters.
fn place(text: &str, position: usize) -> (usize, usize, usize) {
    let before = &text[..position];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1, before.chars().count())
}

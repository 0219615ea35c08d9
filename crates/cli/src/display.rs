//! A function's log as people read it.

use std::io::{self, Write};

/// Shows a carriage return inside a line as a new line: on Lambda it keeps an error and its traceback one record.
pub struct Readable<W> {
    target: W,
    /// Whether the last byte was a carriage return, whose meaning depends on what follows.
    pending: bool,
}

impl<W: Write> Readable<W> {
    /// Writes to `target`.
    pub fn new(target: W) -> Self {
        Readable { target, pending: false }
    }
}

impl<W: Write> Write for Readable<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if self.pending {
                shown.push(if byte == b'\n' { b'\r' } else { b'\n' });
            }
            self.pending = byte == b'\r';
            if !self.pending {
                shown.push(byte);
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

    #[test]
    fn a_record_becomes_lines_wherever_it_was_cut() {
        let mut shown = Vec::new();
        let mut readable = Readable::new(&mut shown);
        for part in ["[ERROR] a\r", "b\rc", "\n", "d\r", "\n"] {
            readable.write_all(part.as_bytes()).expect("a Vec takes everything");
        }
        assert_eq!(shown, b"[ERROR] a\nb\nc\nd\r\n");
    }
}

//! JSON as Python writes it, for what Rust reports: `{"a": 1, "b": [2, 3]}`, with a blank after each separator.

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Serialises `value` on one line with Python's separators and without escaping anything that JSON lets stand.
#[must_use]
pub fn to_string(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut out, PythonSeparators))
        .expect("maps have string keys, and writing to memory cannot fail");
    String::from_utf8(out).expect("serde_json writes UTF-8")
}

struct PythonSeparators;

impl Formatter for PythonSeparators {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn separators_and_escapes_are_pythons() {
        let value = json!({"a": [1, "\u{1f}\n\"é😀\u{7f}"], "b": {}, "c": []});
        assert_eq!(super::to_string(&value), "{\"a\": [1, \"\\u001f\\n\\\"é😀\u{7f}\"], \"b\": {}, \"c\": []}");
    }
}

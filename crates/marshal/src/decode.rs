//! JSON text to Python objects in one pass, without a tree in between.
//!
//! One parser gives both the objects and the error texts. A faster parser for the good cases beside a slow one for the bad
//! (lone surrogates, huge integers, trailing data) would need the two to agree on what is good.

use crate::recursion::deeper;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString};
use std::borrow::Cow;

/// Decodes an event.
///
/// # Errors
/// `ValueError` with simplejson's text where the payload is not JSON, `UnicodeDecodeError` where it is not UTF-8,
/// `RecursionError` where it is nested too deeply.
pub fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let Ok(text) = std::str::from_utf8(payload) else {
        return Err(why_not_utf_8(py, payload));
    };
    let mut decoder = Decoder { py, text, bytes: text.as_bytes(), position: 0 };
    decoder.document().map_err(|failure| match failure {
        Failure::Syntax(error) => PyValueError::new_err(error.describe(py, text)),
        Failure::Python(error) => error,
    })
}

/// Python's own decoder says best what is wrong with the bytes.
fn why_not_utf_8(py: Python<'_>, payload: &[u8]) -> PyErr {
    match unicode_from(py, payload, c"strict") {
        Err(error) => error,
        Ok(_) => PyValueError::new_err("the payload is not UTF-8"),
    }
}

/// What stops a document from being decoded.
enum Failure {
    Syntax(SyntaxError),
    Python(PyErr),
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

/// An error in the text. Positions are offsets in bytes until somebody reads them.
struct SyntaxError {
    message: &'static str,
    position: usize,
    end: Option<usize>,
}

impl SyntaxError {
    /// The text simplejson gives: positions counted in characters, `%r` in the message standing for the one found there.
    fn describe(&self, py: Python<'_>, text: &str) -> String {
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

struct Decoder<'py, 'text> {
    py: Python<'py>,
    text: &'text str,
    bytes: &'text [u8],
    position: usize,
}

type Decoded<'py> = Result<Bound<'py, PyAny>, Failure>;

impl<'py> Decoder<'py, '_> {
    fn document(&mut self) -> Decoded<'py> {
        if self.text.starts_with('\u{feff}') {
            self.position = '\u{feff}'.len_utf8();
        }
        self.skip_blanks();
        let value = self.value()?;
        self.skip_blanks();
        if self.position < self.bytes.len() {
            return Err(Failure::Syntax(SyntaxError {
                message: "Extra data",
                position: self.position,
                end: Some(self.bytes.len()),
            }));
        }
        Ok(value)
    }

    fn value(&mut self) -> Decoded<'py> {
        match self.peek() {
            Some(b'"') => Ok(self.string()?.into_any()),
            Some(b'{') => deeper(self.py, c" while decoding a JSON object from a string", || self.object()),
            Some(b'[') => deeper(self.py, c" while decoding a JSON array from a string", || self.array()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') if self.take("null") => Ok(self.py.None().into_bound(self.py)),
            Some(b't') if self.take("true") => {
                Ok(true.into_pyobject(self.py).map_err(infallible)?.to_owned().into_any())
            }
            Some(b'f') if self.take("false") => {
                Ok(false.into_pyobject(self.py).map_err(infallible)?.to_owned().into_any())
            }
            _ => self.refuse("Expecting value", self.position),
        }
    }

    fn object(&mut self) -> Decoded<'py> {
        let object = PyDict::new(self.py);
        self.position += 1;
        self.skip_blanks();
        if self.take("}") {
            return Ok(object.into_any());
        }
        let mut property_expected = "Expecting property name enclosed in double quotes or '}'";
        loop {
            if self.peek() != Some(b'"') {
                return self.refuse(property_expected, self.position);
            }
            let key = self.string()?;
            self.skip_blanks();
            if !self.take(":") {
                return self.refuse("Expecting ':' delimiter", self.position);
            }
            self.skip_blanks();
            let value = self.value()?;
            object.set_item(key, value)?;
            self.skip_blanks();
            if self.take("}") {
                return Ok(object.into_any());
            }
            let comma = self.position;
            if !self.take(",") {
                return self.refuse("Expecting ',' delimiter or '}'", self.position);
            }
            self.skip_blanks();
            if self.peek() == Some(b'}') {
                return self.refuse("Illegal trailing comma before end of object", comma);
            }
            property_expected = "Expecting property name enclosed in double quotes";
        }
    }

    fn array(&mut self) -> Decoded<'py> {
        let array = PyList::empty(self.py);
        self.position += 1;
        self.skip_blanks();
        if self.take("]") {
            return Ok(array.into_any());
        }
        if self.peek().is_none() {
            return self.refuse("Expecting value or ']'", self.position);
        }
        loop {
            array.append(self.value()?)?;
            self.skip_blanks();
            if self.take("]") {
                return Ok(array.into_any());
            }
            let comma = self.position;
            if !self.take(",") {
                return self.refuse("Expecting ',' delimiter or ']'", self.position);
            }
            self.skip_blanks();
            if self.peek() == Some(b']') {
                return self.refuse("Illegal trailing comma before end of array", comma);
            }
        }
    }

    fn number(&mut self) -> Decoded<'py> {
        let start = self.position;
        let integer_start = start + usize::from(self.bytes[start] == b'-');
        let mut end = match self.bytes.get(integer_start) {
            Some(b'0') => integer_start + 1,
            Some(b'1'..=b'9') => self.after_digits(integer_start),
            _ => return self.refuse("Expecting value", start),
        };
        let mut is_float = false;
        if self.bytes.get(end) == Some(&b'.') && self.after_digits(end + 1) > end + 1 {
            end = self.after_digits(end + 1);
            is_float = true;
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let digits = end + 1 + usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            if self.after_digits(digits) > digits {
                end = self.after_digits(digits);
                is_float = true;
            }
        }
        self.position = end;
        let literal = &self.text[start..end];
        if is_float {
            // Correctly rounded, as Python's own; too large becomes infinity in both.
            let value = literal.parse::<f64>().map_err(|error| PyValueError::new_err(error.to_string()))?;
            return Ok(PyFloat::new(self.py, value).into_any());
        }
        match literal.parse::<i64>() {
            Ok(value) => Ok(value.into_pyobject(self.py).map_err(infallible)?.into_any()),
            // int() itself, for its limit on digits and that limit's text.
            Err(_) => Ok(self.py.get_type::<PyInt>().call1((literal,))?),
        }
    }

    /// Where the digits that begin at `from` end.
    fn after_digits(&self, from: usize) -> usize {
        from + self.bytes[from.min(self.bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn string(&mut self) -> Result<Bound<'py, PyString>, Failure> {
        let quote = self.position;
        let start = quote + 1;
        let end = self.plain_until(start, quote)?;
        if self.bytes[end] == b'"' {
            self.position = end + 1;
            return Ok(PyString::new(self.py, &self.text[start..end]));
        }
        self.escaped_string(quote, start, end)
    }

    /// The rest of a string that has an escape at `escape`. Kept apart so that plain strings stay small code.
    fn escaped_string(&mut self, quote: usize, start: usize, escape: usize) -> Result<Bound<'py, PyString>, Failure> {
        // UTF-8, but for lone surrogates, which JSON can spell and Python's str can hold: those go in as three bytes each.
        let mut unescaped = Vec::with_capacity(self.bytes[start..].len().min(4 * (escape - start) + 64));
        let mut lone_surrogates = false;
        let mut plain = start;
        let mut end = escape;
        while self.bytes[end] == b'\\' {
            unescaped.extend_from_slice(&self.bytes[plain..end]);
            let (code, after) = self.escape(end, quote)?;
            match char::from_u32(code) {
                Some(character) => unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {
                    lone_surrogates = true;
                    unescaped.extend_from_slice(&three_bytes(code));
                }
            }
            plain = after;
            end = self.plain_until(after, quote)?;
        }
        unescaped.extend_from_slice(&self.bytes[plain..end]);
        self.position = end + 1;
        let errors = if lone_surrogates { c"surrogatepass" } else { c"strict" };
        Ok(unicode_from(self.py, &unescaped, errors)?)
    }

    /// Where the next quote or backslash is, from `from` on, in the string that began at `quote`.
    fn plain_until(&self, from: usize, quote: usize) -> Result<usize, Failure> {
        let plain =
            self.bytes[from..].iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= b' ').count();
        match self.bytes.get(from + plain) {
            Some(b'"' | b'\\') => Ok(from + plain),
            Some(_) => self.refuse("Invalid control character %r at", from + plain),
            None => self.refuse("Unterminated string starting at", quote),
        }
    }

    /// The code point of the escape at `backslash`, and the position after it.
    fn escape(&self, backslash: usize, quote: usize) -> Result<(u32, usize), Failure> {
        let simple = |character: char| Ok((u32::from(character), backslash + 2));
        match self.bytes.get(backslash + 1) {
            None => self.refuse("Unterminated string starting at", quote),
            Some(b'"') => simple('"'),
            Some(b'\\') => simple('\\'),
            Some(b'/') => simple('/'),
            Some(b'b') => simple('\u{8}'),
            Some(b'f') => simple('\u{c}'),
            Some(b'n') => simple('\n'),
            Some(b'r') => simple('\r'),
            Some(b't') => simple('\t'),
            Some(b'u') => {
                let first = self.four_hex_digits(backslash)?;
                let next = backslash + 6;
                let is_high = (0xd800..0xdc00).contains(&first);
                if is_high && self.bytes[next..].starts_with(b"\\u") && next + 6 <= self.bytes.len() {
                    let second = self.four_hex_digits(next)?;
                    if (0xdc00..0xe000).contains(&second) {
                        return Ok((0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), next + 6));
                    }
                }
                Ok((first, next))
            }
            Some(_) => self.refuse("Invalid \\X escape sequence %r", backslash + 1),
        }
    }

    fn four_hex_digits(&self, backslash: usize) -> Result<u32, Failure> {
        let digits = self.bytes.get(backslash + 2..backslash + 6).unwrap_or_default();
        let mut value = 0;
        for &digit in digits {
            match char::from(digit).to_digit(16) {
                Some(digit) => value = value << 4 | digit,
                None => return self.refuse("Invalid \\uXXXX escape sequence", backslash),
            }
        }
        if digits.is_empty() { self.refuse("Invalid \\uXXXX escape sequence", backslash) } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// Takes `expected` if it is what comes next.
    fn take(&mut self, expected: &str) -> bool {
        let found = self.bytes[self.position..].starts_with(expected.as_bytes());
        if found {
            self.position += expected.len();
        }
        found
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.position += 1;
        }
    }

    #[cold]
    fn refuse<T>(&self, message: &'static str, position: usize) -> Result<T, Failure> {
        Err(Failure::Syntax(SyntaxError { message, position, end: None }))
    }
}

/// A surrogate in the three bytes that UTF-8 would give it if it allowed it.
fn three_bytes(surrogate: u32) -> [u8; 3] {
    let low_bits = |shift: u32| 0x80 | (surrogate >> shift & 0x3f) as u8;
    [0xe0 | (surrogate >> 12) as u8, low_bits(6), low_bits(0)]
}

fn unicode_from<'py>(py: Python<'py>, bytes: &[u8], errors: &std::ffi::CStr) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: attached to the interpreter; pointer and length are one slice's, which Python copies out of; the result is a
    // new reference to a str, or null with an exception set.
    unsafe {
        let length = bytes.len() as ffi::Py_ssize_t;
        let text = ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast(), length, errors.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

fn infallible(never: std::convert::Infallible) -> PyErr {
    match never {}
}

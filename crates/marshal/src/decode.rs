//! JSON text to Python objects in one pass, without a tree in between.
//!
//! One parser gives both the objects and the error texts. A faster parser for the good cases beside a slow one for the bad
//! (lone surrogates, huge integers, trailing data) would need the two to agree on what is good.

use crate::collections;
use crate::keys;
use crate::plain::plain;
use crate::recursion::deeper;
use crate::syntax_error::SyntaxError;
use crate::unicode;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList};

/// Payloads of this size and more bring on collections of garbage while they are read.
const LARGE: usize = 64 * 1024;

/// Decodes an event.
///
/// # Errors
/// `ValueError` with simplejson's text where the payload is not JSON, `UnicodeDecodeError` where it is not UTF-8,
/// `RecursionError` where it is nested too deeply.
pub fn decode<'py>(py: Python<'py>, payload: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let Ok(text) = std::str::from_utf8(payload) else {
        return Err(why_not_utf_8(py, payload));
    };
    let _put_off = (payload.len() >= LARGE).then(|| collections::PutOff::new(py));
    let mut decoder =
        Decoder { py, text, bytes: text.as_bytes(), position: 0, items: Vec::new(), unescaped: Vec::new() };
    decoder.document().map_err(|failure| match *failure {
        Failure::Syntax(error) => PyValueError::new_err(error.describe(py, text)),
        Failure::Python(error) => error,
    })
}

/// Python's own decoder says best what is wrong with the bytes.
fn why_not_utf_8(py: Python<'_>, payload: &[u8]) -> PyErr {
    match unicode::decoded(py, payload, c"strict") {
        Err(error) => error,
        Ok(_) => PyValueError::new_err("the payload is not UTF-8"),
    }
}

/// What stops a document from being decoded.
enum Failure {
    Syntax(SyntaxError),
    Python(PyErr),
}

impl From<PyErr> for Box<Failure> {
    fn from(error: PyErr) -> Self {
        Self::new(Failure::Python(error))
    }
}

struct Decoder<'py, 'text> {
    py: Python<'py>,
    text: &'text str,
    bytes: &'text [u8],
    position: usize,
    /// Of the arrays that have begun, outermost first: a list is made when its length is known.
    items: Vec<Bound<'py, PyAny>>,
    /// Of the string that is being read, in UTF-8. Kept for its memory.
    unescaped: Vec<u8>,
}

/// The failure is small, because it is passed on with each value.
type Read<T> = Result<T, Box<Failure>>;
type Decoded<'py> = Read<Bound<'py, PyAny>>;

impl<'py> Decoder<'py, '_> {
    fn document(&mut self) -> Decoded<'py> {
        if self.text.starts_with('\u{feff}') {
            self.position = '\u{feff}'.len_utf8();
        }
        self.skip_blanks();
        let value = self.value()?;
        self.skip_blanks();
        if self.position < self.bytes.len() {
            let end = Some(self.bytes.len());
            return Err(Box::new(Failure::Syntax(SyntaxError { message: "Extra data", position: self.position, end })));
        }
        Ok(value)
    }

    fn value(&mut self) -> Decoded<'py> {
        match self.peek() {
            Some(b'"') => self.string(),
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
            let key = self.key()?;
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
        self.position += 1;
        self.skip_blanks();
        if self.take("]") {
            return Ok(PyList::empty(self.py).into_any());
        }
        if self.peek().is_none() {
            return self.refuse("Expecting value or ']'", self.position);
        }
        let first = self.items.len();
        loop {
            let item = self.value()?;
            self.items.push(item);
            self.skip_blanks();
            if self.take("]") {
                return Ok(PyList::new(self.py, self.items.drain(first..))?.into_any());
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
        let (integer, integer_end) = match self.bytes.get(integer_start) {
            Some(b'0') => (0, integer_start + 1),
            Some(b'1'..=b'9') => self.digits(0, integer_start),
            _ => return self.refuse("Expecting value", start),
        };
        let (mut digits, mut end) = (integer, integer_end);
        if self.bytes.get(end) == Some(&b'.') {
            let (with_fraction, fraction_end) = self.digits(integer, end + 1);
            if fraction_end > end + 1 {
                (digits, end) = (with_fraction, fraction_end);
            }
        }
        let fraction_end = end;
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let exponent = end + 1 + usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let (_, exponent_end) = self.digits(0, exponent);
            if exponent_end > exponent {
                end = exponent_end;
            }
        }
        self.position = end;
        let literal = &self.text[start..end];
        let is_negative = integer_start > start;
        if end == integer_end {
            return self.integer(literal, integer, is_negative);
        }
        let exact = if end == fraction_end && end - integer_start <= MOST_DIGITS {
            exact_quotient(digits, end - integer_end - 1)
        } else {
            None
        };
        let value = match exact {
            Some(value) if is_negative => -value,
            Some(value) => value,
            // Correctly rounded, as Python's own; too large becomes infinity in both.
            None => literal.parse::<f64>().map_err(|error| PyValueError::new_err(error.to_string()))?,
        };
        Ok(PyFloat::new(self.py, value).into_any())
    }

    /// An integer. `digits` are right where they are few enough for 64 bits.
    fn integer(&self, literal: &str, digits: u64, is_negative: bool) -> Decoded<'py> {
        if literal.len() <= MOST_DIGITS {
            let value = digits.cast_signed();
            let value = if is_negative { -value } else { value };
            return Ok(value.into_pyobject(self.py).map_err(infallible)?.into_any());
        }
        match literal.parse::<i64>() {
            Ok(value) => Ok(value.into_pyobject(self.py).map_err(infallible)?.into_any()),
            // int() itself, for its limit on digits and that limit's text.
            Err(_) => Ok(self.py.get_type::<PyInt>().call1((literal,))?),
        }
    }

    /// `before` with the digits that begin at `from` behind it, and where they end. More than 64 bits hold are not told right.
    fn digits(&self, before: u64, from: usize) -> (u64, usize) {
        let (mut value, mut end) = (before, from);
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(end) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            end += 1;
        }
        (value, end)
    }

    fn string(&mut self) -> Decoded<'py> {
        let start = self.position + 1;
        let plain = plain(&self.bytes[start..]);
        let end = start + plain.length;
        if self.bytes.get(end) != Some(&b'"') {
            return self.escaped_string(start);
        }
        self.position = end + 1;
        let text = &self.text[start..end];
        let text = if plain.is_ascii {
            // SAFETY: `plain` has looked at every byte of the text.
            unsafe { unicode::from_ascii(self.py, text) }
        } else {
            unicode::from_utf_8(self.py, text)
        };
        Ok(text?.into_any())
    }

    fn key(&mut self) -> Decoded<'py> {
        let start = self.position + 1;
        let plain = plain(&self.bytes[start..]);
        let end = start + plain.length;
        if !plain.is_ascii || self.bytes.get(end) != Some(&b'"') {
            return self.string();
        }
        self.position = end + 1;
        // SAFETY: `plain` has looked at every byte of the text.
        Ok(unsafe { keys::key(self.py, &self.text[start..end]) }?.into_any())
    }

    /// A string with an escape in it, or with what must not be there. Kept apart so that plain strings stay small code.
    #[inline(never)]
    fn escaped_string(&mut self, start: usize) -> Decoded<'py> {
        // UTF-8, but for lone surrogates, which JSON can spell and Python's str can hold: those go in as three bytes each.
        self.unescaped.clear();
        let mut lone_surrogates = false;
        let mut position = start;
        loop {
            let end = position + plain(&self.bytes[position..]).length;
            self.unescaped.extend_from_slice(&self.bytes[position..end]);
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.position = end + 1;
                    break;
                }
                Some(b'\\') => {}
                Some(_) => return self.refuse("Invalid control character %r at", end),
                None => return self.refuse("Unterminated string starting at", start - 1),
            }
            let (code, after) = self.escape(end, start - 1)?;
            match char::from_u32(code) {
                Some(character) if character.is_ascii() => self.unescaped.push(character as u8),
                Some(character) => self.unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {
                    lone_surrogates = true;
                    self.unescaped.extend_from_slice(&three_bytes(code));
                }
            }
            position = after;
        }
        if lone_surrogates {
            return Ok(unicode::decoded(self.py, &self.unescaped, c"surrogatepass")?.into_any());
        }
        debug_assert!(str::from_utf8(&self.unescaped).is_ok());
        // SAFETY: whole characters, one by one or between two ASCII characters of a text.
        let text = unsafe { str::from_utf8_unchecked(&self.unescaped) };
        Ok(unicode::from_utf_8(self.py, text)?.into_any())
    }

    /// The code point of the escape at `backslash`, and the position after it.
    fn escape(&self, backslash: usize, quote: usize) -> Read<(u32, usize)> {
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

    fn four_hex_digits(&self, backslash: usize) -> Read<u32> {
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
    fn refuse<T>(&self, message: &'static str, position: usize) -> Read<T> {
        Err(Box::new(Failure::Syntax(SyntaxError { message, position, end: None })))
    }
}

/// So many digits are less than 2^63.
const MOST_DIGITS: usize = 18;

/// `digits` divided by a power of ten, where both are exact as floats: then their quotient is the one that is correctly rounded.
fn exact_quotient(digits: u64, power: usize) -> Option<f64> {
    const POWERS: [f64; MOST_DIGITS] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];
    let is_exact = digits <= 1 << f64::MANTISSA_DIGITS;
    is_exact.then(|| digits as f64 / POWERS[power])
}

/// A surrogate in the three bytes that UTF-8 would give it if it allowed it.
#[expect(clippy::cast_possible_truncation, reason = "some of its bits in each byte")]
fn three_bytes(surrogate: u32) -> [u8; 3] {
    let low_bits = |shift: u32| 0x80 | (surrogate >> shift & 0x3f) as u8;
    [0xe0 | (surrogate >> 12) as u8, low_bits(6), low_bits(0)]
}

fn infallible(never: std::convert::Infallible) -> PyErr {
    match never {}
}

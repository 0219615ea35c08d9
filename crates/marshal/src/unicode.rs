//! Python's str from the inside: made from UTF-8 without a second look at it, and read as CPython keeps it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::slice;

/// A str in the form in which CPython keeps it: of the narrowest units that hold its widest character.
pub(crate) enum Characters<'a> {
    /// Up to U+00FF.
    One(&'a [u8]),
    /// Up to U+FFFF, surrogates among them.
    Two(&'a [u16]),
    /// Any, surrogates among them.
    Four(&'a [u32]),
}

/// The characters of a str, where they are.
pub(crate) fn characters<'a>(text: &'a Bound<'_, PyString>) -> Characters<'a> {
    let text = text.as_ptr();
    // SAFETY: a str, which the caller's reference keeps alive for 'a and which nobody changes: it has a reference besides any that
    // its maker has. Its kind is the width of a unit in bytes, and its data is as many of these as it is long.
    unsafe {
        let length = ffi::PyUnicode_GET_LENGTH(text).cast_unsigned();
        let data = ffi::PyUnicode_DATA(text);
        match ffi::PyUnicode_KIND(text) {
            ffi::PyUnicode_1BYTE_KIND => Characters::One(slice::from_raw_parts(data.cast(), length)),
            ffi::PyUnicode_2BYTE_KIND => Characters::Two(slice::from_raw_parts(data.cast(), length)),
            _ => Characters::Four(slice::from_raw_parts(data.cast(), length)),
        }
    }
}

/// A new str of ASCII text.
///
/// # Safety
///
/// The text is ASCII: CPython relies on that for every operation on the str.
pub(crate) unsafe fn from_ascii<'py>(py: Python<'py>, ascii: &str) -> PyResult<Bound<'py, PyString>> {
    debug_assert!(ascii.is_ascii());
    if ascii.len() < 2 {
        // CPython has one of each of these, and code that compares them by identity.
        return Ok(PyString::new(py, ascii));
    }
    // SAFETY: units of one byte, one for each of the text's.
    unsafe {
        filled(py, ascii.len(), 0x7f, |units: &mut [MaybeUninit<u8>]| {
            for (unit, &byte) in units.iter_mut().zip(ascii.as_bytes()) {
                unit.write(byte);
            }
        })
    }
}

/// A new str of any text.
#[expect(clippy::cast_possible_truncation, reason = "the widest character is known to fit")]
pub(crate) fn from_utf_8<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    // The first byte of a character tells its range, and those of the wider ranges are the greater ones. The others are all less than
    // 0xc0.
    let widest = text.bytes().fold(0, u8::max);
    let length = text.chars().count();
    if widest < 0x80 {
        // SAFETY: no byte of the text is above 0x7f.
        return unsafe { from_ascii(py, text) };
    }
    if length == 1 {
        return Ok(PyString::new(py, text));
    }
    // SAFETY: units of one, two and four bytes, one for each character. None of the text is beyond the range of its widest.
    unsafe {
        match widest {
            ..0xc4 => filled(py, length, 0xff, |units| write(units, text, |character| character as u8)),
            0xc4..0xf0 => filled(py, length, 0xffff, |units| write(units, text, |character| character as u16)),
            0xf0.. => filled(py, length, 0x10_ffff, |units| write(units, text, |character| character)),
        }
    }
}

fn write<Unit: Copy>(units: &mut [MaybeUninit<Unit>], text: &str, narrowed: impl Fn(u32) -> Unit) {
    for (unit, character) in units.iter_mut().zip(text.chars()) {
        unit.write(narrowed(u32::from(character)));
    }
}

/// A new str, more than one character long.
///
/// # Safety
/// `fill` writes all its units. None is greater than `widest`, which is the greatest ASCII character or the greatest number of a `Unit`.
unsafe fn filled<Unit>(
    py: Python<'_>,
    length: usize,
    widest: u32,
    fill: impl FnOnce(&mut [MaybeUninit<Unit>]),
) -> PyResult<Bound<'_, PyString>> {
    // SAFETY: attached to the interpreter. The result is a new str, or null with an exception set. Nobody else has it yet, so that its
    // units may be written. PyUnicode_New gave it as many as it is long, of the width that `widest` asks for: the caller says that it
    // is that of Unit.
    unsafe {
        let text = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(length.cast_signed(), widest))?;
        let units: *mut c_void = ffi::PyUnicode_DATA(text.as_ptr());
        fill(slice::from_raw_parts_mut(units.cast(), length));
        Ok(text.cast_into_unchecked())
    }
}

/// A new str of bytes that may not be UTF-8. `errors` is what Python's decoder does about those.
pub(crate) fn decoded<'py>(py: Python<'py>, bytes: &[u8], errors: &CStr) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: attached to the interpreter; pointer and length are one slice's, which Python copies out of; the result is a
    // new reference to a str, or null with an exception set.
    unsafe {
        let length = bytes.len().cast_signed();
        let text = ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast(), length, errors.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

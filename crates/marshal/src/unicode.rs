//! Python's str at C level: made from UTF-8 in one pass, and read in CPython's own representation.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::ffi::{CStr, c_void};
use std::mem::MaybeUninit;
use std::slice;

/// A str as CPython stores it: in units of the smallest width that holds its widest character.
pub(crate) enum Characters<'a> {
    /// Up to U+00FF.
    One(&'a [u8]),
    /// Up to U+FFFF, surrogates among them.
    Two(&'a [u16]),
    /// Any, surrogates among them.
    Four(&'a [u32]),
}

/// Borrows the characters of a str.
pub(crate) fn characters<'a>(text: &'a Bound<'_, PyString>) -> Characters<'a> {
    let text = text.as_ptr();
    // SAFETY: a str, which the caller's reference keeps alive for 'a. It has more than one reference, so nothing changes it. Its kind is
    // the width of a unit in bytes, and its data has as many units as the str is long.
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
        // CPython has only one of each of these, and code may compare them by identity.
        return Ok(PyString::new(py, ascii));
    }
    // SAFETY: units of one byte, and one for each byte of the text.
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
    // The greatest byte tells the range of the widest character: first bytes of wider ranges are greater, and all other bytes are less than
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
    // SAFETY: units of one, two or four bytes, and one for each character. All characters are in the range of the widest one.
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
    // SAFETY: attached to the interpreter. The result is a new str, or null with an exception set. Nothing else refers to the str yet, so
    // its units may be written. PyUnicode_New gave it as many units as it is long, of the width for `widest`, which the caller promises to
    // be Unit's.
    unsafe {
        let text = Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_New(length.cast_signed(), widest))?;
        let units: *mut c_void = ffi::PyUnicode_DATA(text.as_ptr());
        fill(slice::from_raw_parts_mut(units.cast(), length));
        Ok(text.cast_into_unchecked())
    }
}

/// A new str from bytes that may not be UTF-8. `errors`: how Python's decoder handles invalid bytes.
pub(crate) fn decoded<'py>(py: Python<'py>, bytes: &[u8], errors: &CStr) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: attached to the interpreter. Pointer and length are of one slice, which Python copies. The result is a new reference to a
    // str, or null with an exception set.
    unsafe {
        let length = bytes.len().cast_signed();
        let text = ffi::PyUnicode_DecodeUTF8(bytes.as_ptr().cast(), length, errors.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
    }
}

//! Text between the quotes of a JSON string: UTF-8, with only that escaped which JSON requires.

use crate::plain::plain_ascii;
use crate::unicode::Characters;

/// Appends the text.
pub(crate) fn append(out: &mut Vec<u8>, text: &Characters<'_>) {
    match text {
        Characters::One(units) => append_bytes(out, units),
        Characters::Two(units) => append_wide(out, units),
        Characters::Four(units) => append_wide(out, units),
    }
}

fn append_bytes(out: &mut Vec<u8>, mut text: &[u8]) {
    loop {
        let (plain, rest) = text.split_at(plain_ascii(text));
        out.extend_from_slice(plain);
        let Some((&character, after)) = rest.split_first() else { return };
        text = after;
        append_character(out, u32::from(character));
    }
}

fn append_wide<Unit: Copy + Into<u32>>(out: &mut Vec<u8>, text: &[Unit]) {
    const TOGETHER: usize = 8;
    out.reserve(text.len() + text.len() / 2);
    for units in text.chunks(TOGETHER) {
        let is_plain = |&unit: &Unit| matches!(unit.into(), 0x20..0x80) && !matches!(unit.into(), 0x22 | 0x5c);
        let is_whole = units.len() == TOGETHER;
        if is_whole && units.iter().fold(true, |all, unit| all & is_plain(unit)) {
            let mut bytes = [0; TOGETHER];
            bytes.iter_mut().zip(units).for_each(|(byte, &unit)| *byte = unit.into() as u8);
            out.extend_from_slice(&bytes);
        } else {
            units.iter().for_each(|&unit| append_character(out, unit.into()));
        }
    }
}

/// A surrogate stands alone: the managed runtime's process dies on it. As an escape it is valid JSON, and what its older versions wrote.
fn append_character(out: &mut Vec<u8>, character: u32) {
    match char::from_u32(character) {
        Some('"') => out.extend_from_slice(b"\\\""),
        Some('\\') => out.extend_from_slice(b"\\\\"),
        Some(' '..='~' | '\x7f') => out.push(character as u8),
        Some('\n') => out.extend_from_slice(b"\\n"),
        Some('\r') => out.extend_from_slice(b"\\r"),
        Some('\t') => out.extend_from_slice(b"\\t"),
        Some('\x08') => out.extend_from_slice(b"\\b"),
        Some('\x0c') => out.extend_from_slice(b"\\f"),
        Some('\0'..' ') | None => append_number(out, character),
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// A control character or a surrogate.
fn append_number(out: &mut Vec<u8>, unit: u32) {
    let digit = |shift: u32| b"0123456789abcdef"[(unit >> shift & 0xf) as usize];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

//! Text between the quotes of a JSON string: UTF-8, with only that escaped which JSON requires.

use crate::unicode::Characters;

/// Appends the text.
pub(crate) fn append(out: &mut Vec<u8>, text: &Characters<'_>) {
    match text {
        Characters::One(units) => append_bytes(out, units),
        Characters::Two(units) => append_wide(out, units),
        Characters::Four(units) => append_wide(out, units),
    }
}

fn append_bytes(out: &mut Vec<u8>, text: &[u8]) {
    if is_all_plain(text) {
        return out.extend_from_slice(text);
    }
    let (blocks, rest) = text.as_chunks::<16>();
    for block in blocks {
        if is_plain_block(*block) {
            out.extend_from_slice(block);
        } else {
            append_each(out, block);
        }
    }
    append_each(out, rest);
}

/// Whether all of a text is written as it is. Sixteen bytes are looked at together, and some of them twice.
fn is_all_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        return text.as_chunks::<16>().0.iter().all(|block| is_plain_block(*block)) && is_plain_block(*last);
    }
    let both = if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        [u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)]
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        [u64::from(u32::from_ne_bytes(*first)) << 32 | u64::from(u32::from_ne_bytes(*last)); 2]
    } else {
        return text.iter().all(|&byte| is_plain(byte.into()));
    };
    is_plain_block((u128::from(both[0]) << 64 | u128::from(both[1])).to_ne_bytes())
}

/// The same for sixteen bytes, without a branch: one instruction compares all of them.
#[inline]
fn is_plain_block(block: [u8; 16]) -> bool {
    // As a signed number, a byte beyond ASCII is less than any.
    let is_special = |byte: u8| u8::from(byte.cast_signed() < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    // Collected, not searched: each byte's answer in its place is what the compiler makes one instruction of.
    u128::from_ne_bytes(block.map(is_special)) == 0
}

#[expect(clippy::cast_possible_truncation, reason = "ASCII")]
fn append_wide<Unit: Copy + Into<u32>>(out: &mut Vec<u8>, text: &[Unit]) {
    out.reserve(text.len());
    let (blocks, rest) = text.as_chunks::<8>();
    for block in blocks {
        if block.iter().fold(true, |all, &unit| all & is_plain(unit.into())) {
            out.extend_from_slice(&block.map(|unit| unit.into() as u8));
        } else {
            append_each(out, block);
        }
    }
    append_each(out, rest);
}

fn append_each<Unit: Copy + Into<u32>>(out: &mut Vec<u8>, text: &[Unit]) {
    for &unit in text {
        append_character(out, unit.into());
    }
}

/// Whether this is ASCII that is written as it is.
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, so that one instruction tells it of several")]
fn is_plain(character: u32) -> bool {
    (0x20..0x80).contains(&character) & (character != 0x22) & (character != 0x5c)
}

#[expect(clippy::cast_possible_truncation, reason = "UTF-8 is made of a character's bits, some in each byte")]
fn append_character(out: &mut Vec<u8>, character: u32) {
    let continued = |shift: u32| 0x80 | (character >> shift & 0x3f) as u8;
    match character {
        0..0x80 if is_plain(character) => out.push(character as u8),
        0..0x80 => append_escape(out, character as u8),
        0x80..0x800 => out.extend_from_slice(&[0xc0 | (character >> 6) as u8, continued(0)]),
        0xd800..0xe000 => append_number(out, character),
        0x800..0x1_0000 => out.extend_from_slice(&[0xe0 | (character >> 12) as u8, continued(6), continued(0)]),
        _ => out.extend_from_slice(&[0xf0 | (character >> 18) as u8, continued(12), continued(6), continued(0)]),
    }
}

fn append_escape(out: &mut Vec<u8>, character: u8) {
    let letter = match character {
        b'"' | b'\\' => character,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return append_number(out, character.into()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// A control character, or a surrogate that stands alone. The managed runtime's process dies on that one; as an escape it is valid
/// JSON, and what its older versions wrote.
fn append_number(out: &mut Vec<u8>, unit: u32) {
    let digit = |shift: u32| b"0123456789abcdef"[(unit >> shift & 0xf) as usize];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

//! Text as a JSON string: UTF-8, with only that escaped which JSON requires.

#[cfg(not(target_arch = "x86_64"))]
use crate::plain::{HIGHEST, special};
use crate::unicode::Characters;

/// Appends the text with its quotes.
#[inline]
pub(crate) fn append_quoted(out: &mut Vec<u8>, text: &Characters<'_>) {
    if let Characters::One(units) = text
        && append_plain(out, units)
    {
        return;
    }
    append_other(out, text);
}

/// The same for a text that is not all written as it is. Kept apart, so that plain texts stay small code.
#[inline(never)]
fn append_other(out: &mut Vec<u8>, text: &Characters<'_>) {
    out.push(b'"');
    match text {
        Characters::One(units) => append_bytes(out, units),
        Characters::Two(units) => append_wide(out, units),
        Characters::Four(units) => append_wide(out, units),
    }
    out.push(b'"');
}

/// Appends a text with its quotes if all of it is written as it is, or nothing. Most texts are short: that there is room is asked for once, and
/// bytes are looked at and copied together, some of them twice.
fn append_plain(out: &mut Vec<u8>, text: &[u8]) -> bool {
    out.reserve(text.len() + 2);
    // SAFETY: all that is written lies within the length of the text and the two quotes behind what `out` has, for which there is room. They
    // are part of `out` only when all of them are written.
    unsafe {
        let quote = out.as_mut_ptr().add(out.len());
        let target = quote.add(1);
        quote.write(b'"');
        let store = |at: usize, block: u128| target.add(at).cast::<u128>().write_unaligned(block);
        if let Some(last) = text.last_chunk() {
            for (number, block) in text.as_chunks().0.iter().enumerate() {
                let block = u128::from_le_bytes(*block);
                if !is_plain_block(block) {
                    return false;
                }
                store(number * BLOCK, block.to_le());
            }
            let last = u128::from_le_bytes(*last);
            if !is_plain_block(last) {
                return false;
            }
            store(text.len() - BLOCK, last.to_le());
        } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            if !is_plain_block(u128::from(first) << 64 | u128::from(last)) {
                return false;
            }
            target.cast::<u64>().write_unaligned(first.to_le());
            target.add(text.len() - 8).cast::<u64>().write_unaligned(last.to_le());
        } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            let both = u64::from(first) << 32 | u64::from(last);
            if !is_plain_block(u128::from(both) << 64 | u128::from(both)) {
                return false;
            }
            target.cast::<u32>().write_unaligned(first.to_le());
            target.add(text.len() - 4).cast::<u32>().write_unaligned(last.to_le());
        } else {
            for (place, &byte) in text.iter().enumerate() {
                if !is_plain(byte.into()) {
                    return false;
                }
                target.add(place).write(byte);
            }
        }
        target.add(text.len()).write(b'"');
        out.set_len(out.len() + text.len() + 2);
    }
    true
}

fn append_bytes(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_start(rest));
        out.extend_from_slice(plain);
        let Some((&special, after)) = special.split_first() else { return };
        append_characters(out, [special]);
        rest = after;
    }
}

/// So many bytes are looked at together.
const BLOCK: usize = 16;

fn is_plain_block(block: u128) -> bool {
    plain_start_of_block(block) == BLOCK
}

/// How many bytes of a text are written as they are before the first that is not.
fn plain_start(text: &[u8]) -> usize {
    let (blocks, rest) = text.as_chunks();
    for (number, block) in blocks.iter().enumerate() {
        let plain = plain_start_of_block(u128::from_le_bytes(*block));
        if plain < BLOCK {
            return number * BLOCK + plain;
        }
    }
    text.len() - rest.len() + rest.iter().take_while(|&&byte| is_plain(byte.into())).count()
}

/// The same for a block, whose first byte is the lowest, without a branch.
#[cfg(target_arch = "x86_64")]
#[inline]
fn plain_start_of_block(block: u128) -> usize {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    // SAFETY: every x86_64 has these instructions; sixteen bytes are sixteen bytes.
    unsafe {
        let block: __m128i = std::mem::transmute(block);
        let is = |byte: u8| _mm_cmpeq_epi8(block, _mm_set1_epi8(byte.cast_signed()));
        // As a signed number, a byte beyond ASCII is less than any.
        let below = _mm_cmplt_epi8(block, _mm_set1_epi8(0x20));
        let special = _mm_or_si128(below, _mm_or_si128(is(b'"'), is(b'\\')));
        (_mm_movemask_epi8(special) | 1 << BLOCK).trailing_zeros() as usize
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "one half after the other")]
fn plain_start_of_block(block: u128) -> usize {
    let marks = |word: u64| u128::from(special(word) | word & HIGHEST);
    let marks = marks(block as u64) | marks((block >> 64) as u64) << 64;
    marks.trailing_zeros() as usize / 8
}

/// So many characters are looked at together.
const TOGETHER: usize = 8;

#[expect(clippy::cast_possible_truncation, reason = "ASCII")]
fn append_wide<Unit: Copy + Into<u32>>(out: &mut Vec<u8>, text: &[Unit]) {
    out.reserve(text.len());
    let (blocks, rest) = text.as_chunks::<TOGETHER>();
    for block in blocks {
        if block.iter().fold(true, |all, &unit| all & is_plain(unit.into())) {
            out.extend_from_slice(&block.map(|unit| unit.into() as u8));
        } else {
            append_characters(out, *block);
        }
    }
    append_characters(out, rest.iter().copied());
}

/// Whether this is ASCII that is written as it is.
#[expect(clippy::needless_bitwise_bool, reason = "without a branch, so that one instruction tells it of several")]
fn is_plain(character: u32) -> bool {
    (0x20..0x80).contains(&character) & (character != 0x22) & (character != 0x5c)
}

/// Appends at most [`TOGETHER`] characters.
fn append_characters<Unit: Into<u32>>(out: &mut Vec<u8>, characters: impl IntoIterator<Item = Unit>) {
    let mut written = Written { bytes: [0; TOGETHER * LONGEST], length: 0 };
    for character in characters {
        written.character(character.into());
    }
    out.extend_from_slice(&written.bytes[..written.length]);
}

/// As many bytes as a character can take: an escape by number.
const LONGEST: usize = 6;

/// What some characters come to. That there is room for all of them is asked for once.
struct Written {
    bytes: [u8; TOGETHER * LONGEST],
    length: usize,
}

impl Written {
    fn append<const LENGTH: usize>(&mut self, bytes: [u8; LENGTH]) {
        self.bytes[self.length..self.length + LENGTH].copy_from_slice(&bytes);
        self.length += LENGTH;
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "ASCII")]
    fn character(&mut self, character: u32) {
        if is_plain(character) { self.append([character as u8]) } else { self.other(character) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "UTF-8 is made of a character's bits, some in each byte")]
    fn other(&mut self, character: u32) {
        let continued = |shift: u32| 0x80 | (character >> shift & 0x3f) as u8;
        match character {
            0..0x80 => self.escape(character as u8),
            0x80..0x800 => self.append([0xc0 | (character >> 6) as u8, continued(0)]),
            0xd800..0xe000 => self.number(character),
            0x800..0x1_0000 => self.append([0xe0 | (character >> 12) as u8, continued(6), continued(0)]),
            _ => self.append([0xf0 | (character >> 18) as u8, continued(12), continued(6), continued(0)]),
        }
    }

    fn escape(&mut self, character: u8) {
        let letter = match character {
            b'"' | b'\\' => character,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => return self.number(character.into()),
        };
        self.append([b'\\', letter]);
    }

    /// A control character, or a surrogate that stands alone. The managed runtime's process dies on that one; as an escape it is valid
    /// JSON, and what its older versions wrote.
    fn number(&mut self, unit: u32) {
        let digit = |shift: u32| b"0123456789abcdef"[(unit >> shift & 0xf) as usize];
        self.append([b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
    }
}

//! How far text goes without anything that JSON has a rule for: quotes, backslashes and control characters. Eight bytes are looked at
//! a time: strings are most of what events hold.

const EACH: u64 = 0x0101_0101_0101_0101;
pub(crate) const HIGHEST: u64 = EACH << 7;

/// What there is before the first byte with a rule, or all.
pub(crate) struct Plain {
    pub(crate) length: usize,
    pub(crate) is_ascii: bool,
}

/// How far `text` is plain, and whether it is ASCII as far.
pub(crate) fn plain(text: &[u8]) -> Plain {
    let (words, rest) = text.as_chunks::<8>();
    let mut beyond_ascii = 0;
    for (position, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = special(word);
        if special != 0 {
            beyond_ascii |= word & (special & special.wrapping_neg()).wrapping_sub(1);
            return Plain { length: position * 8 + first(special), is_ascii: beyond_ascii & HIGHEST == 0 };
        }
        beyond_ascii |= word;
    }
    let length = rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len());
    let is_ascii = beyond_ascii & HIGHEST == 0 && rest[..length].is_ascii();
    Plain { length: text.len() - rest.len() + length, is_ascii }
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The highest bit of each byte that is special. Of the bytes above the first of these some may be marked that are not: a byte borrows
/// from the next one where it is less than what is taken from it.
pub(crate) fn special(word: u64) -> u64 {
    let less = |word: u64, than: u8| word.wrapping_sub(EACH * u64::from(than)) & !word;
    let is = |byte: u8| less(word ^ (EACH * u64::from(byte)), 1);
    (less(word, b' ') | is(b'"') | is(b'\\')) & HIGHEST
}

/// The place of the first marked byte.
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

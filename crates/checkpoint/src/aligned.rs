//! Memory that is aligned as a header has to be.

use std::slice;

/// A copy of a header that [`whipsnake_checkpoint_format::image::Image::parse`] can read.
pub struct Aligned {
    words: Vec<u64>,
    length: usize,
}

impl Aligned {
    /// Copies the bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let word = |eight: &[u8]| {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            u64::from_ne_bytes(word)
        };
        Self { words: bytes.chunks(8).map(word).collect(), length: bytes.len() }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the words are at least as long, and a byte may have any value.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }
}

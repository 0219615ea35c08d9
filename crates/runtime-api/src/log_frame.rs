//! A record as Lambda's log descriptor takes it. A frame says itself where it ends, so that a record may have any lines in it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The type of a frame with plain text.
pub const TEXT: u32 = 0xa55a_0003;
/// The type of a frame with an error in text.
pub const TEXT_ERROR: u32 = 0xa55a_0017;
/// The type of a frame with an error in JSON.
pub const JSON_ERROR: u32 = 0xa55a_0016;

/// A frame: type, length and microseconds since the epoch, all big-endian, then the text.
#[must_use]
pub fn frame(kind: u32, time: SystemTime, text: &str) -> Vec<u8> {
    let time = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let mut frame = Vec::with_capacity(16 + text.len());
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&u64::try_from(time).unwrap_or_default().to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame
}

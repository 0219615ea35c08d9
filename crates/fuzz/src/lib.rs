//! What has to hold for any bytes that come from outside: a function for each kind of them, which panics where it does not hold.
//!
//! `make fuzz` has libFuzzer make up bytes, and `cargo test` goes through the corpus, which is what it once found worth keeping. What it
//! finds wrong belongs into the corpus as well, so that it stays mended.

mod answer;
mod archive;
mod checkpoint;
mod frame;
mod headers;
mod marshal;
mod prelude;
mod python;

pub use answer::answer;
pub use archive::archive;
pub use checkpoint::{checkpoint, is_checkpoint};
pub use frame::frame;
pub use headers::headers;
pub use marshal::{decode, encode, nested};
pub use prelude::prelude;

/// Takes the bytes up to the next NUL away from `bytes`, as text: how a target that needs several texts finds them.
fn take_text(bytes: &mut &[u8]) -> String {
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(length);
    *bytes = rest.get(1..).unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

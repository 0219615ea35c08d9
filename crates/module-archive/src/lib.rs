//! The module archive: the bytecode of a folder's modules in one file, for `whipsnake pack` to write and the bootstrap to map
//! into memory. Knows neither Python nor Lambda.
//!
//! All numbers are little endian.
//!
//! ```text
//! header  0  8 bytes   "whipsnak"
//!         8  u32       version of this format
//!        12  4 bytes   CPython's magic number of bytecode
//!        16  16 bytes  its cache tag, filled up with zeros
//!        32  i64       when all sources were modified last: the time that they were given when they were packed
//!        40  u64       length of the file
//!        48  u32       number of entries
//!        52  u32       0
//!        56  u64       checksum of the above
//! entries, 40 bytes each, sorted by their paths
//!         0  u32, u32  where the path lies, and its length
//!         8  u32, u32  where the bytecode lies, and its length: 0 for what is no Python of this version
//!        16  u32       size of the source
//!        20  u32       0
//!        24  u64       hash of the source, CPython's own (PEP 552)
//!        32  u64       checksum of the path and the above
//! the paths: UTF-8, below the folder that has the archive's folder in it
//! the bytecode: marshalled code objects
//! ```
//!
//! An entry has a checksum of its own so that only those are looked at that are asked for.

#![forbid(unsafe_code)]

mod read;
mod write;

pub use read::{Archive, Damage, Module};
pub use write::{Source, write};

/// Where an archive lies, below the folder whose modules it has.
pub const PATH: &str = ".whipsnake/modules.archive";

/// For which CPython bytecode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Such as `cpython-314`.
    pub cache_tag: &'a str,
    /// `importlib.util.MAGIC_NUMBER`.
    pub magic_number: [u8; 4],
}

const MAGIC: &[u8; 8] = b"whipsnak";
const VERSION: u32 = 1;
const HEADER: usize = 64;
const ENTRY: usize = 40;
const CACHE_TAG: usize = 16;

/// FNV-1a: to notice damage, not to resist an attacker.
fn checksum(pieces: &[&[u8]]) -> u64 {
    let bytes = pieces.iter().copied().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

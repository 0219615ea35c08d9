//! The checkpoint file: the memory of an initialized process, and what has to be true before a process may continue from it.
//!
//! The `whipsnake` command writes it, and the restorer reads it. The restorer has no standard library and no allocator, so this crate does
//! without them.
//!
//! ```text
//! page 0 ..       header, then its tables: segments, files, variables, descriptors, signal actions, vDSO symbols, strings
//! page-aligned    body: the pages that segments refer to, the ones that every start touches first
//! ```
//!
//! Numbers are little-endian and aligned, because the restorer reads the tables where they lie in memory.

#![cfg_attr(not(test), no_std)]
#![allow(
    clippy::cast_possible_truncation,
    reason = "checkpoints are for 64-bit processors, where a usize holds every address and length"
)]

pub mod cpu;
pub mod image;
#[cfg(target_arch = "aarch64")]
pub mod pointer_authentication;
pub mod syscall;
pub mod vdso;

/// The size of a page, in bytes. An image made with another one is refused.
pub const PAGE: u64 = 4096;

/// [`PAGE`], for lengths in memory.
pub const PAGE_SIZE: usize = PAGE as usize;

/// Where the restorer is linked, and the address space that it needs from there. 1 TiB on x86-64: far below the kernel's own choices
/// and far above the heap of a program at a fixed address. 64 GiB on arm64, where kernels may have 39-bit addresses.
pub const RESTORER: core::ops::Range<u64> =
    if cfg!(target_arch = "aarch64") { 0x10_0000_0000..0x10_1000_0000 } else { 0x100_0000_0000..0x100_1000_0000 };

/// Where the restorer maps the header: inside [`RESTORER`], behind its own code and data.
pub const HEADER_ADDRESS: u64 = RESTORER.start + 0x100_0000;

/// The folder of the function's package that holds the checkpoint.
pub const FOLDER: &str = ".whipsnake";

/// The checkpoint's name in [`FOLDER`].
pub const FILE: &str = "checkpoint";

/// A file in [`FOLDER`] with the path of the bootstrap that an ordinary start uses. Without it the restorer starts `/opt/bootstrap`.
pub const BOOTSTRAP: &str = "bootstrap";

/// Set in the start that the command learns from: the kernel is to map each page by itself.
pub const TRAINING: &str = "_WHIPSNAKE_RESTORE_TRAINING";

/// The checksum of everything in the file: 64-bit xxHash.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh64::xxh64(bytes, 0)
}

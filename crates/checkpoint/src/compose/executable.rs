//! Which pages of files hold code, where the memory map does not say it.
//!
//! An emulator translates code and never runs it, so no page is executable for this machine's kernel. The list that qemu before version 8.2
//! makes from the kernel's then has code and its neighbors in one region.

use super::address_space::inside;
use super::maps::Region;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use whipsnake_checkpoint_format::PAGE;
use whipsnake_checkpoint_format::image::Mapping;

/// `PROT_WRITE`.
const WRITABLE: u32 = 2;
/// `PROT_EXEC`.
const EXECUTABLE: u32 = 4;

/// How much of a file is read, in bytes. The table of segments is at its beginning.
const HEAD: u64 = 8192;

/// The pieces of a region. Those that hold the code of an ELF file are executable.
pub fn split(region: &Region, root: &Path) -> Vec<Region> {
    if !region.has_file() || region.protection & (WRITABLE | EXECUTABLE) != 0 {
        return vec![region.clone()];
    }
    let mut pieces = Vec::new();
    let mut rest = region.clone();
    // A private root has the machine's own libraries mounted, and only while a process runs in it.
    let in_root = inside(root, &region.name);
    let file = if in_root.exists() { in_root } else { PathBuf::from(&region.name) };
    for (from, to) in code(&file) {
        let end = rest.offset + rest.mapping.length;
        let (from, to) = (from.clamp(rest.offset, end), to.clamp(rest.offset, end));
        if from < to {
            pieces.push(cut(&mut rest, from));
            let mut executable = cut(&mut rest, to);
            executable.protection |= EXECUTABLE;
            pieces.push(executable);
        }
    }
    pieces.push(rest);
    pieces.retain(|piece| piece.mapping.length > 0);
    pieces
}

/// Takes what is before an offset of the file.
fn cut(region: &mut Region, offset: u64) -> Region {
    let length = offset - region.offset;
    let Mapping { start, length: whole } = region.mapping;
    let first = Region { mapping: Mapping { start, length }, ..region.clone() };
    region.mapping = Mapping { start: start + length, length: whole - length };
    region.offset = offset;
    first
}

/// Where a file has code, in whole pages. Nothing if it is no ELF file of this machine's kind.
fn code(path: &Path) -> Vec<(u64, u64)> {
    const LOADED: u64 = 1;
    const HAS_CODE: u64 = 1;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_err() || !head.starts_with(b"\x7fELF") {
        return vec![];
    }
    let number = |at: u64, bytes: usize| {
        let at = usize::try_from(at).ok()?;
        let field = head.get(at..at + bytes)?;
        Some(field.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let segment = |index: u64| {
        let row = number(32, 8)?.checked_add(index * number(54, 2)?)?;
        let (kind, flags) = (number(row, 4)?, number(row + 4, 4)?);
        let (offset, length) = (number(row + 8, 8)?, number(row + 32, 8)?);
        let is_code = kind == LOADED && flags & HAS_CODE != 0;
        let end = offset.checked_add(length)?.checked_next_multiple_of(PAGE)?;
        is_code.then_some((offset / PAGE * PAGE, end))
    };
    let mut found: Vec<_> = (0..number(56, 2).unwrap_or(0)).filter_map(segment).collect();
    found.sort_unstable();
    found
}

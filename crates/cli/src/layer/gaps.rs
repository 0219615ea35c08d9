//! Takes the empty space between an ELF file's segments out of it.
//!
//! Linkers for arm64 let each segment begin at a multiple of 64 KB, because there are kernels with pages that large. Lambda's have
//! 4 KB on every processor. Nothing moves in memory: only where the file has it, and that must agree with the place in memory in
//! what is left by a division by the page size.

use object::elf;

const PAGE: u64 = 4096;
const SIZE_OF_HEADER: usize = 64;

/// A part of the file that stays together.
struct Piece {
    start: u64,
    end: u64,
    /// What its place is to agree with, by which unit.
    like: u64,
    unit: u64,
    moved_to: u64,
}

/// The file without the space; as it was, where there is none or it is not laid out as linkers do it.
///
/// The file is a 64-bit little-endian one, as `Elf::read` has seen to.
pub fn close(file: Vec<u8>) -> Vec<u8> {
    moved(&file).filter(|moved| moved.len() < file.len()).unwrap_or(file)
}

fn moved(file: &[u8]) -> Option<Vec<u8>> {
    if !file.starts_with(&elf::ELFMAG) || file.len() < SIZE_OF_HEADER {
        return None;
    }
    let table = |offset: usize, size: usize, count: usize| {
        let (start, size, count) = (long(file, offset)?, short(file, size)?, short(file, count)?);
        (0..count).map(|number| index(start + number * size)).collect::<Option<Vec<_>>>()
    };
    let programs = table(0x20, 0x36, 0x38)?;
    let sections = table(0x28, 0x3a, 0x3c)?;
    let is_loaded = |at: usize| word(file, at) == Some(u64::from(elf::PT_LOAD.0));
    let is_in_file = |at: usize| word(file, at + 4) != Some(u64::from(elf::SHT_NOBITS.0));
    let mut pieces = Vec::new();
    for &at in programs.iter().filter(|at| is_loaded(**at)) {
        let (start, address, size) = (long(file, at + 8)?, long(file, at + 16)?, long(file, at + 32)?);
        pieces.push(Piece { start, end: start + size, like: address, unit: PAGE, moved_to: 0 });
    }
    // What is not loaded: names and notes for tools, and the table of sections itself. They may lie anywhere.
    let table_of_sections = (long(file, 0x28)?, sections.len() as u64 * short(file, 0x3a)?);
    let contents = sections.iter().filter(|at| is_in_file(**at));
    let contents = contents.map(|at| Some((long(file, at + 24)?, long(file, at + 32)?)));
    for (start, size) in contents.chain([Some(table_of_sections)]).collect::<Option<Vec<_>>>()? {
        let is_part = |piece: &Piece| start >= piece.start && start + size <= piece.end;
        if size > 0 && !pieces.iter().any(is_part) {
            pieces.push(Piece { start, end: start + size, like: start, unit: 16, moved_to: 0 });
        }
    }
    pieces.sort_by_key(|piece| piece.start);
    let mut end = 0;
    let mut moved = Vec::new();
    for piece in &mut pieces {
        piece.moved_to = end + piece.like.wrapping_sub(end) % piece.unit;
        end = piece.moved_to + (piece.end - piece.start);
        moved.resize(index(piece.moved_to)?, 0);
        moved.extend_from_slice(file.get(index(piece.start)?..index(piece.end)?)?);
    }
    if pieces.first()?.start != 0 || pieces.windows(2).any(|two| two[0].end > two[1].start) {
        return None;
    }
    let place = |offset: u64, size: u64| {
        let holds = |piece: &&Piece| offset >= piece.start && offset + size <= piece.end;
        pieces.iter().find(holds).map(|piece| piece.moved_to + (offset - piece.start))
    };
    // The file's header, each entry of the two tables. What is empty, or only in memory, has no place that matters.
    let new = |at: usize| place(at as u64, 1).and_then(index);
    for at in [0x20, 0x28] {
        set(&mut moved, at, place(long(file, at)?, 1)?)?;
    }
    for at in programs {
        if let (offset, size @ 1..) = (long(file, at + 8)?, long(file, at + 32)?) {
            set(&mut moved, new(at)? + 8, place(offset, size)?)?;
        }
        if is_loaded(at) {
            set(&mut moved, new(at)? + 48, PAGE)?;
        }
    }
    for at in sections {
        let (offset, size) = (long(file, at + 24)?, long(file, at + 32)?);
        let is_content = is_in_file(at) && size > 0;
        let offset = if is_content { place(offset, size)? } else { place(offset, 0).unwrap_or(0) };
        set(&mut moved, new(at)? + 24, offset)?;
    }
    Some(moved)
}

fn index(offset: u64) -> Option<usize> {
    usize::try_from(offset).ok()
}

fn short(file: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?).into())
}

fn word(file: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?).into())
}

fn long(file: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(file.get(at..at + 8)?.try_into().ok()?))
}

fn set(file: &mut [u8], at: usize, value: u64) -> Option<()> {
    file.get_mut(at..at + 8)?.copy_from_slice(&value.to_le_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::close;
    use crate::layer::{architecture::Architecture, elf::Elf};
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    #[test]
    fn a_program_with_large_gaps_runs_without_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, program) = (folder.path().join("program.c"), folder.path().join("program"));
        let code = "#include <stdio.h>\nstatic int bss[5000]; int data = 42; const char *name = \"gaps\";\n\
                    int main(void) { bss[4999] = data; return printf(\"%s %d\\n\", name, bss[4999]) < 0; }";
        fs::write(&source, code).expect("a file");
        let options = ["-Wl,-z,max-page-size=0x10000", "-Wl,-z,separate-code"];
        let built =
            Command::new("cc").args(options).arg("-o").arg(&program).arg(&source).status().expect("a C compiler");
        assert!(built.success());
        let before = fs::read(&program).expect("the program");
        let after = close(before.clone());
        assert!(after.len() + 100_000 < before.len(), "{} of {}", after.len(), before.len());
        fs::write(&program, &after).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let output = Command::new(&program).output().expect("it runs");
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"gaps 42\n"[..]));
        let here = Architecture::of_this_machine().expect("one of Lambda's");
        assert_eq!(Elf::read(&after, here), Elf::read(&before, here));
        assert_eq!(close(after.clone()), after);
    }

    #[test]
    fn what_is_no_elf_file_stays() {
        assert_eq!(close(b"#!/bin/sh\n".to_vec()), b"#!/bin/sh\n");
    }
}

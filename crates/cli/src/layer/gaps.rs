//! Takes the empty space between an ELF file's segments out of it.
//!
//! Linkers for arm64 let each segment begin at a multiple of 64 KB, because there are kernels with pages that large. Lambda's have
//! 4 KB on every processor. Nothing moves in memory: only where the file has it, and that must agree with the place in memory in
//! what is left by a division by the page size.

use object::elf;

const PAGE: u64 = 4096;
const SIZE_OF_HEADER: usize = 64;

/// A segment that is loaded.
struct Segment {
    start: u64,
    end: u64,
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
        Some((0..count).map(|index| (start + index * size) as usize).collect::<Vec<_>>())
    };
    let programs = table(0x20, 0x36, 0x38)?;
    let sections = table(0x28, 0x3a, 0x3c)?;
    let is_loaded = |&&at: &&usize| word(file, at) == Some(u64::from(elf::PT_LOAD.0));
    let mut segments = Vec::new();
    let mut end = 0;
    for &at in programs.iter().filter(is_loaded) {
        let (start, address, size) = (long(file, at + 8)?, long(file, at + 16)?, long(file, at + 32)?);
        // In order, as they have to be by their addresses, and the first from the file's start.
        let is_next = segments.last().map_or(start == 0, |last: &Segment| start >= last.end);
        if !is_next {
            return None;
        }
        let moved_to = end + (address.wrapping_sub(end)) % PAGE;
        segments.push(Segment { start, end: start.checked_add(size)?, moved_to });
        end = moved_to + size;
    }
    // What is not loaded lies behind: section names, and the table of sections, whose entries begin at multiples of eight.
    let behind = segments.last()?.end;
    let rest = Segment { start: behind, end: file.len() as u64, moved_to: end + behind.wrapping_sub(end) % 8 };
    segments.push(rest);
    let place = |offset: u64, size: u64| {
        let holds = |segment: &&Segment| offset >= segment.start && offset + size <= segment.end;
        segments.iter().find(holds).map(|segment| segment.moved_to + (offset - segment.start))
    };

    let mut moved = vec![0; (segments.last()?.moved_to + (file.len() as u64 - behind)) as usize];
    for segment in &segments {
        let bytes = file.get(segment.start as usize..segment.end as usize)?;
        moved.get_mut(segment.moved_to as usize..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
    }
    // The file's header, each entry of the two tables. What is empty, or only in memory, has no place that matters.
    let new = |at: usize| place(at as u64, 1).map(|at| at as usize);
    for at in [0x20, 0x28] {
        set(&mut moved, at, place(long(file, at)?, 1)?)?;
    }
    for at in programs {
        if let (offset, size @ 1..) = (long(file, at + 8)?, long(file, at + 32)?) {
            set(&mut moved, new(at)? + 8, place(offset, size)?)?;
        }
        if is_loaded(&&at) {
            set(&mut moved, new(at)? + 48, PAGE)?;
        }
    }
    for at in sections {
        let (offset, size) = (long(file, at + 24)?, long(file, at + 32)?);
        let is_in_file = word(file, at + 4)? != u64::from(elf::SHT_NOBITS.0) && size > 0;
        let offset = if is_in_file { place(offset, size)? } else { place(offset, 0).unwrap_or(0) };
        set(&mut moved, new(at)? + 24, offset)?;
    }
    Some(moved)
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
    use std::{env, fs, os::unix::fs::PermissionsExt, process::Command};

    #[test]
    fn a_program_with_large_gaps_runs_without_them() {
        let folder = env::temp_dir().join(format!("whipsnake-gaps-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (source, program) = (folder.join("program.c"), folder.join("program"));
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
        fs::remove_dir_all(folder).expect("it was there");
    }

    #[test]
    fn what_is_no_elf_file_stays() {
        assert_eq!(close(b"#!/bin/sh\n".to_vec()), b"#!/bin/sh\n");
    }
}

//! Looking into an archive. Whatever the bytes are, this returns: nothing in them is believed.

use std::{cmp::Ordering, fmt};

use crate::{CACHE_TAG, ENTRY, HEADER, MAGIC, Target, VERSION, checksum};

/// An archive in memory.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: &'a [[u8; ENTRY]],
    target: Target<'a>,
    modified: i64,
}

/// What the archive has of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// The source's size.
    pub size: u64,
    /// CPython's hash of it.
    pub hash: u64,
    /// Its code object, marshalled; empty for what could not be compiled.
    pub code: &'a [u8],
}

/// Why the bytes are no archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is something else, or of another version of whipsnake's.
    Unknown,
    /// It ends before its end, or after.
    Length,
    /// Bytes are not what was written.
    Changed,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "it was written by another version of whipsnake",
            Self::Length => "it is not whole",
            Self::Changed => "it is damaged",
        })
    }
}

impl<'a> Archive<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it is no archive of this version, or not whole.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or(Damage::Length)?;
        if !header.starts_with(MAGIC) || number(header, 8) != u64::from(VERSION) {
            return Err(Damage::Unknown);
        }
        if long(header, 56) != checksum(&[&header[..56]]) {
            return Err(Damage::Changed);
        }
        if long(header, 40) != bytes.len() as u64 {
            return Err(Damage::Length);
        }
        let (entries, _) = rest.as_chunks();
        let count = usize::try_from(number(header, 48)).map_err(|_| Damage::Changed)?;
        let tag = header[16..16 + CACHE_TAG].split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Self {
            bytes,
            entries: entries.get(..count).ok_or(Damage::Changed)?,
            target: Target {
                cache_tag: str::from_utf8(tag).map_err(|_| Damage::Changed)?,
                magic_number: header[12..16].try_into().map_err(|_| Damage::Changed)?,
            },
            modified: long(header, 32).cast_signed(),
        })
    }

    /// For which CPython it is.
    #[must_use]
    pub fn target(&self) -> Target<'a> {
        self.target
    }

    /// When every source was modified last, in seconds since 1970, if its file is as it was packed.
    #[must_use]
    pub fn modified(&self) -> i64 {
        self.modified
    }

    /// The source at a path.
    ///
    /// # Errors
    /// When what the index says of it is damaged.
    pub fn find(&self, path: &[u8]) -> Result<Option<Module<'a>>, Damage> {
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = &self.entries[middle];
            let name = self.part(entry, 0)?;
            match name.cmp(path) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return self.module(entry, name).map(Some),
            }
        }
        Ok(None)
    }

    fn module(&self, entry: &[u8; ENTRY], name: &[u8]) -> Result<Module<'a>, Damage> {
        if long(entry, 32) != checksum(&[name, &entry[..32]]) {
            return Err(Damage::Changed);
        }
        Ok(Module { size: number(entry, 16), hash: long(entry, 24), code: self.part(entry, 8)? })
    }

    /// The bytes that an entry names by their place and length.
    fn part(&self, entry: &[u8; ENTRY], at: usize) -> Result<&'a [u8], Damage> {
        let start = usize::try_from(number(entry, at)).map_err(|_| Damage::Changed)?;
        let length = usize::try_from(number(entry, at + 4)).map_err(|_| Damage::Changed)?;
        let end = start.checked_add(length).ok_or(Damage::Changed)?;
        self.bytes.get(start..end).ok_or(Damage::Changed)
    }
}

/// The four bytes at a place that is known to be inside.
fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    number(bytes, at) | number(bytes, at + 4) << 32
}

#[cfg(test)]
mod tests {
    use super::{Archive, Damage};
    use crate::{HEADER, Source, Target, write};

    const TARGET: Target<'static> = Target { cache_tag: "cpython-314", magic_number: *b"\x2a\x0e\r\n" };
    const PATHS: [&str; 4] = ["app.py", "boto3/__init__.py", "boto3/session.py", "é.py"];

    fn archive() -> Vec<u8> {
        let source = |(number, path): (u32, &'static str)| Source {
            path,
            size: 10 + number,
            hash: 0x0123_4567_89ab_cdef << number,
            code: if path == "boto3/session.py" { b"" } else { path.as_bytes() },
        };
        let sources = (0..4).zip(PATHS).map(source);
        write(TARGET, 500_000_000, sources.rev().collect()).expect("a small one")
    }

    #[test]
    fn what_was_written_is_found() {
        let bytes = archive();
        let archive = Archive::read(&bytes).expect("it is whole");
        assert_eq!((archive.target(), archive.modified()), (TARGET, 500_000_000));
        for (number, path) in PATHS.iter().enumerate() {
            let module = archive.find(path.as_bytes()).expect("nothing is damaged").expect("it was written");
            assert_eq!((module.size, module.hash), (10 + number as u64, 0x0123_4567_89ab_cdef << number));
            assert_eq!(module.code, if number == 2 { b"" } else { path.as_bytes() });
        }
        for path in ["", "app", "app.pyc", "boto3", "zzz.py"] {
            assert_eq!(archive.find(path.as_bytes()), Ok(None), "{path}");
        }
    }

    #[test]
    fn an_empty_one_has_nothing() {
        let bytes = write(TARGET, 0, Vec::new()).expect("a small one");
        assert_eq!(Archive::read(&bytes).expect("it is whole").find(b"app.py"), Ok(None));
    }

    #[test]
    fn a_path_is_there_once() {
        let source = Source { path: "a.py", size: 0, hash: 0, code: b"" };
        assert_eq!(write(TARGET, 0, vec![source.clone(), source]), None);
    }

    #[test]
    fn one_that_was_cut_off_is_refused() {
        let bytes = archive();
        for length in 0..bytes.len() {
            assert_eq!(Archive::read(&bytes[..length]).err(), Some(Damage::Length), "{length}");
        }
        assert_eq!(Archive::read(&[bytes, vec![0]].concat()).err(), Some(Damage::Length));
    }

    #[test]
    fn no_flipped_bit_of_header_or_index_gives_something_else() {
        let whole = archive();
        let intact = Archive::read(&whole).expect("it is whole");
        let code_begins = whole.len() - PATHS.iter().map(|path| path.len()).sum::<usize>() + "boto3/session.py".len();
        for bit in 0..code_begins * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(damaged) = Archive::read(&bytes) else { continue };
            assert!(bit / 8 >= HEADER, "bit {bit} of the header");
            for path in PATHS {
                let found = damaged.find(path.as_bytes());
                let expected = intact.find(path.as_bytes());
                assert!(found == expected || matches!(found, Err(_) | Ok(None)), "bit {bit}: {path} gave {found:?}");
            }
        }
    }

    #[test]
    fn another_format_is_not_read() {
        let mut bytes = archive();
        bytes[8] = 2;
        assert_eq!(Archive::read(&bytes).err(), Some(Damage::Unknown));
        assert_eq!(Archive::read(&b"PK\x03\x04".repeat(100)).err(), Some(Damage::Unknown));
    }
}

//! The dumped process's memory: its map and its pages.

use whipsnake_checkpoint_format::image::Mapping;
use whipsnake_checkpoint_format::{PAGE, PAGE_SIZE};

/// A line of `/proc/self/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its addresses.
    pub mapping: Mapping,
    /// `PROT_READ`, `PROT_WRITE` and `PROT_EXEC`.
    pub protection: u32,
    /// Whether other processes see what is written.
    pub is_shared: bool,
    /// Where it begins in its file, in bytes.
    pub offset: u64,
    /// The path of its file, or a name such as `[heap]`. Empty for memory without either.
    pub name: String,
}

impl Region {
    /// Whether it is a file that can still be found by its path.
    pub fn has_file(&self) -> bool {
        self.name.starts_with('/') && !self.name.ends_with(" (deleted)")
    }
}

/// Reads a memory map. `None` if a line is not as the kernel writes it.
pub fn parse(text: &str) -> Option<Vec<Region>> {
    text.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Region> {
    let hexadecimal = |digits| u64::from_str_radix(digits, 16).ok();
    // 7f0000-7f1000 r-xp 00001000 fe:00 1234    /path with blanks
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?.as_bytes();
    let (offset, _device, _inode) = (hexadecimal(fields.next()?)?, fields.next()?, fields.next()?);
    let name = fields.next().unwrap_or_default().trim_start().to_owned();
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let bit = |index: usize, letter, bit| if permissions.get(index) == Some(&letter) { bit } else { 0 };
    Some(Region {
        mapping: Mapping { start, length: end.checked_sub(start)? },
        protection: bit(0, b'r', 1) | bit(1, b'w', 2) | bit(2, b'x', 4),
        is_shared: permissions.get(3) == Some(&b's'),
        offset,
        name,
    })
}

/// The pages that were written out.
pub struct Pages {
    bytes: Vec<u8>,
    /// Address, length and place of each run, by address.
    runs: Vec<(u64, u64, usize)>,
}

impl Pages {
    /// Reads runs of pages, each behind its address and its length. `None` if the last one is incomplete.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut runs = Vec::new();
        let mut place = 0;
        while place < bytes.len() {
            let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
            let (start, length) = (number(place)?, number(place + 8)?);
            let end = place.checked_add(16)?.checked_add(usize::try_from(length).ok()?)?;
            if end > bytes.len() || length % PAGE != 0 || start % PAGE != 0 {
                return None;
            }
            runs.push((start, length, place + 16));
            place = end;
        }
        runs.sort_unstable();
        Some(Self { bytes, runs })
    }

    /// The page at an address. `None` if it was not written: it has only zeros.
    pub fn page(&self, address: u64) -> Option<&[u8]> {
        let behind = self.runs.partition_point(|(start, ..)| *start <= address);
        let (start, length, place) = *self.runs.get(behind.checked_sub(1)?)?;
        let offset = address - start;
        let first = place + usize::try_from(offset).ok()?;
        (offset < length).then(|| &self.bytes[first..first + PAGE_SIZE])
    }

    /// The number at an address, eight bytes.
    pub fn number(&self, address: u64) -> Option<u64> {
        let page = self.page(address - address % PAGE)?;
        let offset = usize::try_from(address % PAGE).ok()?;
        Some(u64::from_le_bytes(page.get(offset..offset + 8)?.try_into().ok()?))
    }

    /// Whether a text is anywhere in one run of pages.
    pub fn contains(&self, text: &[u8]) -> bool {
        let finder = memchr::memmem::Finder::new(text);
        self.runs.iter().any(|(_, length, place)| {
            let run = &self.bytes[*place..*place + usize::try_from(*length).unwrap_or(0)];
            finder.find(run).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_is_read_whole() {
        let line = "7f0000-7f2000 r-xp 00001000 fe:00 1234                       /opt/my lib.so";
        let region = parse_line(line).expect("a line as the kernel writes it");
        assert_eq!(region.mapping, Mapping { start: 0x7f_0000, length: 0x2000 });
        assert_eq!((region.protection, region.offset, region.is_shared), (5, 0x1000, false));
        assert_eq!(region.name, "/opt/my lib.so");
    }

    #[test]
    fn memory_without_a_name_has_an_empty_one() {
        let region = parse_line("7f0000-7f2000 rw-p 00000000 00:00 0 ").expect("a line as the kernel writes it");
        assert_eq!((region.name.as_str(), region.has_file()), ("", false));
    }

    #[test]
    fn a_deleted_file_cannot_be_found() {
        let region = parse_line("7f0000-7f2000 r--p 00000000 fe:00 7 /tmp/x (deleted)").expect("a line");
        assert!(!region.has_file());
    }

    #[test]
    fn pages_are_found_by_their_address() {
        let mut bytes = Vec::new();
        for (start, fill) in [(0x5000_u64, 1_u8), (0x2000, 2)] {
            bytes.extend(start.to_le_bytes());
            bytes.extend(PAGE.to_le_bytes());
            bytes.extend(std::iter::repeat_n(fill, PAGE_SIZE));
        }
        let pages = Pages::new(bytes).expect("two runs");
        assert_eq!(pages.page(0x2000).map(|page| page[0]), Some(2));
        assert_eq!(pages.page(0x5000).map(|page| page[7]), Some(1));
        assert_eq!(pages.page(0x3000), None);
        assert_eq!(pages.number(0x5008), Some(0x0101_0101_0101_0101));
        assert!(pages.contains(&[2, 2, 2]) && !pages.contains(&[1, 2]));
    }

    #[test]
    fn an_incomplete_run_is_refused() {
        let mut bytes = 0x5000_u64.to_le_bytes().to_vec();
        bytes.extend(PAGE.to_le_bytes());
        bytes.push(0);
        assert!(Pages::new(bytes).is_none());
    }
}

//! The zip: the same bytes for the same contents.

use std::io::{Cursor, Write};

use sha2::{Digest, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::contents::{Contents, Entry};

/// The most that deflate can do.
const LEVEL: i64 = 9;

/// Writes the contents by the order of their paths. All times are those of 1980, the earliest that a zip knows; folders are
/// not written, they follow from the paths.
pub fn write(contents: &Contents) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::DEFAULT);
    for (path, (_, entry)) in &contents.0 {
        match entry {
            Entry::File(bytes) => {
                zip.start_file(path, options.unix_permissions(0o644))?;
                zip.write_all(bytes)?;
            }
            Entry::Program(bytes) => {
                zip.start_file(path, options.unix_permissions(0o755))?;
                zip.write_all(bytes)?;
            }
            Entry::Link(target) => zip.add_symlink(path, target, options.unix_permissions(0o777))?,
        }
    }
    Ok(zip.finish()?.into_inner())
}

/// A file's fingerprint, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contents::{Contents, Entry, Part};
    use super::{sha256, write};

    fn layer(paths: &[&str]) -> Contents {
        let mut contents = Contents::default();
        for path in paths {
            contents.add(*path, Part::StandardLibrary, Entry::File(b"pass\n".repeat(50)));
        }
        contents.add("bootstrap", Part::Bootstrap, Entry::Program(b"\x7fELF".to_vec()));
        contents.add("bin/python3", Part::Bootstrap, Entry::Link("../bootstrap".into()));
        contents
    }

    #[test]
    fn the_order_of_adding_does_not_show() {
        let one = write(&layer(&["a.py", "b/c.py"])).expect("writes to memory");
        let other = write(&layer(&["b/c.py", "a.py"])).expect("writes to memory");
        assert_eq!(sha256(&one), sha256(&other));
    }

    #[test]
    fn a_changed_byte_shows() {
        let one = write(&layer(&["a.py"])).expect("writes to memory");
        let mut changed = layer(&["a.py"]);
        changed.add("a.py", Part::StandardLibrary, Entry::File(b"fail\n".repeat(50)));
        assert_ne!(sha256(&one), sha256(&write(&changed).expect("writes to memory")));
    }

    #[test]
    fn the_fingerprint_is_what_sha256sum_prints() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

//! The layers that were packed here, and the room they leave.

use std::{fmt::Write, fs, io::Cursor, path::Path};

use zip::ZipArchive;

use crate::deployment::sizes::{self, MOST_UNPACKED, MOST_ZIPPED};

/// Tells about every zip in `folder`, if there is one.
pub fn describe(folder: &Path, told: &mut String) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut zips: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "zip")).collect();
    if zips.is_empty() {
        return;
    }
    zips.sort();
    _ = writeln!(told, "\nLayers in {}", folder.display());
    for zip in zips {
        let name = zip.file_name().unwrap_or_default().to_string_lossy();
        match sizes_of(&zip) {
            Some((zipped, unpacked)) => {
                let too_much = if zipped > MOST_ZIPPED || unpacked > MOST_UNPACKED {
                    ": more than the 50 MB and 250 MB that Lambda allows"
                } else {
                    ""
                };
                _ = writeln!(told, "  {name}: {}, unpacked {}{too_much}", sizes::of(zipped), sizes::of(unpacked));
            }
            None => _ = writeln!(told, "  {name} cannot be read as a zip"),
        }
    }
}

fn sizes_of(zip: &Path) -> Option<(u64, u64)> {
    let bytes = fs::read(zip).ok()?;
    let zipped = bytes.len() as u64;
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let mut unpacked = 0;
    for index in 0..archive.len() {
        unpacked += archive.by_index_raw(index).ok()?.size();
    }
    Some((zipped, unpacked))
}

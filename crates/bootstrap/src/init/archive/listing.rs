//! The entries of a folder, as `FileFinder` knows them: read once, and again if the folder's modification time has changed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A folder's entries.
#[derive(Debug, Default)]
pub struct Listing {
    modified: Option<(i64, i64)>,
    entries: HashMap<String, Kind>,
}

/// What an entry is, as far as the search for modules needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// Something else, such as a link. `FileFinder` looks at it.
    Unknown,
}

impl Listing {
    /// Reads the folder if it has changed since the last time. A folder that cannot be read counts as empty.
    pub fn refresh(&mut self, folder: &str) {
        let modified = fs::metadata(folder).ok().map(|metadata| (metadata.mtime(), metadata.mtime_nsec()));
        if modified.is_some() && modified == self.modified {
            return;
        }
        self.modified = modified;
        self.entries.clear();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_dir() => Kind::Folder,
                _ => Kind::Unknown,
            };
            // A name that is not UTF-8 is no module's.
            if let Ok(name) = entry.file_name().into_string() {
                self.entries.insert(name, kind);
            }
        }
    }

    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<Kind> {
        self.entries.get(name).copied()
    }
}

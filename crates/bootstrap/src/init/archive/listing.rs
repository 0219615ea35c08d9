//! What is in a folder, as `FileFinder` knows it: read once, and again when the folder's time says that something changed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// A folder's entries.
#[derive(Debug, Default)]
pub struct Listing {
    modified: Option<(i64, i64)>,
    entries: HashMap<String, Kind>,
}

/// What an entry is, as far as finding modules goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// A link, for one: somebody else is to look at it.
    Unknown,
}

impl Listing {
    /// Reads the folder where it was not read since it changed. A folder that cannot be read is an empty one.
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
            // No module has a name that is not UTF-8.
            if let Ok(name) = entry.file_name().into_string() {
                self.entries.insert(name, kind);
            }
        }
    }

    /// What is there under a name.
    pub fn get(&self, name: &str) -> Option<Kind> {
        self.entries.get(name).copied()
    }
}

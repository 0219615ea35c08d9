//! Composes the checkpoint from a dump: decides for each page where its contents come from, and writes the file.

mod address_space;
mod executable;
mod maps;
mod tables;

use crate::aligned::Aligned;
use crate::process::{MAPS, PAGES, PROCESS, Process};
use address_space::AddressSpace;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};
use whipsnake_checkpoint_format::image::Image;

/// How a checkpoint is composed.
#[derive(Debug, Default)]
pub struct Options {
    /// Where the dumped process's `/` is on this machine: `/` itself, or a folder.
    pub root: PathBuf,
    /// Folders whose files a restored process finds unchanged. Their unmodified pages are mapped from there.
    pub referenced: Vec<PathBuf>,
    /// Pages that every start touches, by address. They come first in the file.
    pub touched: BTreeSet<u64>,
    /// Pages that every start writes to, by address. The restorer copies them in one go.
    pub written: BTreeSet<u64>,
}

/// What is in a checkpoint, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The whole file.
    pub file: u64,
    /// Pages in the file.
    pub values: u64,
    /// Pages that are mapped from other files.
    pub references: u64,
    /// Pages of zeros.
    pub zeros: u64,
    /// How many mappings a restore makes.
    pub segments: u64,
}

/// Why no checkpoint was composed.
#[derive(Debug)]
pub enum Error {
    /// A file could not be read or written: what was being done, and the reason.
    File(String, io::Error),
    /// The dump cannot be used.
    Dump(String),
}

impl Error {
    fn file(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{doing} {}", path.display());
        move |error| Self::File(what, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(what, error) => write!(f, "{what}: {error}"),
            Self::Dump(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::Dump(_) => None,
        }
    }
}

/// A dump, read.
pub struct Dump {
    /// What the process said of itself.
    pub process: Process,
    maps: Vec<maps::Region>,
    pages: maps::Pages,
}

impl Dump {
    /// Reads the folder that the bootstrap has written.
    ///
    /// # Errors
    ///
    /// Fails if a file is missing or is not what the bootstrap writes.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(Error::file("reading the dump", &path))
        };
        let process = serde_json::from_slice(&read(PROCESS)?)
            .map_err(|error| Error::Dump(format!("the bootstrap's description of its process: {error}")))?;
        let maps = maps::parse(&String::from_utf8_lossy(&read(MAPS)?))
            .ok_or_else(|| Error::Dump("the process's memory map cannot be read".to_owned()))?;
        let pages = maps::Pages::new(read(PAGES)?)
            .ok_or_else(|| Error::Dump("the process's memory is incomplete".to_owned()))?;
        Ok(Self { process, maps, pages })
    }

    /// Whether a text is anywhere in the memory.
    #[must_use]
    pub fn contains(&self, text: &[u8]) -> bool {
        self.pages.contains(text)
    }

    /// The files that the process has code or modules from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let mapped = self.maps.iter().filter(|region| region.has_file()).map(|region| region.name.as_str());
        mapped.chain(self.process.files.iter().map(String::as_str)).map(Path::new)
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    ///
    /// Fails if the process cannot be restored, or a file cannot be read or written.
    pub fn compose(&self, options: &Options, output: &Path) -> Result<Summary, Error> {
        let space = AddressSpace::new(self, options)?;
        let file = tables::assemble(self, options, &space)?;
        fs::write(output, &file.bytes).map_err(Error::file("writing the checkpoint", output))?;
        // What a restorer would refuse must not be packed.
        let header = Aligned::copy_of(&file.bytes[..file.header_length]);
        Image::parse(header.bytes(), file.bytes.len() as u64)
            .map_err(|invalid| Error::Dump(format!("the checkpoint would be refused: {invalid}")))?;
        Ok(Summary { file: file.bytes.len() as u64, segments: space.segments.len() as u64, ..space.summary })
    }
}

//! Archives that are mapped into memory, and whether their contents match the files.

use crate::report::notices::notice;
use pyo3::prelude::*;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io, ptr, slice};
use whipsnake_module_archive::{Archive, Module, PATH};

/// A folder that may have an archive.
pub struct Place<'a> {
    /// The folder.
    pub root: &'a str,
    /// A folder in it that is treated separately.
    pub without: Option<&'static str>,
    /// What to do about an archive that is not used.
    pub remedy: &'static str,
}

/// All archives of this process.
pub struct Archives(Vec<Mapped>);

impl Archives {
    /// Opens the archives of these folders, and logs those that cannot be used.
    pub fn open(py: Python<'_>, places: &[Place<'_>]) -> Self {
        let opened = places.iter().filter_map(|place| {
            Mapped::open(py, place).unwrap_or_else(|problem| {
                notice(format_args!("{}/{PATH} is not used: {problem}; {}", place.root, place.remedy));
                None
            })
        });
        Self(opened.collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an archive may know this folder or file.
    pub fn cover(&self, path: &str) -> bool {
        self.of(path).is_some()
    }

    /// Whether an archive has a module at this path.
    pub fn contain(&self, path: &str) -> bool {
        self.of(path).is_some_and(|(archive, within)| archive.look_up(within).is_some())
    }

    /// The module at a path, if its source is the one that was packed.
    pub fn find(&self, py: Python<'_>, path: &str) -> PyResult<Option<Module<'static>>> {
        let Some((archive, within)) = self.of(path) else { return Ok(None) };
        if let Some(module) = archive.look_up(within)
            && archive.is_as_packed(py, path, &module)?
        {
            return Ok(Some(module));
        }
        archive.tell(format_args!("{path} is not what was packed into {}: the file is used", archive.file()));
        Ok(None)
    }

    fn of<'a>(&self, path: &'a str) -> Option<(&Mapped, &'a str)> {
        self.0.iter().find_map(|archive| Some((archive, archive.within(path)?)))
    }
}

/// An archive, for as long as the process lives.
struct Mapped {
    root: String,
    without: Option<&'static str>,
    remedy: &'static str,
    archive: Archive<'static>,
    /// Whether a problem of this archive has been logged.
    told: AtomicBool,
    is_damaged: AtomicBool,
}

impl Mapped {
    /// `None` if the folder has no archive.
    fn open(py: Python<'_>, place: &Place<'_>) -> Result<Option<Self>, Problem> {
        let root = place.root;
        let file = match File::open(format!("{root}/{PATH}")) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            opened => opened.map_err(Problem::of)?,
        };
        let archive = Archive::read(map(&file).map_err(Problem::of)?).map_err(Problem::of)?;
        let (cache_tag, magic_number) = this_python(py).map_err(Problem::of)?;
        let target = archive.target();
        if (target.cache_tag, target.magic_number) != (&cache_tag, magic_number) {
            let other = if target.cache_tag == cache_tag { "another build of " } else { "" };
            return Err(Problem(format!("it is for {other}{}, and this is {cache_tag}", target.cache_tag)));
        }
        Ok(Some(Self {
            root: root.into(),
            without: place.without,
            remedy: place.remedy,
            archive,
            told: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
        }))
    }

    /// The part of a path below the root. `None` if the path is elsewhere, or contains `..`.
    fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.root)?;
        let within = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        let is_plain = within.is_empty() || within.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (is_plain && within.split('/').next() != self.without).then_some(within)
    }

    fn look_up(&self, within: &str) -> Option<Module<'static>> {
        if self.is_damaged.load(Ordering::Relaxed) {
            return None;
        }
        self.archive.find(within.as_bytes()).unwrap_or_else(|damage| {
            self.is_damaged.store(true, Ordering::Relaxed);
            self.tell(format_args!("{} is not used: {damage}", self.file()));
            None
        })
    }

    /// Compares size and time, else size and contents: not all tools that unpack or copy files keep their times.
    fn is_as_packed(&self, py: Python<'_>, path: &str, module: &Module<'_>) -> PyResult<bool> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
        if metadata.len() != module.size {
            return Ok(false);
        }
        if metadata.mtime() == self.archive.modified() && metadata.mtime_nsec() == 0 {
            return Ok(true);
        }
        let Ok(source) = fs::read(path) else { return Ok(false) };
        let key = u32::from_le_bytes(self.archive.target().magic_number);
        let hash = py.import("_imp")?.call_method1("source_hash", (key, source.as_slice()))?;
        Ok(hash.extract::<[u8; 8]>()? == module.hash.to_le_bytes())
    }

    fn file(&self) -> String {
        format!("{}/{PATH}", self.root)
    }

    /// Logs one problem for each archive: if one file is wrong, others are too.
    fn tell(&self, what: fmt::Arguments<'_>) {
        if !self.told.swap(true, Ordering::Relaxed) {
            notice(format_args!("{what}; {}", self.remedy));
        }
    }
}

/// Why an archive is not used.
struct Problem(String);

impl Problem {
    fn of(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn map(file: &File) -> io::Result<&'static [u8]> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new mapping, of a file that is open for reading.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping has this length and is never unmapped. `whipsnake pack` writes new files, and never into existing ones.
    Ok(unsafe { slice::from_raw_parts(start.cast(), length) })
}

/// The cache tag and the magic number that bytecode must have.
fn this_python(py: Python<'_>) -> PyResult<(String, [u8; 4])> {
    let cache_tag = py.import("sys")?.getattr("implementation")?.getattr("cache_tag")?.extract()?;
    let magic_number = py.import("_frozen_importlib_external")?.getattr("MAGIC_NUMBER")?.extract()?;
    Ok((cache_tag, magic_number))
}

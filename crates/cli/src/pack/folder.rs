//! The files of a function's folder, without what is certainly of no use on Lambda.

use std::{
    fs::{self, FileType, Metadata},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use crate::{atomic_write, deployment::contents::Entry, failure::Failure};

/// Caches, histories, and what an earlier packing wrote.
const LEFT_OUT: &[&str] = &[
    ".DS_Store",
    ".git",
    ".hg",
    ".hypothesis",
    ".lock",
    ".mypy_cache",
    ".nox",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".whipsnake",
    "__pycache__",
];

/// What a virtual environment has in it, whatever it is called.
const VIRTUAL_ENVIRONMENT: &str = "pyvenv.cfg";

/// How many files and folders may be found through links. Links to folders of links multiply: 25 levels of two are 33 million.
const MOST_THROUGH_LINKS: usize = 100_000;

/// How the names of Emacs's locks begin: links that lead to no file.
const LOCK: &str = ".#";

/// The folder by its real path; or why it cannot be packed.
pub fn find(named: &Path) -> Result<PathBuf, Failure> {
    let refused =
        |why: &str| Failure::new(format!("{} {why}: name the folder with the function's code", named.display()));
    let folder = fs::canonicalize(named).map_err(|_| refused("does not exist"))?;
    if !folder.is_dir() {
        return Err(refused("is no folder"));
    }
    if folder.join(VIRTUAL_ENVIRONMENT).is_file() {
        return Err(refused("is a virtual environment"));
    }
    Ok(folder)
}

/// Where the links in a folder may lead, and what is not to be packed.
#[derive(Debug, Default)]
pub struct Bounds {
    /// Folders beside the one that is read, by their real paths.
    pub allowed: Vec<PathBuf>,
    /// Files and folders, by their real paths.
    pub left_out: Vec<PathBuf>,
}

/// The files of a folder before they are read.
#[derive(Debug, Default)]
pub struct Files {
    /// In the order of their paths.
    files: Vec<Found>,
    /// The paths of what is no file, with what it is.
    pub left_out: Vec<String>,
}

#[derive(Debug)]
struct Found {
    /// Below the folder.
    path: String,
    /// Where a link leads to.
    real: PathBuf,
    metadata: Metadata,
}

impl Files {
    /// Finds them.
    pub fn below(folder: &Path, bounds: &Bounds) -> Result<Files, Failure> {
        let mut walk = Walk { root: folder, bounds, parents: Vec::new(), through_links: 0, files: Files::default() };
        walk.folder(folder, "", false)
            .map_err(|(path, error)| Failure::new(format!("reading {}: {error}", path.display())))?;
        walk.files.files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(walk.files)
    }

    /// Their paths and sizes.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|file| (file.path.as_str(), file.metadata.len()))
    }

    /// Reads all of them.
    pub fn read(self) -> Result<Vec<(String, Entry)>, Failure> {
        let read = |file: Found| match fs::read(&file.real) {
            Ok(bytes) => Ok((file.path, super::entry(&file.metadata, bytes))),
            Err(error) => Err(Failure::new(format!("reading {}: {error}", file.real.display()))),
        };
        self.files.into_iter().map(read).collect()
    }
}

type Failed = (PathBuf, io::Error);

struct Walk<'a> {
    root: &'a Path,
    bounds: &'a Bounds,
    /// The real folders that lead to the one that is being read.
    parents: Vec<PathBuf>,
    through_links: usize,
    files: Files,
}

impl Walk<'_> {
    /// `folder` is a real path, and `within` what it is called in the package.
    fn folder(&mut self, folder: &Path, within: &str, is_through_link: bool) -> Result<(), Failed> {
        let failed = |error| (folder.to_path_buf(), error);
        let mut entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        self.parents.push(folder.to_path_buf());
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let why = "its name is not UTF-8, which a zip's names are: rename it";
                return Err((path, io::Error::new(io::ErrorKind::InvalidFilename, why)));
            };
            if LEFT_OUT.contains(&name)
                || (name.starts_with(atomic_write::PREFIX) && name.ends_with(atomic_write::SUFFIX))
            {
                continue;
            }
            let kind = entry.file_type().map_err(|error| (path.clone(), error))?;
            let Some(real) = self.real(&path, name, kind)? else { continue };
            let is_through_link = is_through_link || kind.is_symlink();
            if is_through_link {
                self.count(&path)?;
            }
            let within = if within.is_empty() { name.to_owned() } else { format!("{within}/{name}") };
            self.entry(&path, real, within, is_through_link)?;
        }
        self.parents.pop();
        Ok(())
    }

    /// Where an entry really is. None for what is left out.
    fn real(&self, path: &Path, name: &str, kind: FileType) -> Result<Option<PathBuf>, Failed> {
        let failed = |why: String| Err((path.to_path_buf(), io::Error::other(why)));
        let is_left_out = |real: &PathBuf| self.bounds.left_out.contains(real);
        if !kind.is_symlink() {
            return Ok(Some(path.to_path_buf()).filter(|real| !is_left_out(real)));
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(_) if name.starts_with(LOCK) => return Ok(None),
            Err(error) => {
                let target = fs::read_link(path).unwrap_or_default();
                let target = target.display();
                return failed(format!("it is a link to {target}, which cannot be found ({error}): remove the link"));
            }
        };
        if is_left_out(&real) {
            return Ok(None);
        }
        let mut allowed = self.bounds.allowed.iter().map(PathBuf::as_path).chain([self.root]);
        if !allowed.any(|folder| real.starts_with(folder)) {
            return failed(format!(
                "it is a link out of the folder, to {}: copy what it leads to, or allow that folder with --allow-links",
                real.display()
            ));
        }
        Ok(Some(real))
    }

    fn entry(&mut self, path: &Path, real: PathBuf, within: String, is_through_link: bool) -> Result<(), Failed> {
        let metadata = fs::metadata(&real).map_err(|error| (path.to_path_buf(), error))?;
        if metadata.is_file() {
            self.files.files.push(Found { path: within, real, metadata });
        } else if !metadata.is_dir() {
            self.files.left_out.push(format!("{within} ({})", name_of(metadata.file_type())));
        } else if !real.join(VIRTUAL_ENVIRONMENT).is_file() {
            if self.parents.contains(&real) {
                return Err((path.to_path_buf(), io::Error::other("it is a link to a folder that it lies in")));
            }
            self.folder(&real, &within, is_through_link)?;
        }
        Ok(())
    }

    fn count(&mut self, path: &Path) -> Result<(), Failed> {
        self.through_links += 1;
        if self.through_links <= MOST_THROUGH_LINKS {
            return Ok(());
        }
        let why =
            format!("more than {MOST_THROUGH_LINKS} files and folders are found through links: remove some links");
        Err((path.to_path_buf(), io::Error::other(why)))
    }
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

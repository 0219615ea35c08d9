//! The files of a function's folder, without what is certainly of no use on Lambda.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{deployment::contents::Entry, failure::Failure};

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

/// Its files by their paths below it; links are followed. Without what lies at the paths of `left_out`.
pub fn read(folder: &Path, left_out: &[Option<PathBuf>]) -> Result<Vec<(String, Entry)>, Failure> {
    let mut files = Vec::new();
    walk(folder, "", left_out, &mut vec![folder.to_path_buf()], &mut files)
        .map_err(|(path, error)| Failure::new(format!("reading {}: {error}", path.display())))?;
    Ok(files)
}

fn walk(
    folder: &Path,
    within: &str,
    left_out: &[Option<PathBuf>],
    parents: &mut Vec<PathBuf>,
    files: &mut Vec<(String, Entry)>,
) -> Result<(), (PathBuf, io::Error)> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_str().ok_or_else(|| {
            (path.clone(), io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8, which a zip's are"))
        })?;
        if LEFT_OUT.contains(&name) {
            continue;
        }
        let real = fs::canonicalize(&path).map_err(failed(&path))?;
        if left_out.iter().flatten().any(|left_out| *left_out == real) {
            continue;
        }
        let within = if within.is_empty() { name.to_owned() } else { format!("{within}/{name}") };
        let metadata = fs::metadata(&real).map_err(failed(&path))?;
        if metadata.is_file() {
            let bytes = fs::read(&real).map_err(failed(&path))?;
            files.push((within, super::entry(&metadata, bytes)));
        } else if metadata.is_dir() && !real.join(VIRTUAL_ENVIRONMENT).is_file() {
            if parents.contains(&real) {
                return Err((path, io::Error::other("it is a link to a folder that it lies in")));
            }
            parents.push(real.clone());
            walk(&path, &within, left_out, parents, files)?;
            parents.pop();
        }
    }
    Ok(())
}

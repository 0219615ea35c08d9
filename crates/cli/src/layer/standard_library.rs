//! The standard library as it goes into a layer: sources, data, extension modules; no caches, no packages, nothing trimmed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{prefix::Prefix, relocation, trim::Trim};

/// Folders of an installation that are not part of its standard library.
const NOT_PART_OF_IT: &[&str] = &["__pycache__", "site-packages", "dist-packages"];
const EXTENSION_MODULES: &str = "lib-dynload";

/// A file, and where it lies below the prefix.
#[derive(Debug)]
pub struct SourceFile {
    /// Such as `lib/python3.14/json/decoder.py`.
    pub path: String,
    /// Where it was read.
    pub origin: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Reads all of it.
pub fn read(prefix: &Prefix, trims: &[Trim]) -> io::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let folder = |path: &Path| prefix.within(path).unwrap_or_default();
    walk(&prefix.standard_library, &folder(&prefix.standard_library), "", trims, &mut files)?;
    if !prefix.extension_modules.starts_with(&prefix.standard_library) && prefix.extension_modules.is_dir() {
        let modules = &prefix.extension_modules;
        walk(modules, &folder(modules), EXTENSION_MODULES, trims, &mut files)?;
    }
    for file in files.iter_mut().filter(|file| relocation::is_record(&file.path)) {
        file.bytes = relocation::relocate(&file.bytes, prefix);
    }
    Ok(files)
}

/// `within` is the path below the standard library's folder, which the trim list speaks of.
fn walk(folder: &Path, target: &str, within: &str, trims: &[Trim], files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let within = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        if NOT_PART_OF_IT.contains(&name.as_str()) || trims.iter().any(|trim| trim.covers(&within)) {
            continue;
        }
        let (path, target) = (entry.path(), format!("{target}/{name}"));
        // Follows links; one that leads nowhere is no file of the library's.
        let Ok(kind) = fs::metadata(&path) else { continue };
        if kind.is_dir() {
            walk(&path, &target, &within, trims, files)?;
        } else {
            files.push(SourceFile { path: target, bytes: fs::read(&path)?, origin: path });
        }
    }
    Ok(())
}

//! The standard library as it goes into a layer: sources, data, extension modules; no caches, no packages, nothing trimmed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    contents::{HOME, ROOT},
    prefix::Prefix,
    trim::Trim,
};

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
    for file in &mut files {
        place(file, prefix);
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

/// What `sysconfig` tells names the folder of the build machine: it is to name the layer's.
fn place(file: &mut SourceFile, prefix: &Prefix) {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if !name.starts_with("_sysconfigdata") && !name.starts_with("_sysconfig_vars") && !name.starts_with("build-details")
    {
        return;
    }
    // A prefix such as /usr would be found in the middle of other paths: only whole ones.
    let (old, new) = (prefix.folder().display().to_string(), format!("{ROOT}/{HOME}"));
    let text = String::from_utf8_lossy(&file.bytes).into_owned();
    let mut placed = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(&old) {
        let (before, after) = (&rest[..at], &rest[at + old.len()..]);
        let begins = before.chars().next_back().is_none_or(|before| !is_in_path(before) && before != '/');
        let ends = after.chars().next().is_none_or(|after| !is_in_path(after));
        placed.push_str(before);
        placed.push_str(if begins && ends { &new } else { &old });
        rest = after;
    }
    placed.push_str(rest);
    file.bytes = placed.into_bytes();
}

fn is_in_path(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

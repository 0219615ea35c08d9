//! The places where Pythons are.

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
};

use super::interpreter::{Interpreter, OLDEST};

/// Every interpreter that can be built against, and a sentence for each that cannot.
pub fn all() -> (Vec<Interpreter>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let (mut asked, mut known) = (HashSet::new(), HashSet::new());
    for path in directories().iter().flat_map(|directory| pythons(directory)) {
        // Links and virtual environments lead to few files, and starting a Python takes its time.
        let Ok(file) = fs::canonicalize(&path) else {
            continue;
        };
        if is_too_old(&file) || !asked.insert(file) {
            continue;
        }
        match Interpreter::ask(&path) {
            // A shim is a file of its own for an interpreter that was found already.
            Ok(interpreter) => {
                if known.insert(interpreter.executable.clone()) {
                    found.push(interpreter);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    (found, problems)
}

/// The program called `name` on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    path_directories().map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The directories to look into, uv's first.
fn directories() -> Vec<PathBuf> {
    let home = |path: &str| env::var_os("HOME").map(|home| Path::new(&home).join(path));
    let named = |variable: &str, path: &str| env::var_os(variable).map(PathBuf::from).or_else(|| home(path));
    let uv = named("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python");
    let pyenv = named("PYENV_ROOT", ".pyenv");
    // What pyenv's shims lead to is found where it lies. They are scripts, and one that meets its own folder twice on PATH
    // starts itself for ever.
    let shims = pyenv.as_deref().and_then(|root| fs::canonicalize(root.join("shims")).ok());
    let is_shims = |directory: &PathBuf| shims.is_some() && fs::canonicalize(directory).ok() == shims;
    let cache = home(".cache/whipsnake");
    let mut directories = bin_directories(uv);
    directories.extend(path_directories().filter(|directory| !is_shims(directory)));
    directories.extend(bin_directories(pyenv.map(|root| root.join("versions"))));
    directories.extend(bin_directories(Some(PathBuf::from("/opt"))));
    directories.extend(bin_directories(Some(PathBuf::from("/opt/python"))));
    directories.extend(bin_directories(cache));
    directories
}

fn path_directories() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// The `bin` of everything installed in `root`, sorted, so that the same machine gives the same answer.
fn bin_directories(root: Option<PathBuf>) -> Vec<PathBuf> {
    let entries = root.and_then(|root| fs::read_dir(root).ok());
    let mut directories: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|path| path.is_dir())
        .collect();
    directories.sort();
    directories
}

fn pythons(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut pythons: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| name_of(path).is_some_and(|name| version_in(name).is_some()))
        .collect();
    pythons.sort();
    pythons
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// What follows `python` in an interpreter's name; None for python3-config and other tools.
fn version_in(name: &str) -> Option<&str> {
    let version = name.strip_prefix("python")?;
    let digits = version.strip_suffix('t').unwrap_or(version);
    digits.chars().all(|character| character.is_ascii_digit() || character == '.').then_some(version)
}

/// Whether a file's name alone says that it is too old; asking it would only take time.
fn is_too_old(file: &Path) -> bool {
    let version = name_of(file).and_then(version_in).unwrap_or_default();
    let minor = version.strip_prefix("3.").and_then(|minor| minor.trim_end_matches('t').parse::<u8>().ok());
    version.starts_with('2') || minor.is_some_and(|minor| minor < OLDEST)
}

#[cfg(test)]
mod tests {
    use super::{is_too_old, version_in};
    use std::path::Path;

    #[test]
    fn interpreters_are_known_by_their_names() {
        for (name, version) in [("python", ""), ("python3", "3"), ("python3.14t", "3.14t")] {
            assert_eq!(version_in(name), Some(version));
        }
        for name in ["python3-config", "python3.13-gdb.py", "pip3.13", "pythonw"] {
            assert_eq!(version_in(name), None, "{name}");
        }
    }

    #[test]
    fn an_old_one_is_not_asked() {
        assert!(is_too_old(Path::new("/usr/bin/python2.7")));
        assert!(is_too_old(Path::new("/usr/bin/python3.11")));
        assert!(!is_too_old(Path::new("/usr/bin/python3.12")));
        assert!(!is_too_old(Path::new("/usr/bin/python3")));
    }
}

//! One CPython, as it describes itself.

use std::{
    collections::HashSet,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::library::{self, Library};

/// The oldest minor version of Python 3 that is supported.
pub const OLDEST: u8 = 12;

/// Run by the interpreter; written so that every Python 3 understands it.
const QUESTIONS: &str = "
import json, os, struct, sys, sysconfig
variable = sysconfig.get_config_var
print(json.dumps({
    'implementation': sys.implementation.name,
    'version': list(sys.version_info[:3]),
    'release': sys.version_info[3] == 'final',
    'build': sys.version,
    'cache_tag': sys.implementation.cache_tag,
    'machine': os.uname().machine,
    'executable': getattr(sys, '_base_executable', None) or sys.executable,
    'base_prefix': sys.base_prefix,
    'ldversion': variable('LDVERSION') or variable('VERSION'),
    'directories': [
        sysconfig.get_paths()['stdlib'] + '/' + (variable('LIBPL') or '').rpartition('/')[2],
        *(directory for directory in (variable('LIBDIR'), variable('LIBPL')) if directory),
    ],
    'needs': ' '.join(variable(name) or '' for name in ('MODLIBS', 'LIBS', 'SYSLIBS')).split(),
    'multiarch': variable('MULTIARCH') or '',
    'free_threaded': bool(variable('Py_GIL_DISABLED')),
    'debug': bool(variable('Py_DEBUG')),
    'pointer_width': struct.calcsize('P') * 8,
}))
";

/// A CPython that a bootstrap can be built against.
#[derive(Debug)]
pub struct Interpreter {
    /// The interpreter itself, never a shim or a virtual environment's.
    pub executable: PathBuf,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
    /// False for alphas, betas and candidates.
    pub is_release: bool,
    /// What stands between the dots in the name of a file of bytecode.
    pub cache_tag: String,
    /// Whether it was built without the GIL.
    pub is_free_threaded: bool,
    /// Whether it was built with Py_DEBUG.
    pub is_debug: bool,
    /// 32 or 64.
    pub pointer_width: u8,
    /// What it says about itself: `sys.version`.
    pub build: String,
    /// The processor that it is for, as `uname` has it.
    pub machine: String,
    /// The folder it is installed in.
    pub prefix: PathBuf,
    /// Where its library may be, and the libraries that it needs.
    pub library_directories: Vec<PathBuf>,
    /// Its library: the shared one first, if there is one, then the archives. Never empty.
    pub libraries: Vec<Library>,
    /// The libraries that an executable with an archive of it in it needs as well, by the linker's names.
    pub needs: Vec<String>,
}

#[derive(Deserialize)]
struct Answers {
    implementation: String,
    version: (u8, u8, u8),
    release: bool,
    build: String,
    cache_tag: String,
    machine: String,
    executable: PathBuf,
    base_prefix: PathBuf,
    ldversion: String,
    directories: Vec<PathBuf>,
    needs: Vec<String>,
    multiarch: String,
    free_threaded: bool,
    debug: bool,
    pointer_width: u8,
}

impl Answers {
    fn of(path: &Path) -> Result<Answers, String> {
        let name = path.display();
        let output = Command::new(path)
            .args(["-I", "-S", "-c", QUESTIONS])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{name} does not run: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            // A traceback says it in its last line, everybody else in the first.
            let traceback = said.starts_with("Traceback");
            let line = if traceback { said.trim().lines().last() } else { said.trim().lines().next() };
            // Something else than a Python may give all of our question back.
            let line: String = line.unwrap_or("it says nothing").chars().take(120).collect();
            return Err(format!("{name} does not run as a Python 3: {line}"));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("{name} does not answer as a Python 3 does: {error}"))
    }

    /// Where its library may be. The prefix comes before LIBDIR: a build that was moved still names the place it was built for.
    fn library_folders(&self) -> Vec<PathBuf> {
        let lib = self.base_prefix.join("lib");
        let mut folders = vec![lib.clone(), self.base_prefix.join("lib64"), lib.join(&self.multiarch)];
        folders.extend(self.directories.iter().cloned());
        let mut known = HashSet::new();
        folders.retain(|folder| folder.is_dir() && known.insert(folder.clone()));
        folders
    }
}

impl Interpreter {
    /// Asks the interpreter at `path` about itself; or says in a sentence why it cannot be used.
    pub fn ask(path: &Path) -> Result<Interpreter, String> {
        let name = path.display();
        let answers = Answers::of(path)?;
        let (major, minor, patch) = answers.version;
        if answers.implementation != "cpython" {
            return Err(format!("{name} is {}, not CPython", answers.implementation));
        }
        if (major, minor) < (3, OLDEST) {
            return Err(format!("{name} is CPython {major}.{minor}.{patch}, older than 3.{OLDEST}"));
        }
        let library = format!("python{}", answers.ldversion);
        let library_directories = answers.library_folders();
        let libraries = library::find(&library, &library_directories);
        if libraries.is_empty() {
            return Err(format!(
                "{name} is CPython {major}.{minor}.{patch} without its library: there is no lib{library}.so and no \
                 lib{library}.a under {}",
                answers.base_prefix.display()
            ));
        }
        Ok(Interpreter {
            executable: fs::canonicalize(&answers.executable).unwrap_or(answers.executable),
            version: answers.version,
            is_release: answers.release,
            cache_tag: answers.cache_tag,
            is_free_threaded: answers.free_threaded,
            is_debug: answers.debug,
            pointer_width: answers.pointer_width,
            build: answers.build,
            machine: answers.machine,
            prefix: answers.base_prefix,
            library_directories,
            libraries,
            needs: library::names(&answers.needs),
        })
    }

    /// Whether both compile to the same bytecode, which does not depend on the processor.
    pub fn compiles_like(&self, other: &Interpreter) -> bool {
        let kind = |one: &Interpreter| (one.version, one.is_free_threaded, one.is_debug);
        self.is_release && other.is_release && kind(self) == kind(other)
    }

    /// Such as `3.14.2`.
    pub fn full_version(&self) -> String {
        let (major, minor, patch) = self.version;
        format!("{major}.{minor}.{patch}")
    }

    /// Such as `3.14`.
    pub fn minor_version(&self) -> String {
        let (major, minor, _) = self.version;
        format!("{major}.{minor}")
    }

    /// Such as `CPython 3.14.2` or `CPython 3.14.2 (free-threaded)`.
    pub fn name(&self) -> String {
        let threads = if self.is_free_threaded { " (free-threaded)" } else { "" };
        format!("CPython {}{threads}", self.full_version())
    }
}

/// The folder with the library that a bootstrap needs to run on the interpreter at `path`; or a sentence that says why there is
/// none, and what to do.
pub fn shared_library_folder(path: &Path) -> Result<PathBuf, String> {
    let answers = Answers::of(path)?;
    let file = format!("libpython{}.so.1.0", answers.ldversion);
    let folders = answers.library_folders();
    folders.into_iter().find(|folder| folder.join(&file).is_file()).ok_or_else(|| {
        let (major, minor, _) = answers.version;
        format!(
            "{} has no shared library, and functions run in one: there is no {file} under {}. On Debian and Ubuntu it is in the \
             package libpython{major}.{minor}; pyenv builds it with PYTHON_CONFIGURE_OPTS=--enable-shared; the Pythons of \
             `uv python install {major}.{minor}` have it",
            path.display(),
            answers.base_prefix.display()
        )
    })
}

impl fmt::Display for Interpreter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name(), self.executable.display())
    }
}

/// A version as people name it: 3.14, 3.14.2, 3.14t.
#[derive(Debug, PartialEq, Eq)]
pub struct Version {
    numbers: Vec<u8>,
    is_free_threaded: bool,
}

impl Version {
    /// Reads a version; None when `text` is none, and so a path or a command.
    pub fn parse(text: &str) -> Option<Version> {
        let digits = text.strip_suffix('t').unwrap_or(text);
        let numbers: Vec<u8> = digits.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        (numbers.len() <= 3).then_some(Version { numbers, is_free_threaded: digits.len() < text.len() })
    }

    /// Whether `interpreter` is of this version.
    pub fn matches(&self, interpreter: &Interpreter) -> bool {
        let (major, minor, patch) = interpreter.version;
        [major, minor, patch].starts_with(&self.numbers) && interpreter.is_free_threaded == self.is_free_threaded
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.numbers.iter().map(u8::to_string).collect();
        let threads = if self.is_free_threaded { "t" } else { "" };
        write!(formatter, "{}{threads}", numbers.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_version_is_told_from_a_path() {
        for version in ["3", "3.14", "3.14.2", "3.14t"] {
            assert_eq!(Version::parse(version).map(|parsed| parsed.to_string()).as_deref(), Some(version));
        }
        for path in ["python3.14", "./3.14", "", "t", "3.14.2.1", "/opt/python"] {
            assert_eq!(Version::parse(path), None, "{path}");
        }
    }
}

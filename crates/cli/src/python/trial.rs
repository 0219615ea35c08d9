//! Tries whether an archive of CPython's can be part of an executable: by linking one, and running it.
//!
//! Nothing less tells. Archives lack objects, their code may not fit the compiler's or the linker's ways, and some linkers break
//! what a newer assembler wrote.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Interpreter, library::Library};
use crate::{cleanup::TemporaryFolder, progress::Progress};

/// The smallest Python there can be.
const PROGRAM: &str = "
use std::ffi::{CString, c_char, c_int};
unsafe extern \"C\" {
    fn Py_BytesMain(count: c_int, arguments: *const *const c_char) -> c_int;
}
fn main() {
    let arguments: Vec<CString> = std::env::args().filter_map(|argument| CString::new(argument).ok()).collect();
    let pointers: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
    std::process::exit(unsafe { Py_BytesMain(arguments.len() as c_int, pointers.as_ptr()) })
}
";

/// What a bootstrap has in it as well, and how its linker is told.
const OLDER_FUNCTIONS: &str = include_str!("../../../bootstrap/src/older_functions.rs");
const WRAPPED: &str = "-Clink-arg=-Wl,--wrap=fmod,--wrap=hypot";

/// Everything that is part of the interpreter, what a linker may get wrong, and which interpreter it is.
const QUESTION: &str = "
import os, sys
assert os.environ['TRIAL'] == 'yes', 'it does not see its environment'
for name in sys.builtin_module_names:
    __import__(name)
print(sys.version)
";

/// Links the archive, and runs it; or says what is wrong with it.
pub fn link(
    interpreter: &Interpreter,
    library: &Library,
    check: impl Fn(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let _shown = Progress::of("linking libpython on trial");
    let folder = TemporaryFolder::new("libpython").map_err(|failure| failure.to_string())?;
    let program = build(interpreter, library, folder.path())?;
    check(&program)?;
    run(interpreter, &program)
}

fn build(interpreter: &Interpreter, library: &Library, folder: &Path) -> Result<PathBuf, String> {
    let (source, program) = (folder.join("trial.rs"), folder.join("trial"));
    fs::write(&source, format!("{OLDER_FUNCTIONS}{PROGRAM}"))
        .map_err(|error| format!("writing {}: {error}", source.display()))?;
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
    rustc
        .args(["--edition=2024", "-Cstrip=debuginfo", "-Clink-arg=-no-pie", "-Clink-arg=-rdynamic", WRAPPED, "-o"])
        .arg(&program);
    rustc.arg(format!("-lstatic:+whole-archive={}", library.name));
    rustc.args(interpreter.needs.iter().map(|name| format!("-l{name}")));
    let folders = [&library.directory].into_iter().chain(&interpreter.library_directories);
    rustc.args(folders.map(|folder| format!("-Lnative={}", folder.display())));
    let output = rustc.arg(&source).stdin(Stdio::null()).output().map_err(|error| format!("running rustc: {error}"))?;
    if output.status.success() { Ok(program) } else { Err(complaint(&String::from_utf8_lossy(&output.stderr))) }
}

/// The linker's first complaint among what rustc says; it has a lot to say.
fn complaint(said: &str) -> String {
    let is_complaint = |line: &&str| {
        ["undefined", "relocation", "cannot find", "unable to find", "duplicate", "multiple definition"]
            .iter()
            .any(|sign| line.contains(sign))
    };
    let line = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("= note:  "))
        .find(is_complaint)
        .or_else(|| said.lines().next());
    line.unwrap_or("rustc fails").trim_start_matches("= note: ").chars().take(200).collect()
}

fn run(interpreter: &Interpreter, program: &Path) -> Result<(), String> {
    let libraries = env::join_paths(&interpreter.library_directories).unwrap_or_default();
    let output = Command::new(program)
        .args(["-S", "-s", "-c", QUESTION])
        .env_clear()
        .env("TRIAL", "yes")
        .env("PYTHONHOME", &interpreter.prefix)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("what came of it does not run: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "what came of it fails with {}: {}",
            output.status,
            said.trim().lines().last().unwrap_or_default()
        ));
    }
    if told.trim() != interpreter.build.trim() {
        return Err(format!("it is of another build, {}", told.trim()));
    }
    Ok(())
}

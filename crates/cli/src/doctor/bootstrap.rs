//! The bootstrap: which CPython it embeds, and whether Lambda can run it.

use std::{
    fmt::Write,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use crate::deployment::{architecture::Architecture, contents::ROOT, elf::Elf};

/// Asked of the CPython inside, which answers as `python3` does.
const QUESTIONS: &str = "
import json, os, sys, sysconfig
jit = getattr(sys, '_jit', None)
print(json.dumps({
    'version': sys.version.split()[0],
    'tag': '%d.%d' % sys.version_info[:2],
    'free_threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),
    'jit': None if jit is None else 'on' if jit.is_enabled() else 'off' if jit.is_available() else None,
    'debug': hasattr(sys, 'gettotalrefcount'),
    'prefix': sys.base_prefix,
    'glibc': os.confstr('CS_GNU_LIBC_VERSION'),
}))
";

#[derive(Deserialize)]
struct Answers {
    version: String,
    tag: String,
    free_threaded: bool,
    jit: Option<String>,
    debug: bool,
    prefix: String,
    glibc: String,
}

/// Tells about the bootstrap, which may use the Python at a path, with a library in a folder. Returns the version of its CPython,
/// such as 3.14.
pub fn describe(bootstrap: &Path, python: Option<(String, PathBuf)>, told: &mut String) -> Option<String> {
    _ = writeln!(told, "Bootstrap\n  {}", bootstrap.display());
    let mut command = Command::new(bootstrap);
    command.arg0("python3").args(["-I", "-c", QUESTIONS]).env_clear();
    if let Some((python, library_folder)) = python {
        command.env("WHIPSNAKE_PYTHON", python).env("LD_LIBRARY_PATH", library_folder);
    }
    let answers: Option<Answers> = command.output().ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
    match &answers {
        None => {
            told.push_str("  it does not run here as a bootstrap with a CPython in it: build one with `make build`\n");
        }
        Some(answers) => {
            let gil = if answers.free_threaded { "free-threaded, no GIL" } else { "GIL" };
            let jit = match answers.jit.as_deref() {
                Some("on") => "JIT on",
                Some(_) => "JIT built in, off: PYTHON_JIT=1 switches it on",
                None => "no JIT",
            };
            let debug = if answers.debug { ", a debug build: slow" } else { "" };
            _ = writeln!(told, "  CPython {} of {}: {gil}, {jit}{debug}", answers.version, answers.prefix);
            _ = writeln!(told, "  {} on this machine", answers.glibc);
        }
    }
    describe_file(bootstrap, told);
    answers.map(|answers| answers.tag)
}

fn describe_file(bootstrap: &Path, told: &mut String) {
    let read = fs::read(bootstrap).ok().zip(Architecture::of_this_machine().ok());
    let elf = read.and_then(|(file, architecture)| Elf::read(&file, architecture).ok().flatten());
    let Some(elf) = elf else {
        told.push_str("  its file cannot be read as a program for this machine\n");
        return;
    };
    let library = elf.needed.iter().find(|library| library.starts_with("libpython"));
    match library {
        Some(library) => _ = writeln!(told, "  CPython is the shared library {library}"),
        None => told.push_str("  CPython is linked into it\n"),
    }
    if let Some(loader) = elf.interpreter.as_deref().filter(|loader| loader.starts_with(ROOT)) {
        _ = writeln!(told, "  its C library is the layer's: it runs where {loader} is");
    } else if let Some(too_new) = elf.too_new() {
        let symbol = too_new.symbol.as_ref().map(|symbol| format!(" for {symbol}")).unwrap_or_default();
        let version = &too_new.version;
        _ = writeln!(
            told,
            "  it needs {version}{symbol}, and Lambda has glibc 2.34: it runs here alone; `make layer` builds one for Lambda"
        );
    }
}

//! Installs what a function requires, for Lambda: by uv, or by pip where there is no uv.

use std::{
    env, fs,
    path::Path,
    process::{self, Command, Stdio},
};

use super::folder;
use crate::{
    deployment::{architecture::Architecture, contents::Entry},
    failure::Failure,
    progress,
    python::{Interpreter, on_path},
};

/// The ages of the C library that wheels for Lambda may be built for, newest first.
const MANYLINUX: &[&str] = &["2_34", "2_28", "2_17"];

/// Everything that is installed by the paths below the folder.
pub fn install(
    requirements: &Path,
    interpreter: &Interpreter,
    architecture: Architecture,
) -> Result<Vec<(String, Entry)>, Failure> {
    if !requirements.is_file() {
        return Err(Failure::new(format!("there is no file of requirements {}", requirements.display())));
    }
    let folder = env::temp_dir().join(format!("whipsnake-pack-{}", process::id()));
    let files =
        run_installer(requirements, interpreter, architecture, &folder).and_then(|()| read(&folder, interpreter));
    // Whatever became of it: nothing is left behind.
    let _ = fs::remove_dir_all(&folder);
    files
}

fn read(installed: &Path, interpreter: &Interpreter) -> Result<Vec<(String, Entry)>, Failure> {
    // Requirements may be none at all.
    let Ok(installed) = fs::canonicalize(installed) else { return Ok(Vec::new()) };
    let mut files = folder::read(&installed, &[])?;
    let shebang = format!("#!{}", interpreter.executable.display());
    for (path, entry) in &files {
        refuse_editable(path, entry)?;
    }
    files.retain(|(path, entry)| {
        let (Entry::File(bytes) | Entry::Program(bytes)) = entry else { return true };
        // Scripts for this machine's interpreter, and when uv built a package.
        let is_script = path.starts_with("bin/") && bytes.starts_with(shebang.as_bytes());
        !is_script && !path.ends_with(".dist-info/uv_cache.json")
    });
    Ok(files)
}

/// An editable install is a `.pth` file that leads to a folder of this machine.
fn refuse_editable(path: &str, entry: &Entry) -> Result<(), Failure> {
    let (Entry::File(bytes) | Entry::Program(bytes)) = entry else { return Ok(()) };
    let text = String::from_utf8_lossy(bytes);
    let leads_here = |line: &str| line.starts_with('/') && Path::new(line.trim()).exists();
    if !path.ends_with(".pth") || !(path.contains("__editable__") || text.lines().any(leads_here)) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{path} leads to {}, which is not on Lambda: require that package without -e",
        text.lines().find(|line| leads_here(line)).unwrap_or("a folder of this machine")
    )))
}

fn run_installer(
    requirements: &Path,
    interpreter: &Interpreter,
    architecture: Architecture,
    folder: &Path,
) -> Result<(), Failure> {
    let is_foreign = Architecture::of_this_machine().is_ok_and(|here| here != architecture);
    let mut installing = match on_path("uv") {
        Some(uv) => with_uv(&uv, interpreter, architecture),
        None => with_pip(interpreter, architecture, is_foreign),
    };
    if is_foreign {
        // What is built here would be for this machine.
        installing.args(["--only-binary", ":all:"]);
    }
    installing.arg("--target").arg(folder).arg("--requirement").arg(requirements);
    // Nothing is to be said on standard output but the result.
    installing.stdout(Stdio::null());
    let what = format!(
        "installing {} for CPython {} on {architecture} with {}",
        requirements.display(),
        interpreter.minor_version(),
        Path::new(installing.get_program()).display()
    );
    let status =
        progress::run(&what, &mut installing, b"").map_err(|error| Failure::new(format!("{what}: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let hint = if is_foreign { "; a package without a wheel for it has to be built there" } else { "" };
    Err(Failure::new(format!("{what} failed, see above{hint}")))
}

fn with_uv(uv: &Path, interpreter: &Interpreter, architecture: Architecture) -> Command {
    let platform = format!("{}-manylinux_{}", processor(architecture), MANYLINUX[0]);
    let mut uv = Command::new(uv);
    uv.args(["pip", "install", "--quiet", "--no-compile-bytecode", "--link-mode", "copy"]);
    uv.args(["--python-platform", &platform]).arg("--python").arg(&interpreter.executable);
    uv
}

fn with_pip(interpreter: &Interpreter, architecture: Architecture, is_foreign: bool) -> Command {
    let mut pip = Command::new(&interpreter.executable);
    pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]);
    if is_foreign {
        for age in MANYLINUX {
            pip.arg("--platform").arg(format!("manylinux_{age}_{}", processor(architecture)));
        }
        pip.arg("--platform").arg(format!("manylinux2014_{}", processor(architecture)));
    }
    pip
}

/// What wheels call it.
fn processor(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

//! Installs what a function requires, for Lambda: by uv, or by pip where there is no uv.

use std::{
    env, fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    distributions::{self, Shared},
    folder::{Bounds, Files},
};
use crate::{
    cleanup::TemporaryFolder,
    deployment::{architecture::Architecture, contents::Entry},
    display,
    failure::Failure,
    progress,
    python::{Interpreter, on_path},
};

/// The minor versions of glibc 2 that wheels for Lambda may need.
const GLIBC: RangeInclusive<u32> = 17..=34;

/// Read by pip where it decides which wheels fit: this machine's C library may be newer than Lambda's (PEP 600).
const MANYLINUX: &str = "def manylinux_compatible(major, minor, architecture):
    return (major, minor) <= (2, NEWEST)
";

/// An installer with everything that it is told.
pub struct Installer<'a> {
    requirements: &'a Path,
    interpreter: &'a Interpreter,
    architecture: Architecture,
    /// For what it installs, what the installer is told, and what it writes itself.
    folder: TemporaryFolder,
}

/// What was installed.
pub struct Installed<'a> {
    installer: Installer<'a>,
    files: Files,
}

impl<'a> Installer<'a> {
    /// For one file of requirements.
    pub fn new(
        requirements: &'a Path,
        interpreter: &'a Interpreter,
        architecture: Architecture,
    ) -> Result<Self, Failure> {
        if !requirements.is_file() {
            return Err(Failure::new(format!("there is no file of requirements {}", requirements.display())));
        }
        let folder = TemporaryFolder::new("pack")?;
        let prepare = || {
            fs::create_dir(folder.path().join("tmp"))?;
            fs::create_dir(folder.path().join("hook"))?;
            let hook = MANYLINUX.replace("NEWEST", &GLIBC.end().to_string());
            fs::write(folder.path().join("hook/_manylinux.py"), hook)
        };
        prepare().map_err(|error| Failure::new(format!("preparing {}: {error}", folder.path().display())))?;
        Ok(Self { requirements, interpreter, architecture, folder })
    }

    /// Installs all requirements.
    pub fn install(self) -> Result<Installed<'a>, Failure> {
        let target = self.target();
        let mut installing = self.command(&target);
        installing.arg("--requirement").arg(self.requirements);
        self.run(installing)?;
        // Requirements may be none at all.
        let Ok(target) = fs::canonicalize(target) else {
            return Ok(Installed { installer: self, files: Files::default() });
        };
        self.settle_shared_files(&target)?;
        let files = Files::below(&target, &Bounds::default())?;
        Ok(Installed { installer: self, files })
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("installed")
    }

    /// Where two distributions bring different files of one path, the one that was installed last has its file there, and which
    /// that is can change from run to run. The last by name has it in the package.
    fn settle_shared_files(&self, installed: &Path) -> Result<(), Failure> {
        let shared = distributions::shared_files(installed)
            .map_err(|error| Failure::new(format!("reading what was installed in {}: {error}", installed.display())))?;
        for Shared { winner, others, paths } in shared {
            let target = self.folder.path().join("alone").join(&winner.name);
            let mut installing = self.command(&target);
            installing.arg("--no-deps").arg("--constraint").arg(self.requirements).arg(winner.requirement());
            self.run(installing)?;
            for path in &paths {
                fs::copy(target.join(path), installed.join(path))
                    .map_err(|error| Failure::new(format!("taking {path} of {}: {error}", winner.name)))?;
            }
            let more = if paths.len() > 1 { format!(" and {} more files", paths.len() - 1) } else { String::new() };
            display::say(&format!(
                "{}{more} came with {} and with {}, and that of {} is packed: see whether you need both",
                paths[0],
                others.join(", "),
                winner.name,
                winner.name
            ));
        }
        Ok(())
    }

    fn command(&self, target: &Path) -> Command {
        let is_foreign = self.is_foreign();
        let mut installing = match on_path("uv") {
            Some(uv) => with_uv(&uv, self.interpreter, self.architecture),
            None => self.with_pip(is_foreign),
        };
        if is_foreign {
            // What is built here would be for this machine.
            installing.args(["--only-binary", ":all:"]);
        }
        installing.arg("--target").arg(target);
        // It leaves nothing behind, also if it is killed.
        installing.env("TMPDIR", self.folder.path().join("tmp"));
        // Nothing is to be said on standard output but the result.
        installing.stdout(Stdio::null());
        installing
    }

    fn is_foreign(&self) -> bool {
        Architecture::of_this_machine().is_ok_and(|here| here != self.architecture)
    }

    fn run(&self, mut installing: Command) -> Result<(), Failure> {
        let what = format!(
            "installing {} for CPython {} on {} with {}",
            self.requirements.display(),
            self.interpreter.minor_version(),
            self.architecture,
            Path::new(installing.get_program()).display()
        );
        let status =
            progress::run(&what, &mut installing, b"").map_err(|error| Failure::new(format!("{what}: {error}")))?;
        if status.success() {
            return Ok(());
        }
        let hint = if self.is_foreign() { "; a package without a wheel for it has to be built there" } else { "" };
        Err(Failure::new(format!("{what} failed, see above{hint}")))
    }

    fn with_pip(&self, is_foreign: bool) -> Command {
        let mut pip = Command::new(&self.interpreter.executable);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]);
        if is_foreign {
            for platform in platforms(self.architecture) {
                pip.arg("--platform").arg(platform);
            }
            return pip;
        }
        let hook = self.folder.path().join("hook");
        let searched = env::var_os("PYTHONPATH").unwrap_or_default();
        let searched = env::split_paths(&searched).filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(searched) = env::join_paths([hook].into_iter().chain(searched)) {
            pip.env("PYTHONPATH", searched);
        }
        pip
    }
}

impl Installed<'_> {
    /// The paths and sizes of all files.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.sizes()
    }

    /// Reads all files that are of use on Lambda.
    pub fn read(self) -> Result<Vec<(String, Entry)>, Failure> {
        let mut files = self.files.read()?;
        let shebang = format!("#!{}", self.installer.interpreter.executable.display());
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

fn with_uv(uv: &Path, interpreter: &Interpreter, architecture: Architecture) -> Command {
    let platform = format!("{}-manylinux_2_{}", processor(architecture), GLIBC.end());
    let mut uv = Command::new(uv);
    uv.args(["pip", "install", "--quiet", "--no-compile-bytecode", "--link-mode", "copy"]);
    uv.args(["--python-platform", &platform]).arg("--python").arg(&interpreter.executable);
    uv
}

/// All that pip is to accept for another processor, best first: it takes each name literally.
fn platforms(architecture: Architecture) -> Vec<String> {
    let processor = processor(architecture);
    let mut platforms: Vec<_> = GLIBC.rev().map(|minor| format!("manylinux_2_{minor}_{processor}")).collect();
    platforms.push(format!("manylinux2014_{processor}"));
    if architecture == Architecture::X86_64 {
        platforms.extend(
            ["manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"]
                .map(|name| format!("{name}_{processor}")),
        );
    }
    platforms
}

/// What wheels call it.
fn processor(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

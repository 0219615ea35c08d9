//! The folders that functions are started from, in each form in which they can be deployed.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    case::{Case, Code, MODULE},
    stage,
};
use crate::{cleanup::TemporaryFolder, failure::Failure, function};

/// How a function's folder was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// With bytecode beside all of it.
    Compiled,
    /// As most people deploy it: sources only, and on Lambda nothing can be written beside them.
    Bare,
    /// By `whipsnake pack`.
    Packed,
    /// The same with a checkpoint of the third-party modules.
    Imports,
    /// The same with a checkpoint of the whole init phase.
    Init,
}

/// The name of the restorer in a packed folder.
pub const RESTORER: &str = "bootstrap";

impl Form {
    /// How `whipsnake pack` is asked for the checkpoint in it.
    pub fn checkpoint(self) -> Option<&'static str> {
        match self {
            Self::Imports => Some("--checkpoint=imports"),
            Self::Init => Some("--checkpoint=init"),
            Self::Compiled | Self::Bare | Self::Packed => None,
        }
    }
}

/// The folders of one run, removed at its end.
pub struct Folders {
    root: TemporaryFolder,
}

impl Folders {
    /// A new folder for everything, below TMPDIR.
    pub fn new() -> Result<Self, Failure> {
        TemporaryFolder::new("bench").map(|root| Self { root })
    }

    /// A place for a file of the harness's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Makes the function's folder in one form. `packages` is that of --packages, `pythons` compile it, the first of them packs it.
    pub fn make(
        &self,
        case: &Case,
        form: Form,
        packages: Option<&Path>,
        pythons: &[PathBuf],
    ) -> Result<PathBuf, Failure> {
        let folder = self.root.path().join(&case.name).join(format!("{form:?}").to_lowercase());
        let failed = |error: io::Error| {
            Failure::new(format!("making the function {} in {}: {error}", case.name, folder.display()))
        };
        if form == Form::Packed || form.checkpoint().is_some() {
            let plain = self.make(case, Form::Bare, packages, pythons)?;
            let mut pack = Command::new(this_command()?);
            pack.arg("pack").arg(&plain).arg("--unpacked").arg(&folder).arg("--task-root").arg(&folder);
            if let Some(python) = pythons.first() {
                pack.arg("--python").arg(python);
            }
            if let Some(checkpoint) = form.checkpoint() {
                pack.args([checkpoint, "--here", "--handler", &case.handler]);
                for (name, value) in stage::environment(&folder, &case.handler, form) {
                    if !name.starts_with("AWS_SESSION_") && !name.contains("_KEY") {
                        pack.arg("--env").arg(format!("{name}={value}"));
                    }
                }
            }
            run(&mut pack)?;
            return Ok(folder);
        }
        if folder.is_dir() {
            return Ok(folder);
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        fs::write(folder.join("measured.py"), case.measured()).map_err(failed)?;
        let with_bytecode = form == Form::Compiled;
        match &case.code {
            Code::Folder(own) => copy(own, &folder, with_bytecode).map_err(failed)?,
            Code::Module(source, needed) => {
                fs::write(folder.join(format!("{MODULE}.py")), source).map_err(failed)?;
                if let (Some(needed), Some(packages)) = (needed, packages) {
                    for entry in fs::read_dir(packages.join(needed.folder)).map_err(failed)? {
                        let entry = entry.map_err(failed)?;
                        if needed.includes(&entry.file_name().to_string_lossy()) {
                            copy(&entry.path(), &folder.join(entry.file_name()), with_bytecode).map_err(failed)?;
                        }
                    }
                }
            }
        }
        if with_bytecode {
            for python in pythons {
                // It fails where a package has a file that is no Python of this version; the rest is compiled all the same.
                Command::new(python).args(["-m", "compileall", "-q"]).arg(&folder).output().map_err(failed)?;
            }
        }
        Ok(folder)
    }
}

/// Whether this command has the verb that packs.
pub fn can_pack() -> bool {
    this_command().is_ok_and(|command| {
        Command::new(command).args(["pack", "--help"]).output().is_ok_and(|output| output.status.success())
    })
}

/// Whether functions can be packed with checkpoints for this bootstrap.
pub fn can_restore(bootstrap: &Path) -> bool {
    let ours = function::find_bootstrap(None).is_ok_and(|ours| ours == bootstrap);
    ours && bootstrap.with_file_name("restorer").is_file()
}

fn this_command() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(|error| Failure::new(format!("looking for this command: {error}")))
}

/// Copies a file or a folder, by links where the file system has them: packages are large, and times stay as they are.
fn copy(from: &Path, to: &Path, with_bytecode: bool) -> io::Result<()> {
    if !from.is_dir() {
        if from.is_symlink() {
            // The link might lead elsewhere from there, or out of what may be packed.
            return fs::copy(from, to).map(drop);
        }
        return fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    }
    if !with_bytecode && from.file_name().is_some_and(|name| name == "__pycache__") {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()), with_bytecode)?;
    }
    Ok(())
}

/// Runs a command to its end; what it says is told when it fails.
fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| Failure::new(format!("starting {name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

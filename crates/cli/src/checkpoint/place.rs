//! Where the dumped process runs: on this machine as it is, or in a root with Lambda's places.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use whipsnake_checkpoint::private_root;

use super::enter;
use crate::{cleanup::TemporaryFolder, deployment::contents::TASK_ROOT, failure::Failure};

/// Where Lambda unpacks layers.
const OPT: &str = "/opt";

/// A place with the function in it.
pub struct Place {
    root: PathBuf,
    task: PathBuf,
    staged: PathBuf,
    bootstrap: PathBuf,
    is_private: bool,
    /// Where dumps are written.
    temporary: TemporaryFolder,
}

impl Place {
    /// This machine: the function in its folder, and this machine's bootstrap.
    pub fn here(task: PathBuf, bootstrap: PathBuf) -> Result<Self, Failure> {
        let temporary = TemporaryFolder::new("checkpoint")?;
        Ok(Self { root: "/".into(), staged: task.clone(), task, bootstrap, is_private: false, temporary })
    }

    /// A root of its own, with the layers in `/opt`. The function's folder, [`staged`](Self::staged), is still empty.
    pub fn lambda(layers: &[PathBuf]) -> Result<Self, Failure> {
        let temporary = TemporaryFolder::new("checkpoint")?;
        let failed = |error: io::Error| Failure::new(format!("making a root for the function: {error}"));
        let root = private_root::prepare(&temporary.path().join("root")).map_err(failed)?;
        for layer in layers {
            unzip(layer, &root.join("opt"))?;
        }
        let bootstrap = Path::new(OPT).join("bootstrap");
        if !root.join("opt/bootstrap").is_file() {
            let named: Vec<_> = layers.iter().map(|layer| layer.display().to_string()).collect();
            return Err(Failure::new(format!(
                "there is no bootstrap in the layers ({}): name the zip of `whipsnake layer` with --layer",
                if named.is_empty() { String::from("none are named") } else { named.join(", ") }
            )));
        }
        let staged = root.join("var/task");
        let place = Self { root, task: TASK_ROOT.into(), staged, bootstrap, is_private: true, temporary };
        place.check()?;
        Ok(place)
    }

    /// Tries whether processes can have a root of their own.
    fn check(&self) -> Result<(), Failure> {
        let tried = self.command(Path::new("/bin/true"), &[], &[]).output();
        match tried {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Failure::new(format!(
                "a checkpoint for Lambda's folders needs a user namespace, which this system refuses: {}. Allow them (on Ubuntu: sudo \
                 sysctl kernel.apparmor_restrict_unprivileged_userns=0; in Docker: run the container with --privileged), or run the \
                 command as root",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(Failure::new(format!("starting a process in a root of its own: {error}"))),
        }
    }

    /// The process's `/`, on this machine.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The function's folder, as the process sees it.
    pub fn task(&self) -> &Path {
        &self.task
    }

    /// The function's folder, on this machine.
    pub fn staged(&self) -> &Path {
        &self.staged
    }

    /// The ordinary bootstrap, as the process sees it.
    pub fn bootstrap(&self) -> &Path {
        &self.bootstrap
    }

    /// The bootstrap that the restorer has to be told of: on Lambda it knows the place.
    pub fn named_bootstrap(&self) -> Option<&Path> {
        (!self.is_private).then_some(&*self.bootstrap)
    }

    /// Unpacks a function's zip into its folder.
    pub fn add(&self, package: &Path) -> Result<(), Failure> {
        unzip(package, &self.staged)
    }

    /// A folder for files that processes in this place write, on this machine.
    pub fn scratch(&self, name: &str) -> PathBuf {
        if self.is_private { self.root.join("tmp").join(name) } else { self.temporary.path().join(name) }
    }

    /// A path of this machine, as the process sees it.
    pub fn inside(&self, path: &Path) -> PathBuf {
        if self.is_private {
            Path::new("/").join(path.strip_prefix(&self.root).unwrap_or(path))
        } else {
            path.to_owned()
        }
    }

    /// Folders whose files are the same wherever the checkpoint is restored. On Lambda the C library is another.
    pub fn referenced(&self) -> Vec<PathBuf> {
        if self.is_private { vec![OPT.into(), self.task.clone()] } else { vec!["/".into()] }
    }

    /// A path that the process sees, on this machine.
    pub fn outside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A command in this place, with this environment and nothing else.
    pub fn command(&self, program: &Path, arguments: &[OsString], environment: &[(OsString, OsString)]) -> Command {
        let mut command = if self.is_private {
            let mut command = Command::new(env::current_exe().unwrap_or_else(|_| "whipsnake".into()));
            command.arg(enter::VERB).arg(&self.root).arg(program);
            command
        } else {
            let mut command = Command::new(program);
            command.current_dir(&self.task);
            command
        };
        command
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

/// Unpacks a zip as Lambda does: later ones win.
fn unzip(package: &Path, folder: &Path) -> Result<(), Failure> {
    let failed = |reason: String| Failure::new(format!("unpacking {}: {reason}", package.display()));
    let file = fs::File::open(package).map_err(|error| failed(error.to_string()))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
    archive.extract(folder).map_err(|error| failed(error.to_string()))
}

//! A hidden verb for the test suites: becomes a bootstrap that continues from a checkpoint, made just now from this process's own
//! environment. So every test of the bootstrap is a test of checkpoints as well.

use std::{
    env, fs,
    fs::OpenOptions,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use whipsnake_checkpoint::{
    compose::{Dump, Options},
    process::{DUMP_ONLY, Kind},
};
use whipsnake_checkpoint_format::{FILE, FOLDER};

use super::{
    Wanted, dump_arguments,
    files::{self, RESTORER},
};
use crate::failure::Failure;

/// Where a line goes for each start: `restored`, or why not.
const LOG: &str = "WHIPSNAKE_CHECKPOINT_LOG";

/// How the names of the folders with checkpoints begin.
const PREFIX: &str = "whipsnake-now-";

/// Checkpoints that are older belong to tests that have ended.
const LONGEST_TEST: Duration = Duration::from_secs(120);

/// Starts a bootstrap from a checkpoint that is made for it
#[derive(clap::Args)]
#[command(hide = true)]
pub struct FromNow {
    #[arg(value_enum)]
    kind: Wanted,
    bootstrap: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<std::ffi::OsString>,
}

impl FromNow {
    /// Comes back only if that fails.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let log = env::var_os(LOG);
        let program = match self.arguments.is_empty().then(|| self.make()) {
            Some(Ok(program)) => {
                note(log.as_deref(), "restored");
                program
            }
            Some(Err(reason)) => {
                note(log.as_deref(), &reason.to_string());
                self.bootstrap.clone()
            }
            None => self.bootstrap.clone(),
        };
        let error = Command::new(&program).args(&self.arguments).env_remove(LOG).exec();
        Err(Failure::new(format!("starting {}: {error}", program.display())))
    }

    /// The restorer, with a checkpoint in its folder.
    fn make(&self) -> Result<PathBuf, Failure> {
        let failed = |doing: &'static str| move |error: io::Error| Failure::new(format!("{doing}: {error}"));
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir();
        let folder = made.map_err(failed("creating a folder for the checkpoint"))?.keep();
        remove_old(&folder);
        let dump_folder = folder.join("dump");
        let output = Command::new(&self.bootstrap)
            .args(dump_arguments(self.kind, &dump_folder))
            .env_remove(LOG)
            .envs(DUMP_ONLY.iter().map(|name| (*name, "1")))
            .stdin(Stdio::null())
            .output()
            .map_err(failed("starting the bootstrap"))?;
        if !output.status.success() {
            return Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " | ")));
        }
        // A test expects once what the function prints when it is imported. With `imports` the restored process imports it again.
        if self.kind.kind() == Kind::Init {
            let mut stdout = io::stdout();
            let _ = stdout.write_all(&output.stdout).and_then(|()| stdout.flush());
            let _ = io::stderr().write_all(&output.stderr);
        }
        let bootstrap = fs::canonicalize(&self.bootstrap).map_err(failed("looking for the bootstrap"))?;
        files::install(&folder, &files::programs(Some(&bootstrap))?)?;
        let options = Options { root: "/".into(), referenced: vec!["/".into()], ..Options::default() };
        let composed =
            Dump::read(&dump_folder).and_then(|dump| dump.compose(&options, &folder.join(FOLDER).join(FILE)));
        composed.map_err(|error| Failure::new(error.to_string()))?;
        let _ = fs::remove_dir_all(&dump_folder);
        Ok(folder.join(RESTORER))
    }
}

/// Removes the checkpoints of earlier tests. A process cannot remove its own: it needs it as long as it lives, and becomes another program.
fn remove_old(own: &Path) {
    let siblings = own.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    for sibling in siblings.filter(|sibling| sibling.file_name().to_string_lossy().starts_with(PREFIX)) {
        let age = sibling.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > LONGEST_TEST) {
            let _ = fs::remove_dir_all(sibling.path());
        }
    }
}

fn note(log: Option<&std::ffi::OsStr>, line: &str) {
    let opened = log.and_then(|log| OpenOptions::new().create(true).append(true).open(log).ok());
    if let Some(mut log) = opened {
        let _ = log.write_all(format!("{line}\n").as_bytes());
    }
}

//! A hidden verb: becomes another program in a root with Lambda's places. A process of its own, because namespaces are for processes with one
//! thread.

use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use whipsnake_checkpoint::private_root;

use crate::failure::Failure;

/// Its name.
pub const VERB: &str = "enter-root";

/// Runs a program in a root of its own
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Enter {
    root: PathBuf,
    program: OsString,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Enter {
    /// Comes back only if that fails.
    pub fn run(self) -> Result<std::process::ExitCode, Failure> {
        private_root::enter(&self.root).map_err(|error| Failure::new(error.to_string()))?;
        let error = Command::new(&self.program).args(&self.arguments).exec();
        Err(Failure::new(format!("starting {}: {error}", self.program.display())))
    }
}

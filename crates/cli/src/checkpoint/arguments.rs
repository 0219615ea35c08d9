//! The options that ask for a checkpoint.

use std::{collections::BTreeMap, path::PathBuf};

use whipsnake_checkpoint::process::Kind;

use super::Processors;
use crate::{deployment::architecture::Architecture, display, failure::Failure, function};

/// What kind of checkpoint is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// The third-party modules that the function imports; its own code runs after the restore
    Imports,
    /// The whole init phase, as with SnapStart: the function's own code has run when a copy starts
    Init,
    /// `imports`, and a package without a checkpoint where none can be made
    Try,
}

impl Wanted {
    /// How much of the function is in it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Imports | Self::Try => Kind::Imports,
            Self::Init => Kind::Init,
        }
    }
}

/// Whether a checkpoint is made, and for what.
#[derive(clap::Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct CheckpointArguments {
    /// Adds a memory image of the initialized process, from which each cold start continues; needs --handler
    #[arg(long, value_name = "KIND", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "imports", requires = "handler")]
    pub checkpoint: Option<Wanted>,
    /// A layer that the function runs with, as a zip: the one of `whipsnake layer`, and others in Lambda's order
    #[arg(long = "layer", value_name = "FILE", requires = "checkpoint")]
    pub layers: Vec<PathBuf>,
    /// Makes the checkpoint for the unpacked folder and the bootstrap of this machine, not for Lambda
    #[arg(long, requires = "checkpoint", requires = "unpacked", conflicts_with = "layers")]
    pub here: bool,
    /// The processors that the checkpoint runs on [default: x86-64-v3 for Lambda, native with --here and on arm64]
    #[arg(long, value_name = "PROCESSORS", value_enum, requires = "checkpoint")]
    pub cpu: Option<Processors>,
    /// A variable of the function's; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = function::variable, requires = "checkpoint")]
    environment: Vec<(String, String)>,
    /// A file of NAME=VALUE lines; --env wins over it
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    env_file: Option<PathBuf>,
}

impl CheckpointArguments {
    /// What is asked for and can be made here. Fails if it is for another processor than this machine's.
    pub fn possible(&self, architecture: Architecture) -> Result<Option<Wanted>, Failure> {
        let here = Architecture::of_this_machine();
        let Some(wanted) = self.checkpoint.filter(|_| here.as_ref().ok() != Some(&architecture)) else {
            return Ok(self.checkpoint);
        };
        let machine = std::env::consts::ARCH;
        let failure = Failure::new(format!(
            "a checkpoint for {architecture} is the memory of a process that has run there, and this machine is {machine}: run the \
             command on an {architecture} machine{}, or pack without --checkpoint",
            if architecture == Architecture::Arm64 {
                ", such as an instance with Graviton or a runner of your CI for arm64"
            } else {
                ""
            },
        ));
        if wanted != Wanted::Try {
            return Err(failure);
        }
        display::say(&failure.to_string());
        Ok(None)
    }

    /// The function's variables.
    pub fn environment(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut environment = self.env_file.as_deref().map(function::read_variables).transpose()?.unwrap_or_default();
        environment.extend(self.environment.iter().cloned());
        Ok(environment)
    }
}

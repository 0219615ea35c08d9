//! `whipsnake completions`: what a shell has to know to complete our arguments.

use std::process::ExitCode;

use clap::{CommandFactory, ValueEnum};
use clap_complete::aot::{Bash, Fish, Generator, Zsh};

use crate::{Arguments, display, failure::Failure};

const WHERE: &str = "Where they go:
  bash  ~/.local/share/bash-completion/completions/whipsnake
  zsh   _whipsnake in a folder of $fpath
  fish  ~/.config/fish/completions/whipsnake.fish";

/// Prints what a shell has to know to complete this command's arguments
#[derive(clap::Args)]
#[command(after_help = WHERE)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    /// Prints them.
    pub fn run(self) -> Result<ExitCode, Failure> {
        display::print(&match self.shell {
            Shell::Bash => generated(Bash)?,
            Shell::Zsh => generated(Zsh)?,
            Shell::Fish => generated(Fish)?,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn generated(shell: impl Generator) -> Result<String, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "whipsnake", &mut script);
    String::from_utf8(script).map_err(|error| Failure::new(format!("writing the completions: {error}")))
}

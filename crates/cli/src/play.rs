//! `whipsnake play`: a script in, a recording out.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use whipsnake_emulator::{Recording, Script, Scripts, play};

use crate::failure::Failure;

/// Runs a command against a scripted Runtime API and prints, as JSON, everything it did.
///
/// Exits with 0 whatever the command did, and with 2 when the script cannot be played.
#[derive(clap::Args)]
pub struct Play {
    /// The script, or an array of scripts, as JSON; - reads it from standard input.
    script: PathBuf,
    /// The command to run, instead of the script's own.
    #[arg(last = true)]
    command: Vec<String>,
}

impl Play {
    /// Plays the script and prints the recording.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let name = self.script.display().to_string();
        let json = self.read().map_err(|error| Failure::new(format!("reading the script {name}: {error}")))?;
        let scripts =
            Scripts::parse(&json).map_err(|error| Failure::new(format!("reading the script {name}: {error}")))?;
        let json = match scripts {
            Scripts::One(script) => serde_json::to_vec(&self.record(*script)?),
            Scripts::Several(scripts) => {
                let recordings: Result<Vec<_>, _> = scripts.into_iter().map(|script| self.record(script)).collect();
                serde_json::to_vec(&recordings?)
            }
        };
        let json = json.map_err(|error| Failure::new(format!("writing the recording as JSON: {error}")))?;
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(&json)
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush())
            .map_err(Failure::printing)?;
        Ok(ExitCode::SUCCESS)
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        if self.script.as_os_str() == "-" {
            let mut json = Vec::new();
            io::stdin().lock().read_to_end(&mut json)?;
            Ok(json)
        } else {
            std::fs::read(&self.script)
        }
    }

    fn record(&self, mut script: Script) -> Result<Recording, Failure> {
        if !self.command.is_empty() {
            script.command.clone_from(&self.command);
        }
        play(script).map_err(|error| Failure::new(error.to_string()))
    }
}

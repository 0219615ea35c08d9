//! `whipsnake events`: sample events of AWS's services, by name and without a network.

mod samples;

use std::{io, path::PathBuf, process::ExitCode};

use clap::Subcommand;

use crate::{atomic_write, display, event::Changes, failure::Failure};
pub use samples::{Origin, SAMPLES, Sample};

/// Lists, shows and writes sample events of AWS's services
#[derive(clap::Args)]
pub struct Events {
    #[command(subcommand)]
    verb: EventsVerb,
}

#[derive(Subcommand)]
enum EventsVerb {
    /// Lists the sample events
    List {
        /// Only those whose name or description has this word
        word: Option<String>,
    },
    /// Prints a sample event
    Show {
        /// Its name, or another name of it
        name: String,
        #[command(flatten)]
        changes: Changes,
    },
    /// Writes a sample event to a file
    New {
        /// Its name, or another name of it
        name: String,
        /// The file to write [default: the name and .json]
        file: Option<PathBuf>,
        #[command(flatten)]
        changes: Changes,
        /// Replaces a file that is there
        #[arg(long)]
        force: bool,
    },
}

impl Events {
    /// Lists, prints or writes.
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            EventsVerb::List { word } => list(&word.unwrap_or_default())?,
            EventsVerb::Show { name, changes } => display::print(&changed(named(&name)?, &changes)?)?,
            EventsVerb::New { name, file, changes, force } => {
                let sample = named(&name)?;
                let file = file.unwrap_or_else(|| format!("{}.json", sample.name).into());
                let event = changed(sample, &changes)?;
                let written =
                    if force { atomic_write::replace(&file, event) } else { atomic_write::create(&file, event) };
                written.map_err(|error| {
                    let file = file.display();
                    Failure::new(match error.kind() {
                        io::ErrorKind::AlreadyExists => {
                            format!("{file} exists; --force replaces it, or name another file")
                        }
                        _ => format!("writing the event to {file}: {error}"),
                    })
                })?;
                display::say(&format!("wrote {} ({})", file.display(), sample.about));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The sample of that name, or the nearest to ask for instead.
pub fn named(name: &str) -> Result<&'static Sample, Failure> {
    let found = SAMPLES.iter().find(|sample| sample.names().any(|known| known == name));
    found.ok_or_else(|| {
        let near = SAMPLES.iter().filter(|sample| is_about(sample, name)).map(|sample| sample.name);
        let near: Vec<_> = near.collect();
        let near = if near.is_empty() { String::new() } else { format!("there are {}; ", near.join(", ")) };
        Failure::new(format!("there is no sample event {name}; {near}`whipsnake events list` has all of them"))
    })
}

fn list(word: &str) -> Result<(), Failure> {
    let found: Vec<_> = SAMPLES.iter().filter(|sample| is_about(sample, word)).collect();
    let widest = found.iter().map(|sample| sample.name.len()).max();
    let Some(widest) = widest else {
        return Err(Failure::new(format!("no sample event is about {word}; `whipsnake events list` has all of them")));
    };
    let mut listed = String::new();
    for sample in found {
        let names =
            if sample.aliases.is_empty() { String::new() } else { format!(" (or {})", sample.aliases.join(", ")) };
        let origin = if sample.origin == Origin::SamCli { " *" } else { "" };
        listed.push_str(&format!("{:<widest$}  {}{names}{origin}\n", sample.name, sample.about));
    }
    display::print(&listed)?;
    display::say(
        "show one with `whipsnake events show NAME`, send it with `whipsnake invoke --example NAME`. Written for whipsnake after the \
         shapes that AWS documents, or (*) by AWS SAM CLI, Copyright Amazon.com, Inc. or its affiliates; all Apache-2.0",
    );
    Ok(())
}

fn is_about(sample: &Sample, word: &str) -> bool {
    let word = word.to_lowercase();
    sample.about.to_lowercase().contains(&word) || sample.names().any(|name| name.contains(&word))
}

fn changed(sample: &Sample, changes: &Changes) -> Result<String, Failure> {
    let event = changes.apply(sample.json.as_bytes().to_vec())?;
    let mut text = String::from_utf8(event).map_err(|error| Failure::new(format!("changing the event: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

//! Adds a checkpoint to a package.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use whipsnake_emulator::Function;

use super::{CheckpointArguments, Maker, Processors, Wanted, place::Place, report::Report};
use crate::{
    deployment::contents::{Contents, Entry, Part},
    failure::Failure,
    function, python,
};

/// The region that functions are in whose variables name none.
const REGION: &str = "us-east-1";

/// The function's memory in megabytes where its variables name none, as Lambda's default.
const MEMORY: u32 = 128;

/// Makes the checkpoint and adds it to the contents. `write` writes them into a folder as Lambda unpacks them; `here` is that folder where
/// the checkpoint is for this machine.
pub fn add(
    contents: &mut Contents,
    arguments: &CheckpointArguments,
    wanted: Wanted,
    handler: &str,
    here: Option<&Path>,
    write: impl Fn(&Contents, &Path) -> Result<(), Failure>,
) -> Result<Report, Failure> {
    let environment = arguments.environment()?;
    let (place, library_folder, python) = match here {
        Some(folder) => {
            let python = env::var("WHIPSNAKE_PYTHON").ok();
            let library_folder = python.as_deref().map(python::shared_library_folder).transpose()?;
            (Place::here(folder.to_owned(), function::find_bootstrap(None)?)?, library_folder, python)
        }
        None => (Place::lambda(&arguments.layers)?, None, None),
    };
    write(contents, place.staged())?;
    let function = describe(&place, handler, environment, library_folder, python);
    let processors = arguments.cpu.unwrap_or_else(|| Processors::usual(here.is_some()));
    let made = Maker { place, wanted, processors, function: &function }.make();
    if let Some(folder) = here {
        remove_others(folder, contents)
            .map_err(|error| Failure::new(format!("tidying up {}: {error}", folder.display())))?;
    }
    let (files, report) = made?;
    for file in files {
        let entry = if file.is_program { Entry::Program(file.bytes) } else { Entry::File(file.bytes) };
        if !contents.add(file.path.as_str(), Part::Checkpoint, entry) {
            return Err(Failure::new(format!(
                "the function has a file {} of its own, which the checkpoint needs: rename it",
                file.path
            )));
        }
    }
    Ok(report)
}

fn describe(
    place: &Place,
    handler: &str,
    mut environment: BTreeMap<String, String>,
    library_folder: Option<PathBuf>,
    python: Option<String>,
) -> Function {
    environment.extend(python.map(|python| (String::from("WHIPSNAKE_PYTHON"), python)));
    let memory = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|memory| memory.parse().ok());
    Function {
        name: environment.get("AWS_LAMBDA_FUNCTION_NAME").cloned().unwrap_or_else(|| String::from("function")),
        handler: handler.to_owned(),
        task: place.task().to_owned(),
        bootstrap: place.bootstrap().to_owned(),
        memory: memory.unwrap_or(MEMORY),
        init_timeout: None,
        timeout: Duration::from_secs(300),
        region: environment.get("AWS_REGION").cloned().unwrap_or_else(|| String::from(REGION)),
        environment,
        library_folder,
    }
}

/// Removes what the process and this command have put into the folder: bytecode, the restorer, the checkpoint.
fn remove_others(folder: &Path, contents: &Contents) -> io::Result<()> {
    let kept: BTreeSet<PathBuf> = contents.0.keys().map(|path| folder.join(path)).collect();
    let list = folder.join(crate::pack::LIST);
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if !kept.contains(&path) && path != list {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

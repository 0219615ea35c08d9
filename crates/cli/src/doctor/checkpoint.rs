//! The function's checkpoint: what it is for, and whether this machine can restore it; or whether the function can have one.

use std::{
    fmt::Write,
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use whipsnake_checkpoint::{describe::Description, process::Kind};
use whipsnake_checkpoint_format::{FILE, FOLDER, hash};
use whipsnake_emulator::{Checkpoint, Emulator, Function, NOT_RESTORED};
use zip::ZipArchive;

use crate::{
    checkpoint::{self, Maker, Place, Processors, Start, Wanted},
    collected::Collected,
    deployment::sizes,
    display,
    failure::Failure,
    function::Configuration,
    progress::Progress,
};

/// Describes the checkpoint in the function's folder or zip, if there is one.
pub fn describe(configuration: &Configuration, layers: &Path, told: &mut String) {
    let task = configuration.task();
    let read = if task.is_file() { from_zip(task, &format!("{FOLDER}/{FILE}")) } else { from_folder(configuration) };
    let Some(bytes) = read else {
        if task.is_file() {
            _ = writeln!(told, "\nCheckpoint\n  none in {}", task.display());
        }
        return;
    };
    _ = writeln!(told, "\nCheckpoint in {}", task.display());
    match Description::read(&bytes) {
        Ok(description) => tell(&description, bytes.len() as u64, layers, told),
        Err(invalid) => _ = writeln!(told, "  it cannot be restored: {invalid}"),
    }
}

fn tell(description: &Description, size: u64, layers: &Path, told: &mut String) {
    let kind = match description.kind {
        Kind::Imports => "imports",
        Kind::Init => "init",
    };
    _ = writeln!(told, "  {}: {}, {}", kind, checkpoint::contents(description.kind), sizes::of(size));
    let (path, length, sum) = &description.bootstrap;
    _ = writeln!(told, "  for the bootstrap {path}, {}: {}", sizes::of(*length), holder(path, *sum, layers));
    match missing_feature(description) {
        Some(true) => told.push_str("  this processor lacks a feature of the processor that it was made for\n"),
        Some(false) => told.push_str("  this processor has every feature that it needs\n"),
        None => {}
    }
    let own = |names: &[String]| -> Vec<String> {
        names.iter().filter(|name| !checkpoint::is_read_always(name)).cloned().collect()
    };
    for (names, what) in
        [(own(&description.set), "must have the value it had"), (own(&description.unset), "must not be set")]
    {
        if !names.is_empty() {
            _ = writeln!(told, "  each of these variables {what}: {}", names.join(", "));
        }
    }
}

/// Where the bootstrap is that the checkpoint belongs to.
fn holder(path: &str, sum: u64, layers: &Path) -> String {
    if let Ok(bytes) = fs::read(path) {
        let is_same = hash(&bytes) == sum;
        return String::from(if is_same { "that of this machine" } else { "this machine has another one there" });
    }
    match layer_with(sum, layers) {
        Some(layer) => format!("that of {}", layer.display()),
        None => format!("no layer in {} has it", layers.display()),
    }
}

/// The layer with this bootstrap.
fn layer_with(sum: u64, layers: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(layers).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut zips = entries.filter(|path| path.extension().is_some_and(|extension| extension == "zip"));
    zips.find(|zip| from_zip(zip, "bootstrap").is_some_and(|bytes| hash(&bytes) == sum))
}

/// Whether this processor lacks a feature. Only a start finds that out on arm64.
fn missing_feature(description: &Description) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    {
        use whipsnake_checkpoint_format::cpu;
        Some(cpu::missing(&description.features, &cpu::features()).is_some())
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = description;
        None
    }
}

fn from_folder(configuration: &Configuration) -> Option<Vec<u8>> {
    fs::read(configuration.checkpoint()?).ok()
}

fn from_zip(zip: &Path, name: &str) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(fs::read(zip).ok()?)).ok()?;
    let mut bytes = Vec::new();
    archive.by_name(name).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Starts the function from its checkpoint; or makes one for a function without, and throws it away.
pub fn tried(function: &Function, bootstrap: &Path, has_checkpoint: bool) -> Result<String, Failure> {
    if has_checkpoint {
        return restored(function);
    }
    let mut told =
        format!("\nCheckpoint\n  none in {}; `whipsnake pack --checkpoint` adds one\n", function.task.display());
    for (wanted, name) in [(Wanted::Imports, "imports"), (Wanted::Init, "init")] {
        let place = Place::here(function.task.clone(), bootstrap.to_owned())?;
        let mut function = Function { bootstrap: bootstrap.to_owned(), ..function.clone() };
        function.environment.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
        let outcome = Maker { place, wanted, processors: Processors::Native, function: &function }.try_out();
        let said = match outcome {
            Ok(()) => "can be made".to_owned(),
            Err(failure) => failure.to_string().replace('\n', "\n    "),
        };
        _ = writeln!(told, "  --checkpoint={name}: {said}");
    }
    Ok(told)
}

/// Starts the function of a zip in a root with Lambda's folders, with the layer that its checkpoint belongs to.
pub fn tried_on_lambda(configuration: &Configuration, handler: String, layers: &Path) -> Result<String, Failure> {
    let package = configuration.task();
    let checkpoint = from_zip(package, &format!("{FOLDER}/{FILE}"));
    let Some(Ok(description)) = checkpoint.map(|bytes| Description::read(&bytes)) else { return Ok(String::new()) };
    let Some(layer) = layer_with(description.bootstrap.2, layers) else { return Ok(String::new()) };
    let place = Place::lambda(std::slice::from_ref(&layer))?;
    place.add(package)?;
    let program = place.task().join(checkpoint::RESTORER);
    let function = configuration.function_at(handler, place.task().to_owned(), place.bootstrap().to_owned())?;
    let start = Start::of(&place, &program, &function, &[])?;
    if start.is_restored() {
        return Ok(format!("  this machine can restore it, with {} in /opt\n", layer.display()));
    }
    let log = start.output();
    let reason = log.lines().find_map(|line| line.strip_prefix(NOT_RESTORED)).unwrap_or(&log);
    Ok(format!("  this machine cannot restore it, with {} in /opt: {reason}\n", layer.display()))
}

fn restored(function: &Function) -> Result<String, Failure> {
    let emulator = Emulator::new(function.clone(), Box::new(Collected::default())).during_init(Progress::of_start);
    let fault = emulator.start().map_err(|error| Failure::new(error.to_string()))?;
    let checkpoint = emulator.checkpoint();
    emulator.shut_down();
    Ok(match (checkpoint, fault) {
        (Some(Checkpoint::Restored), _) => "  this machine can restore it\n".to_owned(),
        (Some(Checkpoint::NotUsed(reason)), _) => format!("  this machine cannot restore it: {reason}\n"),
        (None, Some(fault)) => format!("  the function does not start: {}\n", display::headline(&fault)),
        (None, None) => {
            "  it was not used: WHIPSNAKE_CHECKPOINT turns it off, or --bootstrap names another program\n".to_owned()
        }
    })
}

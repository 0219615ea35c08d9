//! Reading events and writing answers, beside the JSON libraries of Python: done by an example of whipsnake-marshal, because
//! nothing makes ours importable.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{events, folder::Folders, results::Marshalling};
use crate::{failure::Failure, python::Interpreter};

/// Runs the example on each event. `searched` are folders with packages; `milliseconds` is how long one figure is measured.
pub fn measure(
    example: &Path,
    interpreter: &Interpreter,
    searched: &[PathBuf],
    milliseconds: u64,
    folders: &Folders,
) -> Result<Vec<Marshalling>, Failure> {
    let failed =
        |problem: String| Failure::new(format!("comparing JSON libraries by {}: {problem}", example.display()));
    let events = events::marshalled();
    let mut files = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let file = folders.file(&format!("event-{position}.json"));
        std::fs::write(&file, &event.payload).map_err(|error| failed(error.to_string()))?;
        files.push(file);
    }
    let libraries =
        std::env::join_paths(&interpreter.library_directories).map_err(|error| failed(error.to_string()))?;
    let path = std::env::join_paths(searched).map_err(|error| failed(error.to_string()))?;
    // What the interpreter's own program would know: where its library and its modules are.
    let home = interpreter.executable.ancestors().nth(2).unwrap_or(Path::new("/"));
    let output = Command::new(example)
        .arg(milliseconds.to_string())
        .args(&files)
        .env_clear()
        .env("LD_LIBRARY_PATH", libraries)
        .env("PYTHONHOME", home)
        .env("PYTHONPATH", path)
        .env("AWS_EXECUTION_ENV", format!("AWS_Lambda_python{}", interpreter.minor_version()))
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let measured: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if measured.len() != events.len() {
        return Err(failed(format!("it told {} events of {}", measured.len(), events.len())));
    }
    let figures = |value: &Value, direction: &str| {
        let by_name = value[direction].as_object().into_iter().flatten();
        by_name.filter_map(|(name, ns)| Some((name.clone(), ns.as_f64()?))).collect()
    };
    Ok(events
        .iter()
        .zip(&measured)
        .map(|(event, value)| Marshalling {
            event: event.name.to_owned(),
            bytes: event.payload.len(),
            decode_ns: figures(value, "decode"),
            encode_ns: figures(value, "encode"),
        })
        .collect())
}

//! The bytecode of a package's modules.

use sha2::{Digest, Sha256};

use crate::{
    deployment::{
        archive::Moment,
        bytecode::{self, Bytecode, Check, Source},
        contents::{Contents, Entry, Part},
        module_archive,
    },
    display,
    failure::Failure,
    python::Interpreter,
};

/// Only generated sources are larger.
const LARGE_SOURCE: usize = 4 << 20;

/// What CPython needs to compile a byte of tables: 4.4 GB for 33 MB.
const MEMORY_OF_A_BYTE: f64 = 135.0;

/// Adds the bytecode of all modules, and returns the time that all files are to have: it follows from the contents, so that a file
/// of another time is one that was changed or unpacked otherwise.
pub fn add(
    contents: &mut Contents,
    interpreter: &Interpreter,
    how: Bytecode,
    task_root: &str,
) -> Result<Moment, Failure> {
    let modified = moment(contents, interpreter);
    let mut modules = Vec::new();
    for (path, (_, entry)) in &contents.0 {
        if let (Entry::File(text) | Entry::Program(text), true) = (entry, path.ends_with(".py")) {
            modules.push((path.clone(), text.as_slice()));
        }
    }
    if how == Bytecode::None || modules.is_empty() {
        return Ok(modified);
    }
    for (path, text) in modules.iter().filter(|(_, text)| text.len() > LARGE_SOURCE) {
        display::say(&format!(
            "compiling {path} ({:.1} MB) takes up to {:.1} GB of memory: keep data in a file that Python does not compile",
            text.len() as f64 / f64::from(1 << 20),
            text.len() as f64 * MEMORY_OF_A_BYTE / f64::from(1 << 30),
        ));
    }
    let root = task_root.trim_end_matches('/');
    let sources: Vec<Source<'_>> =
        modules.iter().map(|(path, text)| Source { path: format!("{root}/{path}"), text }).collect();
    let compiled = bytecode::compile(interpreter, &sources, Check::Hash)?;
    let archive =
        how.has_archive().then(|| module_archive::write(&modules, &compiled, interpreter, modified)).transpose()?;
    let paths: Vec<String> = modules.into_iter().map(|(path, _)| path).collect();
    if how.has_files() {
        for (path, bytecode) in paths.iter().zip(compiled) {
            if let (Some(path), Some(bytecode)) = (bytecode::path(path, &interpreter.cache_tag), bytecode) {
                contents.add(path, Part::CompiledModules, Entry::File(bytecode));
            }
        }
    }
    if let Some(archive) = archive {
        contents.add(module_archive::PATH, Part::ModuleArchive, Entry::File(archive));
    }
    Ok(modified)
}

/// A time that another package is most unlikely to have.
fn moment(contents: &Contents, interpreter: &Interpreter) -> Moment {
    let mut sum = Sha256::new();
    sum.update(interpreter.cache_tag.as_bytes());
    for (path, (_, entry)) in &contents.0 {
        if let Entry::File(bytes) | Entry::Program(bytes) = entry {
            sum.update((path.len() as u64).to_le_bytes());
            sum.update(path);
            sum.update((bytes.len() as u64).to_le_bytes());
            sum.update(bytes);
        }
    }
    let sum: [u8; 32] = sum.finalize().into();
    Moment::from_number(sum.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

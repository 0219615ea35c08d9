//! Takes symbols and debugging information out of ELF files, by the `strip` of the machine's compiler.

use std::{
    fs,
    process::{Command, Stdio},
};

use super::architecture::Architecture;
use crate::{cleanup::TemporaryFolder, failure::Failure};

/// The file without what nobody needs at run time.
pub fn strip(name: &str, file: &[u8], architecture: Architecture) -> Result<Vec<u8>, Failure> {
    let folder = TemporaryFolder::new("strip")?;
    let scratch = folder.path().join("file");
    let failed = |what: &str| Failure::new(format!("stripping {name}: {what}"));
    fs::write(&scratch, file)
        .map_err(|error| failed(&error.to_string()))
        .and_then(|()| run(&scratch, architecture).map_err(|what| failed(&what)))
        .and_then(|()| fs::read(&scratch).map_err(|error| failed(&error.to_string())))
}

fn run(file: &std::path::Path, architecture: Architecture) -> Result<(), String> {
    // The plain one knows only its own machine's files.
    let cross = format!("{}-strip", architecture.triplet());
    for program in ["strip", &cross, "llvm-strip"] {
        let output = Command::new(program).arg("--strip-unneeded").arg(file).stdin(Stdio::null()).output();
        if output.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
    }
    Err(format!("there is no `strip` for {architecture}: install binutils, {cross} or llvm-strip"))
}

//! The files that a checkpoint adds to a function's package.

use std::{env, fs, io, os::unix::fs::PermissionsExt, path::Path};

use whipsnake_checkpoint_format::{BOOTSTRAP, FOLDER};

use crate::failure::Failure;

/// The name of the restorer in a package. Lambda prefers the function's `bootstrap` to the layer's.
pub const RESTORER: &str = "bootstrap";

/// A file of the package.
pub struct File {
    /// Below the function's folder.
    pub path: String,
    pub bytes: Vec<u8>,
    pub is_program: bool,
}

/// What a start needs beside the checkpoint: the restorer, and the name of the bootstrap where that is not the layer's.
pub fn programs(named_bootstrap: Option<&Path>) -> Result<Vec<File>, Failure> {
    let mut files = vec![File { path: RESTORER.to_owned(), bytes: restorer()?, is_program: true }];
    if let Some(bootstrap) = named_bootstrap {
        let bytes = bootstrap.as_os_str().as_encoded_bytes().to_owned();
        files.push(File { path: format!("{FOLDER}/{BOOTSTRAP}"), bytes, is_program: false });
    }
    Ok(files)
}

/// Puts files into the function's folder.
pub fn install(folder: &Path, files: &[File]) -> Result<(), Failure> {
    for file in files {
        let path = folder.join(&file.path);
        let write = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, &file.bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(if file.is_program { 0o755 } else { 0o644 }))
        };
        write().map_err(|error| Failure::new(format!("writing {}: {error}", path.display())))?;
    }
    fs::create_dir_all(folder.join(FOLDER))
        .map_err(|error| Failure::new(format!("creating {}: {error}", folder.join(FOLDER).display())))
}

/// The restorer's bytes, from the file beside this command.
fn restorer() -> Result<Vec<u8>, Failure> {
    let command = env::current_exe().and_then(fs::canonicalize);
    let path =
        command.map_err(|error| Failure::new(format!("looking for this command: {error}")))?.with_file_name("restorer");
    fs::read(&path).map_err(|error| {
        Failure::new(format!(
            "reading the program that restores checkpoints, {}: {error}: run `make build`",
            path.display()
        ))
    })
}

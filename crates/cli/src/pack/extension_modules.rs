//! Whether Lambda can load what is in the package and not Python.

use crate::{
    deployment::{
        architecture::Architecture,
        contents::{Contents, Entry},
        elf::Elf,
        image,
    },
    failure::Failure,
};

/// Refuses extension modules for another processor or a newer C library. Other libraries are let through: packages bring some for
/// systems that they are not on.
pub fn check(contents: &Contents, architecture: Architecture) -> Result<(), Failure> {
    for (path, (_, entry)) in &contents.0 {
        let (Entry::File(bytes) | Entry::Program(bytes)) = entry else { continue };
        if !is_extension_module(path) {
            continue;
        }
        if path.ends_with("-linux-musl.so") {
            return Err(refused(path, "it is for musl, and Lambda has glibc", architecture));
        }
        let problem = match Elf::read(bytes, architecture) {
            Err(reason) => reason,
            Ok(None) => "it is no Linux library".into(),
            Ok(Some(elf)) => match elf.too_new() {
                Some(needed) => format!("it needs {}, and {} is older", needed.version, image::NAME),
                None => continue,
            },
        };
        return Err(refused(path, &problem, architecture));
    }
    Ok(())
}

fn refused(path: &str, problem: &str, architecture: Architecture) -> Failure {
    Failure::new(format!(
        "{path} cannot be loaded on Lambda: {problem}; install its package for {architecture} with --requirements"
    ))
}

/// By the names that import looks for. `.pyd` files and `.so` files with no tag are data as often as not.
fn is_extension_module(path: &str) -> bool {
    path.ends_with(".so") && (path.contains(".cpython-") || path.ends_with(".abi3.so"))
}

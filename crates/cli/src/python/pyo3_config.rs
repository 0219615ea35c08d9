//! The file that tells pyo3 which CPython to link: PYO3_CONFIG_FILE.

use std::{fs, io, path::Path};

use super::library::{Choice, Kind};
use crate::atomic_write;

/// Writes the configuration, unless it is there already: a newer file would have cargo build everything again.
pub fn write(file: &Path, choice: &Choice<'_>) -> io::Result<()> {
    let content = content(choice);
    if fs::read_to_string(file).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    atomic_write::replace(file, content)
}

/// The keys that pyo3 0.28 to 0.30 all read; their `target_abi` follows from the version and the flags.
fn content(Choice { interpreter, library, .. }: &Choice<'_>) -> String {
    let flags: Vec<&str> = [(interpreter.is_free_threaded, "Py_GIL_DISABLED"), (interpreter.is_debug, "Py_DEBUG")]
        .into_iter()
        .filter_map(|(present, flag)| present.then_some(flag))
        .collect();
    let is_shared = library.kind == Kind::Shared;
    let mut content = format!(
        "implementation=CPython\n\
         version={}\n\
         shared={}\n\
         lib_name={}\n\
         lib_dir={}\n\
         executable={}\n\
         pointer_width={}\n\
         build_flags={}\n\
         suppress_build_script_link_lines={}\n",
        interpreter.minor_version(),
        is_shared,
        library.name,
        library.directory.display(),
        interpreter.executable.display(),
        interpreter.pointer_width,
        flags.join(","),
        !is_shared,
    );
    if !is_shared {
        // The whole of it, as extension modules may want what nobody else does. pyo3 would take what is referred to.
        let mut lines = vec![format!("link-lib=static:+whole-archive={}", library.name)];
        lines.extend(interpreter.needs.iter().map(|name| format!("link-lib={name}")));
        let folders = [&library.directory].into_iter().chain(&interpreter.library_directories);
        lines.extend(folders.map(|folder| format!("link-search=native={}", folder.display())));
        content.extend(lines.iter().map(|line| format!("extra_build_script_line=cargo:rustc-{line}\n")));
    }
    content
}

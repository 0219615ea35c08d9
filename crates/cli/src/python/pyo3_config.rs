//! The file that tells pyo3 which CPython to link: PYO3_CONFIG_FILE.

use std::{fs, io, path::Path};

use super::interpreter::Interpreter;

/// Writes the configuration, unless it is there already: a newer file would have cargo build everything again.
pub fn write(file: &Path, interpreter: &Interpreter) -> io::Result<()> {
    let content = content(interpreter);
    if fs::read_to_string(file).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(file, content)
}

/// The keys that pyo3 0.28 to 0.30 all read; their `target_abi` follows from the version and the flags.
fn content(interpreter: &Interpreter) -> String {
    let flags: Vec<&str> = [(interpreter.is_free_threaded, "Py_GIL_DISABLED"), (interpreter.is_debug, "Py_DEBUG")]
        .into_iter()
        .filter_map(|(present, flag)| present.then_some(flag))
        .collect();
    format!(
        "implementation=CPython\n\
         version={}\n\
         shared={}\n\
         lib_name={}\n\
         lib_dir={}\n\
         executable={}\n\
         pointer_width={}\n\
         build_flags={}\n\
         suppress_build_script_link_lines=false\n",
        interpreter.minor_version(),
        interpreter.is_shared,
        interpreter.library,
        interpreter.library_directory.display(),
        interpreter.executable.display(),
        interpreter.pointer_width,
        flags.join(","),
    )
}

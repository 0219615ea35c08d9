//! The modules in a checkpoint.

use super::refusal::Refused;
use crate::init::stdlib_paths::StdlibPaths;
use crate::start::environment::Environment;
use pyo3::prelude::*;
use whipsnake_checkpoint::process::Process;

/// Imports the third-party modules that the function imports, without the function's own.
pub fn import(py: Python<'_>, environment: &Environment, process: &mut Process) -> Result<(), Refused> {
    let handler = environment.handler.as_deref().unwrap_or("");
    let imported = StdlibPaths::find(py, environment).and_then(|places| {
        let module = py.import("whipsnake._checkpoint_modules")?;
        module.call_method1("import_third_party", (places.search_paths.to_vec(), handler))?.extract()
    });
    (process.modules, process.left_out) = imported.map_err(|error: PyErr| Refused::raised(py, &error))?;
    Ok(())
}

/// The files of all modules.
pub fn files(py: Python<'_>) -> PyResult<Vec<String>> {
    py.import("whipsnake._checkpoint")?.call_method0("module_files")?.extract()
}

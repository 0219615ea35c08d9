//! The module archive of `whipsnake pack`: bytecode of the function's modules in one file, mapped into memory.
//!
//! Modules are found as ever: each folder of the function has a `FileFinder` of CPython's own, each module its `SourceFileLoader`,
//! and both are asked where the archive does not have the answer. So the order of `sys.path`, resources, tracebacks and whatever
//! looks at finders and loaders need no thought here.

mod finder;
mod listing;
mod loader;
mod mapped;

use crate::environment::Environment;
use finder::FolderHook;
use mapped::Mapped;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use whipsnake_module_archive::PATH;

/// Lets the function's modules come from its archive, where it has one.
pub fn set_up(py: Python<'_>, environment: &Environment) -> PyResult<()> {
    let Some(root) = environment.task_root.as_deref().filter(|_| environment.uses_archives()) else { return Ok(()) };
    let root = root.trim_end_matches('/');
    let archive = match Mapped::open(py, root) {
        Ok(None) => return Ok(()),
        Ok(Some(archive)) => archive,
        Err(problem) => {
            eprintln!("whipsnake: {root}/{PATH} is not used: {problem}; run `whipsnake pack` again");
            return Ok(());
        }
    };
    let sys = py.import("sys")?;
    // The archive's code has its assertions.
    if sys.getattr("flags")?.getattr("optimize")?.is_truthy()? {
        return Ok(());
    }
    let hook = Py::new(py, FolderHook::new(py, archive)?)?;
    sys.getattr("path_hooks")?.cast_into::<PyList>()?.insert(0, hook)?;
    forget_finders(&sys.getattr("path_importer_cache")?.cast_into::<PyDict>()?, archive)
}

/// What has looked into the function's folders before, for a `sitecustomize`.
fn forget_finders(cache: &Bound<'_, PyDict>, archive: &Mapped) -> PyResult<()> {
    for folder in cache.keys() {
        if folder.extract::<&str>().is_ok_and(|folder| archive.within(folder).is_some()) {
            cache.del_item(folder)?;
        }
    }
    Ok(())
}

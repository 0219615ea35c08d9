//! Module archives: bytecode of many modules in one file, mapped into memory. `whipsnake pack` makes one for a function,
//! `whipsnake layer` for the standard library and for the SDK.
//!
//! CPython's own finders and loaders stay in place: each folder has a `FileFinder`, and each module a `SourceFileLoader`. They handle
//! everything that the archive does not know. So the order of `sys.path`, resources, tracebacks and code that inspects finders and loaders
//! work as always.

mod finder;
mod listing;
mod loader;
mod mapped_archives;

use crate::build_info::BUILD;
use crate::start::environment::Environment;
use finder::FolderHook;
use mapped_archives::{Archives, Place};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Makes modules come from archives, if there are any.
pub fn set_up(py: Python<'_>, environment: &Environment) -> PyResult<()> {
    if !environment.uses_archives() {
        return Ok(());
    }
    let archives = Archives::open(py, &places(environment));
    let sys = py.import("sys")?;
    // The archive's code was compiled with assertions.
    if archives.is_empty() || sys.getattr("flags")?.getattr("optimize")?.is_truthy()? {
        return Ok(());
    }
    let archives: &'static Archives = Box::leak(Box::new(archives));
    let hook = Py::new(py, FolderHook::new(py, archives)?)?;
    sys.getattr("path_hooks")?.cast_into::<PyList>()?.insert(0, hook)?;
    forget_finders(&sys.getattr("path_importer_cache")?.cast_into::<PyDict>()?, archives)
}

fn places(environment: &Environment) -> Vec<Place<'_>> {
    const FUNCTION: &str = "run `whipsnake pack` again";
    const LAYER: &str = "pack the layer again";
    let root = environment.task_root.as_deref().map(|root| root.trim_end_matches('/'));
    let mut places: Vec<Place<'_>> =
        root.map(|root| Place { root, without: None, remedy: FUNCTION }).into_iter().collect();
    if BUILD.home.is_some() {
        // The SDK may be a layer of its own, with its own archive.
        places.push(Place { root: BUILD.site_packages, without: None, remedy: LAYER });
        let without = BUILD.site_packages.rsplit('/').next();
        places.extend(BUILD.standard_library.to_str().ok().map(|root| Place { root, without, remedy: LAYER }));
    }
    places
}

/// Drops the finders that CPython's start or a `sitecustomize` has made for these folders.
fn forget_finders(cache: &Bound<'_, PyDict>, archives: &Archives) -> PyResult<()> {
    for folder in cache.keys() {
        if folder.extract::<&str>().is_ok_and(|folder| archives.cover(folder)) {
            cache.del_item(folder)?;
        }
    }
    Ok(())
}

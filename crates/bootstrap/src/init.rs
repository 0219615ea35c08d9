//! The init phase: makes the process look as the function expects it, then imports the function.

use crate::context::Contexts;
use crate::environment::Environment;
use crate::handler::Handler;
use crate::interpreter::BUILD;
use crate::logging::Log;
use crate::places::Places;
use crate::traceback::Failure;
use crate::{importing, standard_streams};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::fs;
use std::path::Path;

/// Everything the function needs to exist before it is imported.
pub fn prepare(environment: &Environment, log: &Bound<'_, Log>) -> PyResult<Contexts> {
    let py = log.py();
    // SAFETY: attached to the interpreter, here and below.
    let collected = unsafe { ffi::PyGC_Disable() } != 0;
    standard_streams::set_up(py)?;
    let places = Places::find(py, environment)?;
    importing::set_up(log, &places)?;
    set_up_paths(py, environment, &places)?;
    let contexts = Contexts::new(log)?;
    forget_garbage_count(py)?;
    if collected {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    Ok(contexts)
}

/// Puts everything made so far among the old objects, as a collection would, without looking at it: nothing of it can be
/// garbage. A collection just here took 0.2 ms of a start of 9.
fn forget_garbage_count(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("freeze")?;
    gc.call_method0("unfreeze")?;
    Ok(())
}

/// Imports the function.
pub fn import_handler(py: Python<'_>, environment: &Environment) -> Result<Handler, Failure> {
    Handler::find(py, environment.handler.as_deref().unwrap_or(""))
}

/// `sys.path` in the managed runtime's order: the function, layers, then Python's own. With a PYTHONPATH that runtime forgets the
/// layers; here they come after it.
fn set_up_paths(py: Python<'_>, environment: &Environment, places: &Places) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    let mut layers =
        vec![String::from("/opt/python"), format!("/opt/python/lib/python{}/site-packages", BUILD.version)];
    if cfg!(Py_GIL_DISABLED) {
        // What an installer of a free-threaded Python calls it; before the other, which people know from Lambda's pages.
        layers.push(format!("/opt/python/lib/python{}t/site-packages", BUILD.version));
    }
    if let (Some(_), Some(runtime_dir)) = (&environment.whipsnake_python, &environment.runtime_dir) {
        path.insert(0, runtime_dir)?;
    }
    if environment.python_path.is_none() {
        for folder in places.site_packages.iter().rev() {
            path.insert(0, folder)?;
        }
        for folder in &layers {
            path.insert(0, folder)?;
        }
        if let Some(runtime_dir) = &environment.runtime_dir {
            py.import("os")?.getattr("environ")?.set_item("PYTHONPATH", runtime_dir)?;
        }
    } else {
        // Its place is known but where PYTHONHOME names another one.
        let standard_library = path.index(places.search_paths.first()).unwrap_or_else(|_| path.len());
        for folder in &layers {
            path.insert(standard_library, folder)?;
        }
    }
    if let Some(task_root) = &environment.task_root {
        path.insert(0, task_root)?;
    }
    for folder in environment.task_root.iter().chain(layers.iter().rev()).filter(|folder| has_path_files(folder)) {
        py.import("site")?.call_method1("addsitedir", (folder,))?;
    }
    Ok(())
}

/// Whether a folder has `.pth` files. `site.addsitedir` would find out too, at the price of looking at all of `sys.path`.
fn has_path_files(folder: &str) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| Path::new(&entry.file_name()).extension().is_some_and(|kind| kind == "pth"))
        })
    })
}

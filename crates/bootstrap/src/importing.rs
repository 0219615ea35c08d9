//! How the function finds the modules that the managed runtime has imported before it.
//!
//! That runtime is written in Python, so a good part of the standard library is in `sys.modules` when the function starts, and
//! a file of the function's own that happens to be called `queue.py` or `types.py` is never seen. We import next to nothing;
//! this finder makes those names mean the standard library all the same. It also spares them the search through the
//! function's and the layers' folders, and it is the place where `logging` gets its handler and where `_colorize` is put off:
//! `logging` imports `traceback`, which imports that for the colours of a terminal, and with it `dataclasses` and `inspect`.
//! They are more than half of what `logging` costs, and needed when something has failed.
//!
//! The other way round, a build of CPython may have modules in itself that are files in the managed runtime's, where a file of
//! the function's own wins over them. It does here, too.

use crate::handler::BUILT_IN;
use crate::logging::{self, Log};
use crate::places::Places;
use crate::site;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::sync::Mutex;

/// What awslambdaric 4.2.2 has imported when it imports the function, on CPython 3.12 to 3.15 together; sorted.
#[rustfmt::skip]
const IMPORTED_BY_THE_MANAGED_RUNTIME: &[&str] = &[
    "__future__", "_collections_abc", "_colorize", "_decimal", "_heapq", "_json", "_opcode_metadata", "_py_warnings",
    "_queue", "_weakrefset", "abc", "annotationlib", "ast", "codecs", "collections", "concurrent", "contextlib", "copy",
    "copyreg", "dataclasses", "decimal", "dis", "encodings", "enum", "functools", "genericpath", "heapq", "importlib",
    "inspect", "io", "json", "keyword", "linecache", "logging", "math", "numbers", "opcode", "operator", "os", "posixpath",
    "queue", "re", "reprlib", "site", "stat", "string", "textwrap", "threading", "token", "tokenize", "traceback", "types",
    "warnings", "weakref", "zipimport",
];

/// The finder, first in `sys.meta_path`.
#[pyclass(frozen, module = "whipsnake")]
pub struct StandardLibraryFinder {
    path_finder: Py<PyAny>,
    is_frozen: Py<PyAny>,
    search_paths: Py<PyList>,
    built_in: &'static [&'static str],
    /// What `logging` is to be given, until it is imported.
    log: Mutex<Option<Py<Log>>>,
}

#[pymethods]
impl StandardLibraryFinder {
    #[pyo3(signature = (fullname, path=None, target=None))]
    fn find_spec<'py>(
        &self,
        py: Python<'py>,
        fullname: &str,
        path: Option<&Bound<'py, PyAny>>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if path.is_some() {
            return Ok(None);
        }
        if site::is_customisation(fullname) && site::is_starting(py)? {
            return Err(site::no_customisation(py, fullname)?);
        }
        let search_paths = if IMPORTED_BY_THE_MANAGED_RUNTIME.binary_search(&fullname).is_ok() {
            if self.is_frozen.bind(py).call1((fullname,))?.is_truthy()? {
                // CPython has it in itself, and looks there before it looks at files.
                return Ok(None);
            }
            Some(&self.search_paths)
        } else if self.built_in.contains(&fullname) && !BUILT_IN.contains(&fullname) {
            // A file elsewhere: all of sys.path is searched, and the built-in one serves only if nothing is there.
            None
        } else {
            return Ok(None);
        };
        let find_spec = intern!(py, "find_spec");
        let spec = self.path_finder.bind(py).call_method1(find_spec, (fullname, search_paths, target))?;
        if spec.is_none() {
            return Ok(None);
        }
        if fullname == "logging"
            && let Some(log) = self.log.lock().ok().and_then(|mut log| log.take())
        {
            install_after_execution(&spec.getattr("loader")?, log)?;
        } else if fullname == "_colorize" {
            py.import("whipsnake._deferred")?.call_method1("defer", (spec.getattr("loader")?,))?;
        }
        Ok(Some(spec))
    }
}

/// Puts the finder in its place, and the log handler where `logging` is imported already (by a `.pth` file or sitecustomize).
pub fn set_up(log: &Bound<'_, Log>, places: &Places) -> PyResult<()> {
    let py = log.py();
    let sys = py.import("sys")?;
    let imported = sys.getattr("modules")?.cast_into::<PyDict>()?.get_item("logging")?;
    if let Some(logging) = &imported {
        logging::install(log, logging)?;
    }
    let path_finder = py.import("_frozen_importlib_external")?.getattr("PathFinder")?;
    let meta_path = sys.getattr("meta_path")?.cast_into::<PyList>()?;
    let finder = StandardLibraryFinder {
        path_finder: path_finder.unbind(),
        is_frozen: py.import("_imp")?.getattr("is_frozen")?.unbind(),
        search_paths: PyList::new(py, places.search_paths)?.unbind(),
        built_in: places.built_in,
        log: Mutex::new(imported.is_none().then(|| log.clone().unbind())),
    };
    meta_path.insert(0, Py::new(py, finder)?)
}

/// Has the log handler installed when `loader` has executed `logging`. The loader is one module's own; what is set on it is
/// gone again before the module's code starts, so that nothing is left to see.
fn install_after_execution(loader: &Bound<'_, PyAny>, log: Py<Log>) -> PyResult<()> {
    let py = loader.py();
    let unhooked = loader.clone().unbind();
    let hook = pyo3::types::PyCFunction::new_closure(py, None, None, move |arguments, _| -> PyResult<()> {
        let py = arguments.py();
        let module = arguments.get_item(0)?;
        let loader = unhooked.bind(py);
        loader.delattr(intern!(py, "exec_module"))?;
        loader.call_method1(intern!(py, "exec_module"), (&module,))?;
        logging::install(log.bind(py), &module)
    })?;
    loader.setattr(intern!(py, "exec_module"), hook)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_names_are_sorted_for_binary_search() {
        assert!(super::IMPORTED_BY_THE_MANAGED_RUNTIME.is_sorted());
    }
}

//! A finder for modules that the managed runtime has imported before the function.
//!
//! The managed runtime is written in Python, so much of the standard library is in `sys.modules` when the function starts, and the
//! function's own `queue.py` or `types.py` is never imported. Whipsnake imports almost nothing. This finder makes those names mean the
//! standard library all the same, and spares them the search through the function's and the layers' folders.
//!
//! The finder also installs the handler of `logging`, and defers `_colorize`: `logging` imports `traceback`, which imports `_colorize` for
//! colors on a terminal, which imports `dataclasses` and `inspect`. These are more than half of the cost of `logging`, and are needed only
//! when something has failed.
//!
//! Conversely, some modules are built into this CPython and files in the managed runtime's, where the function's own file has precedence.
//! It has precedence here too.

use crate::imported_modules::imported;
use crate::init::handler::BUILT_IN;
use crate::init::stdlib_paths::StdlibPaths;
use crate::report::log::{self, Log};
use crate::start::site;
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyList, PyString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The modules that awslambdaric 4.2.2 has imported when it imports the function, on CPython 3.12 to 3.15 together. Sorted.
#[rustfmt::skip]
const IMPORTED_BY_THE_MANAGED_RUNTIME: &[&str] = &[
    "__future__", "_collections_abc", "_colorize", "_decimal", "_heapq", "_json", "_opcode_metadata", "_py_warnings",
    "_queue", "_weakrefset", "abc", "annotationlib", "ast", "codecs", "collections", "concurrent", "contextlib", "copy",
    "copyreg", "dataclasses", "decimal", "dis", "encodings", "enum", "functools", "genericpath", "heapq", "importlib",
    "inspect", "io", "json", "keyword", "linecache", "logging", "math", "numbers", "opcode", "operator", "os", "posixpath",
    "queue", "re", "reprlib", "site", "stat", "string", "textwrap", "threading", "token", "tokenize", "traceback", "types",
    "warnings", "weakref", "zipimport",
];

/// Submodules that the managed runtime has imported. They are attributes of parents that do not import them. Some versions of CPython
/// import only some of them; the others do no harm.
const SUBMODULES: &[(&str, &[&str])] = &[
    // CPython 3.14 imports it itself.
    #[cfg(not(Py_3_14))]
    ("collections", &["abc"]),
    ("concurrent", &["futures"]),
    ("concurrent.futures", &["thread"]),
    ("importlib", &["_abc", "machinery", "util"]),
];

/// The submodules that one parent gets as attributes.
fn submodules(parent: &str) -> Option<&'static [&'static str]> {
    SUBMODULES.iter().find(|(name, _)| *name == parent).map(|(_, submodules)| *submodules)
}

/// The finder, first in `sys.meta_path`.
#[pyclass(frozen, module = "whipsnake")]
pub struct StandardLibraryFinder {
    path_finder: Py<PyAny>,
    is_frozen: Py<PyAny>,
    search_paths: Py<PyList>,
    built_in: &'static [&'static str],
    log: Py<Log>,
    /// Whether `logging` has its handler already.
    log_is_installed: Arc<AtomicBool>,
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
            return match submodules(fullname) {
                Some(submodules) => self.with_submodules(py, (fullname, path, target), submodules),
                None => Ok(None),
            };
        }
        if site::is_customisation(fullname) && site::is_starting(py)? {
            return Err(site::no_customisation(py, fullname)?);
        }
        let search_paths = if IMPORTED_BY_THE_MANAGED_RUNTIME.binary_search(&fullname).is_ok() {
            if self.is_frozen.bind(py).call1((fullname,))?.is_truthy()? {
                // CPython has the module frozen, and looks there before it looks for files.
                return Ok(None);
            }
            Some(&self.search_paths)
        } else if self.built_in.contains(&fullname) && !BUILT_IN.contains(&fullname) {
            // All of `sys.path` is searched. The built-in module is used only if there is no file.
            None
        } else {
            return Ok(None);
        };
        let find_spec = intern!(py, "find_spec");
        let spec = self.path_finder.bind(py).call_method1(find_spec, (fullname, search_paths, target))?;
        if spec.is_none() {
            return Ok(None);
        }
        if fullname == "logging" {
            let (log, is_installed) = (self.log.clone_ref(py), Arc::clone(&self.log_is_installed));
            // Only the module in `sys.modules` gets the handler, and only the first time.
            after_execution(&spec.getattr("loader")?, move |module| {
                let py = module.py();
                let is_imported = imported(py, intern!(py, "logging"))?.is_some_and(|logging| logging.is(module));
                if is_imported && !is_installed.swap(true, Ordering::Relaxed) {
                    log::install(log.bind(py), module)?;
                }
                Ok(())
            })?;
        } else if let Some(submodules) = submodules(fullname) {
            after_execution(&spec.getattr("loader")?, move |module| import_when_asked(module, submodules))?;
        } else if fullname == "_colorize" {
            py.import("whipsnake._deferred")?.call_method1("defer", (spec.getattr("loader")?,))?;
        }
        Ok(Some(spec))
    }
}

impl StandardLibraryFinder {
    /// Finds a module in a package that gets submodules as attributes.
    fn with_submodules<'py>(
        &self,
        py: Python<'py>,
        asked: (&str, Option<&Bound<'py, PyAny>>, Option<&Bound<'py, PyAny>>),
        submodules: &'static [&'static str],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let spec = self.path_finder.bind(py).call_method1(intern!(py, "find_spec"), asked)?;
        if spec.is_none() {
            return Ok(None);
        }
        after_execution(&spec.getattr("loader")?, move |module| import_when_asked(module, submodules))?;
        Ok(Some(spec))
    }
}

/// Installs the finder. If `logging` is imported already (by a `.pth` file or sitecustomize), installs its handler too.
pub fn set_up(log: &Bound<'_, Log>, paths: &StdlibPaths) -> PyResult<()> {
    let py = log.py();
    let sys = py.import("sys")?;
    let modules = sys.getattr("modules")?.cast_into::<PyDict>()?;
    let logging = modules.get_item("logging")?;
    if let Some(logging) = &logging {
        log::install(log, logging)?;
    }
    for (parent, submodules) in SUBMODULES {
        if let Some(parent) = modules.get_item(parent)? {
            import_when_asked(&parent, submodules)?;
        }
    }
    let path_finder = py.import("_frozen_importlib_external")?.getattr("PathFinder")?;
    let meta_path = sys.getattr("meta_path")?.cast_into::<PyList>()?;
    let finder = StandardLibraryFinder {
        path_finder: path_finder.unbind(),
        is_frozen: py.import("_imp")?.getattr("is_frozen")?.unbind(),
        search_paths: PyList::new(py, paths.search_paths)?.unbind(),
        built_in: paths.built_in,
        log: log.clone().unbind(),
        log_is_installed: Arc::new(AtomicBool::new(logging.is_some())),
    };
    meta_path.insert(0, Py::new(py, finder)?)
}

/// Calls `then` with the module after `loader` has executed it. The hook is an attribute of this loader. It is removed before the module's
/// code runs, so the code does not see it, and comes back if that code fails, because the import may be repeated.
fn after_execution(
    loader: &Bound<'_, PyAny>,
    then: impl Fn(&Bound<'_, PyAny>) -> PyResult<()> + Send + Sync + 'static,
) -> PyResult<()> {
    let py = loader.py();
    let hooked = loader.clone().unbind();
    let hook = PyCFunction::new_closure(py, None, None, move |arguments, _| -> PyResult<()> {
        let py = arguments.py();
        let module = arguments.get_item(0)?;
        let loader = hooked.bind(py);
        let exec_module = intern!(py, "exec_module");
        let hook = loader.getattr(exec_module)?;
        loader.delattr(exec_module)?;
        if let Err(error) = loader.call_method1(exec_module, (&module,)) {
            loader.setattr(exec_module, hook)?;
            return Err(error);
        }
        then(&module)
    })?;
    loader.setattr(intern!(py, "exec_module"), hook)
}

/// Makes a module import its submodules on demand, by a module-level `__getattr__`. That function is removed when all submodules have been
/// imported.
fn import_when_asked(parent: &Bound<'_, PyAny>, submodules: &'static [&'static str]) -> PyResult<()> {
    let py = parent.py();
    let name: String = parent.getattr(intern!(py, "__name__"))?.extract()?;
    let parent = parent.cast::<PyModule>()?;
    let is_there = move |attributes: &Bound<'_, PyDict>| -> PyResult<bool> {
        submodules.iter().try_fold(true, |all, name| Ok(all && attributes.contains(name)?))
    };
    if is_there(&parent.dict())? {
        return Ok(());
    }
    let getattr = intern!(py, "__getattr__");
    let original = parent.dict().get_item(getattr)?.map(Bound::unbind);
    let attributes = parent.dict().unbind();
    // A native function: a Python function would show up in the traceback of an AttributeError.
    let import =
        PyCFunction::new_closure(py, Some(c"__getattr__"), None, move |arguments, _| -> PyResult<Py<PyAny>> {
            let py = arguments.py();
            let (getattr, attributes) = (intern!(py, "__getattr__"), attributes.bind(py));
            let asked = arguments.get_item(0)?.cast_into::<PyString>()?;
            if submodules.iter().any(|name| asked == *name) {
                let submodule = py.import(format!("{name}.{asked}"))?;
                if is_there(attributes)? {
                    match &original {
                        Some(original) => attributes.set_item(getattr, original)?,
                        None => attributes.del_item(getattr)?,
                    }
                }
                return Ok(submodule.into_any().unbind());
            }
            if let Some(original) = &original {
                return original.call1(py, (asked,));
            }
            let error = PyAttributeError::new_err(format!("module '{name}' has no attribute '{asked}'"));
            // Python suggests similar names by these attributes.
            error.value(py).setattr("name", &asked)?;
            if let Some(module) = imported(py, &PyString::new(py, &name))? {
                error.value(py).setattr("obj", module)?;
            }
            Err(error)
        })?;
    parent.setattr(getattr, import)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_names_are_sorted_for_binary_search() {
        assert!(super::IMPORTED_BY_THE_MANAGED_RUNTIME.is_sorted());
    }
}

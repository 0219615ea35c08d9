//! Finds modules in folders that archives cover.
//!
//! `FileFinder` takes some 50,000 instructions for a module that it does not have, and more for one that it has. This finder handles what
//! the archive and the folder's list of names can decide. Everything else goes to the `FileFinder`.

use super::listing::{Kind, Listing};
use super::loader::SourceLoader;
use super::mapped_archives::Archives;
use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple, PyWeakrefMethods, PyWeakrefReference};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// An entry of `sys.path_hooks`: makes the finders of folders that archives cover.
#[pyclass(frozen, module = "whipsnake")]
pub struct FolderHook(Arc<Shared>);

/// What all finders share.
struct Shared {
    archives: &'static Archives,
    file_finder: Py<PyAny>,
    module_spec: Py<PyAny>,
    sources: Py<SourceLoader>,
    /// `FileFinder`'s loaders, with another loader of sources.
    loaders: Py<PyTuple>,
    /// Suffixes of extension modules, which have precedence over sources.
    extensions: Vec<String>,
    listings: Mutex<HashMap<String, Listing>>,
}

impl FolderHook {
    /// A hook for the folders that the archives cover.
    pub fn new(py: Python<'_>, archives: &'static Archives) -> PyResult<Self> {
        let external = py.import("_frozen_importlib_external")?;
        let source_loader = external.getattr("SourceFileLoader")?;
        let sources = Bound::new(py, SourceLoader::new(archives, source_loader.clone().unbind()))?;
        let mut loaders = Vec::new();
        for pair in external.call_method0("_get_supported_file_loaders")?.try_iter()? {
            let (class, suffixes): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let class = if class.is(&source_loader) { sources.clone().into_any() } else { class };
            loaders.push((class, suffixes));
        }
        Ok(Self(Arc::new(Shared {
            archives,
            file_finder: external.getattr("FileFinder")?.unbind(),
            module_spec: py.import("_frozen_importlib")?.getattr("ModuleSpec")?.unbind(),
            sources: sources.unbind(),
            loaders: PyTuple::new(py, loaders)?.unbind(),
            extensions: py.import("_imp")?.call_method0("extension_suffixes")?.extract()?,
            listings: Mutex::default(),
        })))
    }
}

#[pymethods]
impl FolderHook {
    fn __call__<'py>(&self, folder: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = folder.py();
        let is_ours = |path: &&str| self.0.archives.cover(path) && Path::new(path).is_dir();
        let Some(path) = folder.extract::<&str>().ok().filter(is_ours) else {
            return Err(PyImportError::new_err("no folder of an archive's"));
        };
        let finder = self.0.make_file_finder(py, path)?;
        let reference = PyWeakrefReference::new(&finder)?;
        let find = Find { shared: self.0.clone(), folder: path.to_owned(), finder: reference.clone().unbind() };
        finder.setattr(intern!(py, "find_spec"), Py::new(py, find)?)?;
        let invalidate = Invalidate { shared: self.0.clone(), finder: reference.unbind() };
        finder.setattr(intern!(py, "invalidate_caches"), Py::new(py, invalidate)?)?;
        Ok(finder)
    }
}

/// The method `find_spec` of one `FileFinder`.
#[pyclass(frozen, module = "whipsnake")]
struct Find {
    shared: Arc<Shared>,
    folder: String,
    /// Weak, because the finder refers to this object and no collector would find the cycle.
    finder: Py<PyWeakrefReference>,
}

/// What is known of a name without the `FileFinder`.
enum Found {
    Module(String),
    Package(String),
    Nothing,
    AskFileFinder,
}

#[pymethods]
impl Find {
    #[pyo3(signature = (fullname, target=None))]
    fn __call__<'py>(
        &self,
        fullname: &Bound<'py, PyString>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = fullname.py();
        let found = fullname.to_str().map_or(Found::AskFileFinder, |name| self.look_for(name));
        let (path, folder) = match found {
            Found::Nothing => return Ok(py.None().into_bound(py)),
            Found::AskFileFinder => return self.ask_file_finder(fullname, target),
            Found::Module(path) => (path, None),
            Found::Package(folder) => (format!("{folder}/__init__.py"), Some(folder)),
        };
        let path = PyString::new(py, &path);
        let loader = self.shared.sources.get().make(fullname, &path)?;
        // As `spec_from_file_location` does.
        let spec = self.shared.module_spec.bind(py).call1((fullname, loader))?;
        spec.setattr(intern!(py, "origin"), path)?;
        spec.setattr(intern!(py, "_set_fileattr"), true)?;
        if let Some(folder) = folder {
            spec.setattr(intern!(py, "submodule_search_locations"), PyList::new(py, [folder])?)?;
        }
        Ok(spec)
    }
}

impl Find {
    /// Follows `FileFinder`'s order: a package, an extension module, a source.
    fn look_for(&self, fullname: &str) -> Found {
        let name = fullname.rsplit('.').next().unwrap_or_default();
        let mut listings = self.shared.listings.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = self.shared.read(&mut listings, &self.folder);
        let has = |listing: &Listing, name: &str, suffix: &str| listing.get(&format!("{name}{suffix}"));
        let has_extension = |listing: &Listing, name: &str| {
            self.shared.extensions.iter().any(|suffix| has(listing, name, suffix).is_some())
        };
        if let Some(kind) = listing.get(name) {
            let folder = format!("{}/{name}", self.folder);
            if kind != Kind::Folder || !self.shared.archives.contain(&format!("{folder}/__init__.py")) {
                return Found::AskFileFinder;
            }
            let listing = self.shared.read(&mut listings, &folder);
            let is_package = listing.get("__init__.py") == Some(Kind::File) && !has_extension(listing, "__init__");
            return if is_package { Found::Package(folder) } else { Found::AskFileFinder };
        }
        if has_extension(listing, name) {
            return Found::AskFileFinder;
        }
        match has(listing, name, ".py") {
            Some(Kind::File) => {
                let path = format!("{}/{name}.py", self.folder);
                if self.shared.archives.contain(&path) { Found::Module(path) } else { Found::AskFileFinder }
            }
            Some(_) => Found::AskFileFinder,
            None if has(listing, name, ".pyc").is_some() => Found::AskFileFinder,
            None => Found::Nothing,
        }
    }

    fn ask_file_finder<'py>(
        &self,
        fullname: &Bound<'py, PyString>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = fullname.py();
        let finder = match self.finder.bind(py).upgrade() {
            Some(finder) => finder,
            // The finder is gone if only `find_spec` was kept, because that is no bound method.
            None => self.shared.make_file_finder(py, &self.folder)?,
        };
        let arguments = (finder, fullname, target);
        self.shared.file_finder.bind(py).call_method1(intern!(py, "find_spec"), arguments)
    }
}

/// The method `invalidate_caches` of one `FileFinder`.
#[pyclass(frozen, module = "whipsnake")]
struct Invalidate {
    shared: Arc<Shared>,
    finder: Py<PyWeakrefReference>,
}

#[pymethods]
impl Invalidate {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.listings.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(finder) = self.finder.bind(py).upgrade() {
            self.shared.file_finder.bind(py).call_method1(intern!(py, "invalidate_caches"), (finder,))?;
        }
        Ok(())
    }
}

impl Shared {
    /// A `FileFinder` as CPython makes it, but with another loader of sources.
    fn make_file_finder<'py>(&self, py: Python<'py>, folder: &str) -> PyResult<Bound<'py, PyAny>> {
        let arguments = PyTuple::new(py, [folder])?.add(self.loaders.bind(py))?.cast_into::<PyTuple>()?;
        self.file_finder.bind(py).call1(arguments)
    }

    fn read<'a>(&self, listings: &'a mut HashMap<String, Listing>, folder: &str) -> &'a Listing {
        if !listings.contains_key(folder) {
            listings.insert(folder.to_owned(), Listing::default());
        }
        let listing = listings.get_mut(folder).expect("it has been inserted above");
        listing.refresh(folder);
        listing
    }
}

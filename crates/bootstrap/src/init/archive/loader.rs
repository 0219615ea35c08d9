//! Loads modules' code from the archive.

use super::mapped_archives::Archives;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyWeakrefMethods, PyWeakrefReference};

/// Replaces the class `SourceFileLoader`: makes loaders of that class that take their code from the archive.
#[pyclass(frozen, module = "whipsnake")]
pub struct SourceLoader {
    archives: &'static Archives,
    class: Py<PyAny>,
}

impl SourceLoader {
    /// Makes loaders of this class.
    pub fn new(archives: &'static Archives, class: Py<PyAny>) -> Self {
        Self { archives, class }
    }

    /// The loader of one module.
    pub fn make<'py>(&self, name: &Bound<'py, PyString>, path: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let loader = self.class.bind(py).call1((name, path))?;
        let code = ArchivedCode {
            archives: self.archives,
            class: self.class.clone_ref(py),
            name: name.clone().unbind(),
            path: path.clone().unbind(),
            loader: PyWeakrefReference::new(&loader)?.unbind(),
        };
        loader.setattr(intern!(py, "get_code"), Py::new(py, code)?)?;
        Ok(loader)
    }
}

#[pymethods]
impl SourceLoader {
    fn __call__<'py>(&self, name: &Bound<'py, PyString>, path: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.make(name, path)
    }
}

/// The method `get_code` of one loader, for one call. A running module does not find it on its loader.
#[pyclass(frozen, module = "whipsnake")]
struct ArchivedCode {
    archives: &'static Archives,
    class: Py<PyAny>,
    name: Py<PyString>,
    path: Py<PyString>,
    /// Weak, because the loader refers to this object and no collector would find the cycle.
    loader: Py<PyWeakrefReference>,
}

#[pymethods]
impl ArchivedCode {
    fn __call__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let get_code = intern!(py, "get_code");
        let loader = match self.loader.bind(py).upgrade() {
            Some(loader) => loader,
            // The loader is gone in `find_spec(..).loader.get_code(..)`, because this is no bound method.
            None => self.class.bind(py).call1((&self.name, &self.path))?,
        };
        if loader.getattr(intern!(py, "__dict__"))?.contains(get_code)? {
            loader.delattr(get_code)?;
        }
        let path = self.path.bind(py);
        if name.eq(&self.name)?
            && let Some(module) = self.archives.find(py, path.to_str()?)?
            && !module.code.is_empty()
        {
            let code = unmarshal(py, module.code)?;
            py.import("_imp")?.call_method1(intern!(py, "_fix_co_filename"), (&code, path))?;
            return Ok(code);
        }
        loader.call_method1(get_code, (name,))
    }
}

fn unmarshal<'py>(py: Python<'py>, code: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; the bytes are read during the call, which returns a new reference, or null with an exception set.
    unsafe {
        let object = ffi::PyMarshal_ReadObjectFromString(code.as_ptr().cast(), code.len().cast_signed());
        Bound::from_owned_ptr_or_err(py, object)
    }
}

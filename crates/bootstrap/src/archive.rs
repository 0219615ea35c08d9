//! The module archive of `whipsnake pack`: bytecode of the function's modules in one file, mapped into memory.
//!
//! Modules are found as ever: each folder of the function has CPython's own `FileFinder`, and each module its own
//! `SourceFileLoader`. Only where a source is as it was packed, the code comes from the archive instead of a file of bytecode or
//! the compiler. So the order of `sys.path`, resources, tracebacks and whatever looks at loaders need no thought here.

use crate::environment::Environment;
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyWeakrefMethods, PyWeakrefReference};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io, ptr, slice};
use whipsnake_module_archive::{Archive, Module, PATH};

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
        if folder.extract::<&str>().is_ok_and(|folder| archive.covers(folder)) {
            cache.del_item(folder)?;
        }
    }
    Ok(())
}

/// An archive in memory, for as long as the process lives.
struct Mapped {
    root: String,
    archive: Archive<'static>,
    /// Whether it was told that the archive is not all that it could be.
    told: AtomicBool,
    is_damaged: AtomicBool,
}

impl Mapped {
    /// None where the folder has no archive.
    fn open(py: Python<'_>, root: &str) -> Result<Option<&'static Self>, Problem> {
        let file = match File::open(format!("{root}/{PATH}")) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            opened => opened.map_err(Problem::of)?,
        };
        let archive = Archive::read(map(&file).map_err(Problem::of)?).map_err(Problem::of)?;
        let (cache_tag, magic_number) = this_python(py).map_err(Problem::of)?;
        let target = archive.target();
        if (target.cache_tag, target.magic_number) != (&cache_tag, magic_number) {
            return Err(Problem(format!("it is for {}, and this is {cache_tag}", target.cache_tag)));
        }
        let mapped =
            Self { root: root.into(), archive, told: AtomicBool::new(false), is_damaged: AtomicBool::new(false) };
        Ok(Some(Box::leak(Box::new(mapped))))
    }

    /// Whether a folder is one whose modules may be in the archive.
    fn covers(&self, folder: &str) -> bool {
        self.within(folder).is_some()
    }

    /// The part of a path below the root. None for what is elsewhere, or leads through a folder's parent.
    fn within<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&self.root)?;
        let within = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        let is_plain = within.is_empty() || within.split('/').all(|part| !matches!(part, "" | "." | ".."));
        is_plain.then_some(within)
    }

    /// The module at a path, if its source is the one that was packed.
    fn find(&self, py: Python<'_>, path: &str) -> PyResult<Option<Module<'static>>> {
        let Some(within) = self.within(path).filter(|_| !self.is_damaged.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        let found = self.archive.find(within.as_bytes()).unwrap_or_else(|damage| {
            self.is_damaged.store(true, Ordering::Relaxed);
            self.tell(format_args!("{} is not used: {damage}", self.file()));
            None
        });
        if let Some(module) = found
            && self.is_as_packed(py, path, &module)?
        {
            return Ok(Some(module));
        }
        self.tell(format_args!("{path} is not what was packed into {}: the file is used", self.file()));
        Ok(None)
    }

    /// By size and time, else by size and contents: not everything that unpacks or copies files keeps their times.
    fn is_as_packed(&self, py: Python<'_>, path: &str, module: &Module<'_>) -> PyResult<bool> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
        if metadata.len() != module.size {
            return Ok(false);
        }
        if metadata.mtime() == self.archive.modified() && metadata.mtime_nsec() == 0 {
            return Ok(true);
        }
        let Ok(source) = fs::read(path) else { return Ok(false) };
        let key = u32::from_le_bytes(self.archive.target().magic_number);
        let hash = py.import("_imp")?.call_method1("source_hash", (key, source.as_slice()))?;
        Ok(hash.extract::<[u8; 8]>()? == module.hash.to_le_bytes())
    }

    fn file(&self) -> String {
        format!("{}/{PATH}", self.root)
    }

    /// One line a process: what is wrong with one file is wrong with others.
    fn tell(&self, what: fmt::Arguments<'_>) {
        if !self.told.swap(true, Ordering::Relaxed) {
            eprintln!("whipsnake: {what}; run `whipsnake pack` again");
        }
    }
}

/// Why an archive is not used.
struct Problem(String);

impl Problem {
    fn of(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn map(file: &File) -> io::Result<&'static [u8]> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new mapping, of a file that is open for reading.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping has this length and is never undone. `whipsnake pack` writes a new file, and never into one that exists.
    Ok(unsafe { slice::from_raw_parts(start.cast(), length) })
}

/// What bytecode has to be for.
fn this_python(py: Python<'_>) -> PyResult<(String, [u8; 4])> {
    let cache_tag = py.import("sys")?.getattr("implementation")?.getattr("cache_tag")?.extract()?;
    let magic_number = py.import("_frozen_importlib_external")?.getattr("MAGIC_NUMBER")?.extract()?;
    Ok((cache_tag, magic_number))
}

/// In `sys.path_hooks`: makes the finders of the function's folders.
#[pyclass(frozen, module = "whipsnake")]
struct FolderHook {
    archive: &'static Mapped,
    file_finder: Py<PyAny>,
    /// As CPython's own finder of files has them, but for the loader of sources.
    loaders: Py<PyTuple>,
}

impl FolderHook {
    fn new(py: Python<'_>, archive: &'static Mapped) -> PyResult<Self> {
        let external = py.import("_frozen_importlib_external")?;
        let loader = external.getattr("SourceFileLoader")?;
        let mut loaders = Vec::new();
        for pair in external.call_method0("_get_supported_file_loaders")?.try_iter()? {
            let (class, suffixes): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let class = if class.is(&loader) {
                Bound::new(py, SourceLoader { archive, loader: class.unbind() })?.into_any()
            } else {
                class
            };
            loaders.push((class, suffixes));
        }
        Ok(Self {
            archive,
            file_finder: external.getattr("FileFinder")?.unbind(),
            loaders: PyTuple::new(py, loaders)?.unbind(),
        })
    }
}

#[pymethods]
impl FolderHook {
    fn __call__<'py>(&self, folder: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = folder.py();
        let is_ours = |path: &str| self.archive.covers(path) && Path::new(path).is_dir();
        if !folder.extract::<&str>().is_ok_and(is_ours) {
            return Err(PyImportError::new_err("not a folder of the packed function"));
        }
        let arguments = PyTuple::new(py, [folder])?.add(self.loaders.bind(py))?.cast_into::<PyTuple>()?;
        self.file_finder.bind(py).call1(arguments)
    }
}

/// In the place of the class `SourceFileLoader`: makes one of those, which takes its code from here.
#[pyclass(frozen, module = "whipsnake")]
struct SourceLoader {
    archive: &'static Mapped,
    loader: Py<PyAny>,
}

#[pymethods]
impl SourceLoader {
    fn __call__<'py>(&self, name: &Bound<'py, PyString>, path: Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let loader = self.loader.bind(py).call1((name, &path))?;
        let code = ArchivedCode {
            archive: self.archive,
            name: name.clone().unbind(),
            path: path.unbind(),
            loader: PyWeakrefReference::new(&loader)?.unbind(),
        };
        loader.setattr(intern!(py, "get_code"), Py::new(py, code)?)?;
        Ok(loader)
    }
}

/// The method `get_code` of one loader, once: nothing is left to see on the loader of a module that runs.
#[pyclass(frozen, module = "whipsnake")]
struct ArchivedCode {
    archive: &'static Mapped,
    name: Py<PyString>,
    path: Py<PyString>,
    /// Not a reference: it would be one of a circle that nobody collects.
    loader: Py<PyWeakrefReference>,
}

#[pymethods]
impl ArchivedCode {
    fn __call__<'py>(&self, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let get_code = intern!(py, "get_code");
        let Some(loader) = self.loader.bind(py).upgrade() else {
            return Err(PyImportError::new_err("the loader of this module is gone"));
        };
        if loader.getattr(intern!(py, "__dict__"))?.contains(get_code)? {
            loader.delattr(get_code)?;
        }
        let path = self.path.bind(py);
        if name.eq(&self.name)?
            && let Some(module) = self.archive.find(py, path.to_str()?)?
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
    // SAFETY: attached to the interpreter; the bytes are read during the call, and what it returns is a new reference or an error.
    unsafe {
        let object = ffi::PyMarshal_ReadObjectFromString(code.as_ptr().cast(), code.len().cast_signed());
        Bound::from_owned_ptr_or_err(py, object)
    }
}

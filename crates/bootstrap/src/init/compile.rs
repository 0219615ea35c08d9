//! Compiles source files that have no bytecode. That is the case for most functions: their zip has no bytecode, and `/var/task` is
//! read-only.
//!
//! The import system calls the built-in `compile`, which checks first whether it was given a syntax tree. For that check CPython creates
//! all classes of `ast`, which takes a quarter of a start. Source files are bytes, so this module passes them to the compiler directly.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use std::ffi::{CString, c_int};

/// Makes the import system use [`compile_source`].
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    let function = wrap_pyfunction!(compile_source, py)?;
    // Without this global, the import system finds the built-in function.
    py.import("_frozen_importlib_external")?.setattr("compile", function)
}

/// The built-in `compile` for the one way in which the import system calls it.
#[pyfunction]
#[pyo3(name = "compile", signature = (*arguments, **options))]
fn compile_source<'py>(
    arguments: &Bound<'py, PyTuple>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    match Source::of(arguments, options) {
        Some(source) => source.compile(arguments),
        None => arguments.py().import("builtins")?.getattr("compile")?.call(arguments, options),
    }
}

/// The start symbol for a whole file.
struct Source {
    text: CString,
    optimize: c_int,
}

impl Source {
    /// `None` for everything but the bytes of a module's file. The built-in function handles the rest, and reports its errors.
    fn of(arguments: &Bound<'_, PyTuple>, options: Option<&Bound<'_, PyDict>>) -> Option<Self> {
        let (source, path, mode) =
            arguments.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>)>().ok()?;
        let inherits = options?.get_item("dont_inherit").ok()??;
        let optimize = options?.get_item("optimize").ok()??.extract().ok()?;
        let usual = options?.len() == 2
            && inherits.is_truthy().ok()?
            && path.is_exact_instance_of::<PyString>()
            && mode.cast::<PyString>().ok()?.to_str().ok()? == "exec";
        // Fails if the source has a NUL.
        let text = CString::new(source.cast_exact::<PyBytes>().ok()?.as_bytes()).ok()?;
        usual.then_some(Self { text, optimize })
    }

    fn compile<'py>(self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        let path = arguments.get_item(1)?;
        let mut flags = ffi::PyCompilerFlags {
            // The built-in function does the same for bytes: UTF-8, unless a coding cookie says otherwise.
            cf_flags: SOURCE_IS_UTF8,
            cf_feature_version: py.version_info().minor.into(),
        };
        // SAFETY: attached; the text ends with NUL, and the path and the flags live through the call. Returns a new reference, or null with
        // an exception set.
        unsafe {
            let text = self.text.as_ptr();
            let code =
                ffi::Py_CompileStringObject(text, path.as_ptr(), ffi::Py_file_input, &raw mut flags, self.optimize);
            Bound::from_owned_ptr_or_err(py, code)
        }
    }
}

/// `PyCF_SOURCE_IS_UTF8` in CPython's compile.h.
const SOURCE_IS_UTF8: c_int = 0x0100;

//! The environment variables that the function sees, once CPython runs.

use crate::interpreter::imported;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, NulError};
use std::io;
use std::sync::{Mutex, PoisonError};

/// How many values of a variable are kept that the C environment has pointed at: the last one, and one that somebody may still be reading.
const KEPT: usize = 2;

/// Sets or removes a variable, for the function and its child processes.
///
/// In `os.environ`: Python's copy of the environment would not notice a change made below it. Where the function has not
/// imported `os`, in what that will be made from: the import would be the larger part of a small function's start.
pub fn set(py: Python<'_>, name: &Bound<'_, PyString>, value: Option<&str>) -> PyResult<()> {
    let copy = match imported(py, intern!(py, "os"))? {
        Some(os) => {
            let environ = os.getattr(intern!(py, "environ"))?;
            if !environ.get_type().is(&os.getattr(intern!(py, "_Environ"))?) {
                return set_in_the_functions_own(&environ, name, value);
            }
            environ.getattr(intern!(py, "_data"))?
        }
        None => {
            static POSIX: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
            let posix = POSIX.get_or_try_init(py, || py.import("posix").map(Bound::unbind))?.bind(py);
            posix.getattr(intern!(py, "environ"))?
        }
    };
    let copy = copy.cast_into::<PyDict>()?;
    let name = name.to_str()?;
    let key = PyBytes::new(py, name.as_bytes());
    match value {
        Some(value) => {
            put(name, value)?;
            copy.set_item(key, PyBytes::new(py, value.as_bytes()))
        }
        None if copy.contains(&key)? => {
            remove(name)?;
            copy.del_item(key)
        }
        None => Ok(()),
    }
}

/// In whatever the function has put in the place of `os.environ`.
fn set_in_the_functions_own(
    environ: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: Option<&str>,
) -> PyResult<()> {
    match value {
        Some(value) => environ.set_item(name, value),
        None if environ.contains(name)? => environ.del_item(name),
        None => Ok(()),
    }
}

/// Sets a variable of the C environment. Not by `setenv`, which is what Python's `os.putenv` calls: the C library keeps every value that
/// a variable ever had, and a trace id is another one each time.
fn put(name: &str, value: &str) -> PyResult<()> {
    static VALUES: Mutex<BTreeMap<String, VecDeque<CString>>> = Mutex::new(BTreeMap::new());
    let variable = CString::new(format!("{name}={value}")).map_err(no_nul)?;
    let mut values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: attached, as all who write the environment through Python are. The text lives until another one has taken its place.
    if unsafe { libc::putenv(variable.as_ptr().cast_mut()) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    let kept = values.entry(name.to_owned()).or_default();
    kept.push_back(variable);
    if kept.len() > KEPT {
        kept.pop_front();
    }
    Ok(())
}

fn remove(name: &str) -> PyResult<()> {
    let name = CString::new(name).map_err(no_nul)?;
    // SAFETY: as above.
    unsafe { libc::unsetenv(name.as_ptr()) };
    Ok(())
}

fn no_nul(error: NulError) -> PyErr {
    io::Error::from(error).into()
}

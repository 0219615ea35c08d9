//! The embedded CPython, and the Python side of the checks.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;
use std::sync::Once;

/// Runs `check` with the module of `oracle.py`. What Python raises there is what was found wrong.
pub(crate) fn with_oracle(check: impl FnOnce(&Bound<'_, PyModule>) -> PyResult<()>) {
    static START: Once = Once::new();
    static ORACLE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    START.call_once(|| {
        // SAFETY: the environment is read by CPython, here and now, and by nothing else in these processes.
        unsafe { std::env::set_var("PYTHONHOME", env!("PYTHON_PREFIX")) };
        Python::initialize();
    });
    Python::attach(|py| {
        let load = || PyModule::from_code(py, ORACLE_SOURCE, c"oracle.py", c"oracle").map(Bound::unbind);
        let checked = ORACLE.get_or_try_init(py, load).and_then(|oracle| check(oracle.bind(py)));
        if let Err(error) = checked {
            error.print(py);
            panic!("{error}");
        }
    });
}

const ORACLE_SOURCE: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(include_str!("oracle.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("oracle.py has a NUL"),
    };

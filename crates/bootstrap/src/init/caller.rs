//! Runs native code below Python frames with the managed runtime's names (python/src/whipsnake/_caller.py), because a function sees its
//! callers' frames. One frame serves all invocations of a thread, so an invocation costs no more than without it.
//!
//! Exceptions are caught above these frames, so no traceback contains them.

use crate::init::awslambdaric;
use crate::start::frozen_modules;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict};
use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

/// The function that seems to call the handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    GetHandler,
    HandleEventRequest,
    /// Only the loop. The names that the function has imported bring their own `handle_event_request`.
    Run,
}

impl Caller {
    /// The caller of handlers, which depends on what the function has imported.
    pub fn of_handlers(modules: &Bound<'_, PyDict>) -> Self {
        if awslambdaric::is_imported(modules) { Self::Run } else { Self::HandleEventRequest }
    }
}

/// Calls `body` below the frames of `caller`. Fails with an exception that was raised in these frames, such as a signal handler's.
pub fn call<T: Send + 'static>(
    py: Python<'_>,
    caller: Caller,
    body: impl FnOnce(Python<'_>) -> T + Send + 'static,
) -> PyResult<T> {
    let outcome = Arc::new(Mutex::new(None));
    let (result, body) = (Arc::clone(&outcome), Mutex::new(Some(body)));
    let function = PyCFunction::new_closure(py, None, None, move |arguments, _| {
        let body = body.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = body {
            let value = body(arguments.py());
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        }
    })?;
    let called = run(py, caller, &function);
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (outcome, called) {
        (Some(value), _) => Ok(value),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(PyRuntimeError::new_err("nothing was called")),
    }
}

/// A function that calls `body` below the frames of `caller`.
pub fn framed<'py>(
    py: Python<'py>,
    caller: Caller,
    body: Bound<'py, PyCFunction>,
) -> PyResult<Bound<'py, PyCFunction>> {
    let body = body.unbind();
    PyCFunction::new_closure(py, None, None, move |arguments, _| {
        let py = arguments.py();
        run(py, caller, body.bind(py))
    })
}

fn run(py: Python<'_>, caller: Caller, body: &Bound<'_, PyCFunction>) -> PyResult<()> {
    let names = names(py)?;
    let get = |name| names.get_item(name)?.ok_or_else(|| PyRuntimeError::new_err("a name of _caller.py is missing"));
    let run = get(intern!(py, "run"))?;
    let called = match caller {
        Caller::GetHandler => run.call1((get(intern!(py, "_get_handler"))?, body)),
        Caller::HandleEventRequest => run.call1((get(intern!(py, "handle_event_request"))?, body)),
        Caller::Run => run.call1((body, py.None())),
    };
    called.map(drop)
}

/// The functions of _caller.py. The code is run here, because an import costs five times as much.
fn names(py: Python<'_>) -> PyResult<&Bound<'_, PyDict>> {
    static NAMES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let make = || {
        let names = PyDict::new(py);
        // SAFETY: attached; the dictionary is borrowed from the interpreter, which has one.
        let builtins = unsafe { Bound::from_borrowed_ptr(py, ffi::PyEval_GetBuiltins()) };
        // An import in that code looks for `__import__` here.
        names.set_item(intern!(py, "__builtins__"), builtins)?;
        let code = frozen_modules::code(c"whipsnake._caller").unwrap_or_default();
        // SAFETY: attached; the bytes are marshalled code of this CPython version, with their length. Both calls return a new reference, or
        // null with an exception set.
        unsafe {
            let code = ffi::PyMarshal_ReadObjectFromString(code.as_ptr().cast::<c_char>(), code.len().cast_signed());
            let code = Bound::from_owned_ptr_or_err(py, code)?;
            let result = ffi::PyEval_EvalCode(code.as_ptr(), names.as_ptr(), names.as_ptr());
            drop(Bound::from_owned_ptr_or_err(py, result)?);
        }
        Ok::<_, PyErr>(names.unbind())
    };
    Ok(NAMES.get_or_try_init(py, make)?.bind(py))
}

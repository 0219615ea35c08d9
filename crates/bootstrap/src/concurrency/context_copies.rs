//! Context variables with several invocations at once: each invocation has a copy of the context as it was after the import.

use pyo3::ffi;
use pyo3::prelude::*;

/// The context variables as the function's import left them.
pub struct ContextAtImport(Py<PyAny>);

impl ContextAtImport {
    /// Copies the context of this thread, which has imported the function.
    pub fn copy(py: Python<'_>) -> PyResult<Self> {
        // SAFETY: attached; a new reference, or null with an exception set.
        let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }?;
        Ok(Self(copy.unbind()))
    }

    /// Makes this thread run in a new copy until the guard is dropped. Other invocations do not see what is set there.
    pub fn enter_copy<'py>(&self, py: Python<'py>) -> PyResult<Entered<'py>> {
        // SAFETY: attached, and a context is copied: a new reference, or null with an exception set.
        let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_Copy(self.0.as_ptr())) }?;
        // SAFETY: attached; the context is new, so nothing else has entered it.
        if unsafe { ffi::PyContext_Enter(copy.as_ptr()) } < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(Entered(copy))
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }
}

/// A context that this thread is in.
pub struct Entered<'py>(Bound<'py, PyAny>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let py = self.0.py();
        // SAFETY: attached, and the context was entered by this thread.
        if unsafe { ffi::PyContext_Exit(self.0.as_ptr()) } < 0 {
            PyErr::fetch(py).write_unraisable(py, Some(&self.0));
        }
    }
}

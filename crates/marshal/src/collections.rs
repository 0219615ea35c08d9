//! Garbage collections, put off while a large text is read: all that is made then is in use, and each collection would look at it again.

use pyo3::Python;
use std::marker::PhantomData;

/// Until this is dropped nothing is collected. None of the function's code runs meanwhile, so nobody sees it.
pub(crate) struct PutOff<'py> {
    was_enabled: bool,
    attached: PhantomData<Python<'py>>,
}

impl<'py> PutOff<'py> {
    pub(crate) fn new(_py: Python<'py>) -> Self {
        // Without a GIL, others run meanwhile, and might see it.
        // SAFETY: attached to the interpreter.
        let was_enabled = cfg!(not(Py_GIL_DISABLED)) && unsafe { pyo3::ffi::PyGC_Disable() } == 1;
        Self { was_enabled, attached: PhantomData }
    }
}

impl Drop for PutOff<'_> {
    fn drop(&mut self) {
        if self.was_enabled {
            // SAFETY: attached to the interpreter, for as long as 'py.
            unsafe { pyo3::ffi::PyGC_Enable() };
        }
    }
}

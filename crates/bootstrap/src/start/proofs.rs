//! Types whose values prove what the process has not done yet. A function that is sound only at that time takes one of them.

use std::ops::Deref;

/// Proves that the process has one thread: the environment can be changed while nobody reads it.
#[derive(Debug)]
pub struct OneThread(());

impl OneThread {
    /// # Safety
    ///
    /// The process has one thread for as long as the value lives.
    pub const unsafe fn assume() -> Self {
        Self(())
    }
}

/// Proves that CPython has not started. [`Interpreter::start`](crate::start::interpreter::Interpreter::start) consumes it.
#[derive(Debug)]
pub struct BeforePython(OneThread);

impl BeforePython {
    /// # Safety
    ///
    /// The process has one thread, and CPython has not started. Nothing else in the process has such a value.
    pub const unsafe fn assume() -> Self {
        // SAFETY: the caller promises it.
        Self(unsafe { OneThread::assume() })
    }

    /// CPython has started by the call before this one.
    pub fn python_has_started(self) -> BeforeImports {
        BeforeImports(())
    }
}

impl Deref for BeforePython {
    type Target = OneThread;

    fn deref(&self) -> &OneThread {
        &self.0
    }
}

/// Proves that CPython has just started: no thread imports anything, and none of the function's code has run.
#[derive(Debug)]
pub struct BeforeImports(());

//! CPython's own recursion limit, applied to nesting that a caller controls, and the end of the thread's stack.
//!
//! Before 3.14 CPython counts levels, whatever the size of the stack and of our frames: 10,000 levels are more than a stack of 4 MB
//! holds, or one of 8 MB in a build without optimizations.

use pyo3::exceptions::PyRecursionError;
use pyo3::{PyErr, PyResult, Python, ffi};
use std::cell::Cell;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

/// Runs `nested` one level deeper, or raises `RecursionError` where Python would.
///
/// # Errors
/// The `RecursionError`, or whatever `nested` returns.
pub(crate) fn deeper<T, E: From<PyErr>>(
    py: Python<'_>,
    doing: &CStr,
    nested: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    enter(py, doing)?;
    let result = nested();
    // SAFETY: attached to the interpreter, and `enter` succeeded just above.
    unsafe { ffi::Py_LeaveRecursiveCall() };
    result
}

fn enter(py: Python<'_>, doing: &CStr) -> PyResult<()> {
    // SAFETY: attached to the interpreter; the text is NUL-terminated and only read.
    if unsafe { ffi::Py_EnterRecursiveCall(doing.as_ptr()) } != 0 {
        return Err(PyErr::take(py).unwrap_or_else(|| PyRecursionError::new_err("maximum recursion depth exceeded")));
    }
    if stack_is_short() {
        // SAFETY: attached, and entered just above.
        unsafe { ffi::Py_LeaveRecursiveCall() };
        let doing = doing.to_string_lossy();
        return Err(PyRecursionError::new_err(format!("maximum recursion depth exceeded{doing}")));
    }
    Ok(())
}

/// How far a thread may go below the place where it is first asked before the bounds of its stack are looked up, in bytes: on the
/// main thread that means to read a file of the kernel's, and most documents are not that deep.
const FREE: usize = 16 * 1024;

/// How much of the stack is left alone: for what is called from here and does not ask. An eighth of a small stack.
const RESERVE: usize = 256 * 1024;

thread_local! {
    /// Above this address there is enough stack. The highest at first, so that it is looked into.
    static ENOUGH_ABOVE: Cell<usize> = const { Cell::new(usize::MAX) };
    /// The part of the stack that is left alone, once the bounds are known.
    static RESERVED: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Whether so little of this thread's stack is left that it is time to stop.
fn stack_is_short() -> bool {
    let local = 0_u8;
    let here = (&raw const local).addr();
    here <= ENOUGH_ABOVE.get() && look(here)
}

/// The same where the answer is not plain to see.
#[cold]
fn look(here: usize) -> bool {
    if ENOUGH_ABOVE.get() == usize::MAX {
        ENOUGH_ABOVE.set(here.saturating_sub(FREE));
        return false;
    }
    let reserved = RESERVED.get().unwrap_or_else(|| {
        // Without bounds, CPython's count has to do.
        let Range { start, end } = bounds().unwrap_or(0..0);
        let reserved = (start, start + RESERVE.min((end - start) / 8));
        RESERVED.set(Some(reserved));
        ENOUGH_ABOVE.set(reserved.1);
        reserved
    });
    // Below the stack: on one that somebody has made for a part of the program, of which nothing is known.
    here >= reserved.0 && here <= reserved.1
}

/// The addresses of this thread's stack.
fn bounds() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut start, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the first call fills the attributes where it returns 0; they are read and given back after that, and not before.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (found == 0).then(|| start.addr()..start.addr() + size)
    }
}

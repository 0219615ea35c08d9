//! Sets environment variables where the function sees them: in `os.environ`, if it is imported, and in the process.

use crate::imported_modules::imported;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, NulError, c_char, c_void};
use std::sync::{Mutex, PoisonError};
use std::{io, mem, ptr};

/// Sets or removes a variable, for the function and its child processes.
///
/// Changes `os.environ`, because Python would not notice a change of the C environment. If the function has not imported `os`, changes the
/// dictionary that `os.environ` will be made from: importing `os` would be most of a small function's start.
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

/// Changes the object that the function has assigned to `os.environ`.
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

/// Sets a variable of the C environment. Not by `setenv`, as Python's `os.putenv` does: the C library keeps every value that a variable
/// ever had, and each invocation has another trace id.
fn put(name: &str, value: &str) -> PyResult<()> {
    static VALUES: Mutex<BTreeMap<String, Values>> = Mutex::new(BTreeMap::new());
    let variable = CString::new(format!("{name}={value}")).map_err(no_nul)?;
    let mut values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = values.entry(name.to_owned()).or_default().keep(&variable)?;
    // SAFETY: attached, like all code that changes the environment through Python. The text stays at its address, and is the variable's
    // newest.
    if unsafe { libc::putenv(text) } != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(())
}

/// The texts of one variable that the C environment has pointed at. C code may keep what `getenv` returned. For some hundred invocations it
/// reads its own text, after that an empty one, and never the text of another invocation. An address is used once, and the memory of old
/// texts goes back to the system.
#[derive(Default)]
struct Values {
    /// The newest texts, and the ones before.
    block: Block,
    block_before: Block,
    /// How many bytes of the newest block are in use.
    used: usize,
}

/// Memory that is never unmapped.
#[derive(Default)]
struct Block {
    address: usize,
    /// In bytes. 0 if there is none.
    size: usize,
}

impl Values {
    /// Bytes of a block. A longer text gets a block of its own length.
    const BLOCK: usize = 64 * 1024;

    /// Copies a text to an address that has had no text before.
    fn keep(&mut self, text: &CStr) -> io::Result<*mut c_char> {
        let bytes = text.to_bytes_with_nul();
        if bytes.len() > self.block.size - self.used {
            self.start_block(bytes.len())?;
        }
        let place = (self.block.address + self.used) as *mut c_char;
        // SAFETY: inside the block, behind everything that has been written to it.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), place, bytes.len()) };
        self.used += bytes.len();
        Ok(place)
    }

    fn start_block(&mut self, needed: usize) -> io::Result<()> {
        let size = needed.max(Self::BLOCK);
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the kernel chooses. It is never unmapped.
        let block = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if block == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let old = mem::replace(
            &mut self.block_before,
            mem::replace(&mut self.block, Block { address: block as usize, size }),
        );
        self.used = 0;
        if old.size != 0 {
            // SAFETY: our block, which the environment does not point into any more. Reads return zeros from then on.
            unsafe { libc::madvise(old.address as *mut c_void, old.size, libc::MADV_DONTNEED) };
        }
        Ok(())
    }
}

fn remove(name: &str) -> PyResult<()> {
    let name = CString::new(name).map_err(no_nul)?;
    // SAFETY: attached, as above.
    unsafe { libc::unsetenv(name.as_ptr()) };
    Ok(())
}

fn no_nul(error: NulError) -> PyErr {
    io::Error::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_that_c_code_keeps_never_shows_another_text() {
        let text = |number: usize| CString::new(format!("NAME={number:090}")).expect("no NUL");
        let mut values = Values::default();
        let kept: Vec<_> = (0..5000).map(|number| (number, values.keep(&text(number)).expect("memory"))).collect();
        // SAFETY: the texts end with NUL, in memory that is never unmapped.
        let read = |place: *mut c_char| unsafe { CStr::from_ptr(place) }.to_owned();
        let (gone, there): (Vec<_>, Vec<_>) = kept.into_iter().partition(|&(_, place)| read(place).is_empty());
        assert!(there.iter().all(|&(number, place)| read(place) == text(number)));
        assert!((600..1400).contains(&there.len()), "of the 64 KB before the newest block and of that");
        assert!(gone.iter().all(|&(number, _)| number < 5000 - there.len()));
    }

    #[test]
    fn a_text_may_be_longer_than_a_block() {
        let mut values = Values::default();
        for length in [10, Values::BLOCK, 3 * Values::BLOCK, 10, Values::BLOCK + 1, 10, 10] {
            let text = CString::new(vec![b'x'; length]).expect("no NUL");
            let place = values.keep(&text).expect("memory");
            // SAFETY: as above.
            assert!(unsafe { CStr::from_ptr(place) } == text.as_c_str());
        }
    }
}

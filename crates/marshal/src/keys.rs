//! A cache of the keys of JSON objects. Events of a kind have the same keys, so a cached str need not be made again, nor its hash computed.

use crate::unicode;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// How many keys are cached. A power of two.
const ENTRIES: usize = 512;
/// The longest key that is cached, in bytes. Longer ones are rarely names.
const MAX_KEY: usize = 64;

thread_local! {
    /// One for each thread: without a GIL, threads that count references to the same str wait for each other. Never dropped: a thread-local
    /// destructor runs when the interpreter may be gone (`sys.exit` calls C's `exit` on this thread), and would free strs of a heap that is
    /// gone.
    static CACHE: RefCell<ManuallyDrop<Vec<Option<Py<PyString>>>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// The str of an object's key.
///
/// # Safety
///
/// The key is ASCII.
pub(crate) unsafe fn key<'py>(py: Python<'py>, ascii: &str) -> PyResult<Bound<'py, PyString>> {
    if ascii.len() > MAX_KEY {
        // SAFETY: the caller promises that the key is ASCII.
        return unsafe { unicode::from_ascii(py, ascii) };
    }
    CACHE.with_borrow_mut(|cache| {
        if cache.is_empty() {
            cache.resize_with(ENTRIES, || None);
        }
        let entry = &mut cache[entry(ascii.as_bytes())];
        if let Some(known) = entry {
            let known = known.bind(py);
            if known.to_str()? == ascii {
                return Ok(known.clone());
            }
        }
        // SAFETY: the caller promises that the key is ASCII.
        let new = unsafe { unicode::from_ascii(py, ascii) }?;
        *entry = Some(new.clone().unbind());
        Ok(new)
    })
}

/// The entry of a key. The cache is direct-mapped: keys with the same entry evict each other.
fn entry(key: &[u8]) -> usize {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = key.as_chunks::<8>();
    let hash = words.iter().fold(key.len() as u64, |hash, word| mixed(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    (mixed(hash, last) >> 32) as usize % ENTRIES
}

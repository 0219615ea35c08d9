//! The names of members, kept from one event to the next: events of a kind have the same ones, and a str that is there already need not
//! be made, nor its hash computed.

use crate::unicode;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::cell::RefCell;
use std::mem::ManuallyDrop;

/// How many are kept. A power of two.
const PLACES: usize = 512;
/// In bytes. Longer ones are rarely names.
const LONGEST: usize = 64;

thread_local! {
    /// A thread's own: without a GIL, threads that count references to the same str wait for each other. Never dropped: a thread-local
    /// destructor runs when the interpreter may be gone (`sys.exit` calls C's `exit` on this thread), and would free strs of no heap.
    static KEPT: RefCell<ManuallyDrop<Vec<Option<Py<PyString>>>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// The str of an object's key, which is ASCII.
pub(crate) fn key<'py>(py: Python<'py>, ascii: &str) -> PyResult<Bound<'py, PyString>> {
    if ascii.len() > LONGEST {
        return unicode::from_ascii(py, ascii);
    }
    KEPT.with_borrow_mut(|kept| {
        if kept.is_empty() {
            kept.resize_with(PLACES, || None);
        }
        let place = &mut kept[place(ascii.as_bytes())];
        if let Some(known) = place {
            let known = known.bind(py);
            if known.to_str()? == ascii {
                return Ok(known.clone());
            }
        }
        let new = unicode::from_ascii(py, ascii)?;
        *place = Some(new.clone().unbind());
        Ok(new)
    })
}

/// The one place where a key can be. Keys that share it take turns.
fn place(key: &[u8]) -> usize {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    let (words, rest) = key.as_chunks::<8>();
    let hash = words.iter().fold(key.len() as u64, |hash, word| mixed(hash, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
    (mixed(hash, last) >> 32) as usize % PLACES
}

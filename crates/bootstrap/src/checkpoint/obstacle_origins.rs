//! Where the process got its descriptors and threads from, for the message of a refused checkpoint. Known only in a process that explains.

use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

type Lines<Key> = BTreeMap<Key, Vec<String>>;

/// Of descriptors by their numbers, and of threads by their ids.
static KNOWN: Mutex<(Lines<RawFd>, Lines<u64>)> = Mutex::new((Lines::new(), Lines::new()));

/// Takes over what Python's recorder has found. Returns the lines of code that share memory, by the name of its file.
pub fn take(adapters: &Bound<'_, PyModule>) -> PyResult<Lines<String>> {
    let (descriptors, threads, memory) = adapters.call_method0("origins")?.extract()?;
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = (descriptors, threads);
    Ok(memory)
}

/// The code that opened these descriptors, as further lines of a message.
pub fn of_descriptors(numbers: &[RawFd]) -> String {
    text(&KNOWN.lock().unwrap_or_else(PoisonError::into_inner).0, numbers)
}

/// The code that started these threads, as further lines of a message.
pub fn of_threads(ids: &[u64]) -> String {
    text(&KNOWN.lock().unwrap_or_else(PoisonError::into_inner).1, ids)
}

/// Each line once: a pool's threads have the same.
fn text<Key: Ord>(known: &Lines<Key>, keys: &[Key]) -> String {
    let mut text = String::new();
    for line in keys.iter().filter_map(|key| known.get(key)).flatten().map(|line| format!("\n  {line}")) {
        if !text.contains(&line) {
            text.push_str(&line);
        }
    }
    text
}

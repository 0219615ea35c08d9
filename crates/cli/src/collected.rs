//! A function's log that is kept to be told later.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard},
};

/// A log in memory.
#[derive(Clone, Default)]
pub struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    /// What was written since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.written())
    }

    fn written(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("nobody panics while collecting")
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

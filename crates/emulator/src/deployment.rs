//! What is behind the APIs: one function, whose code may be replaced while callers are connected.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::emulator::Emulator;

/// A function that is served, and which of its versions is.
pub struct Deployment(Mutex<Arc<Emulator>>);

impl Deployment {
    /// Deploys the first version.
    pub fn new(emulator: Arc<Emulator>) -> Arc<Deployment> {
        Arc::new(Deployment(Mutex::new(emulator)))
    }

    /// The version that takes the next event. What runs on an older one goes on there.
    pub fn current(&self) -> Arc<Emulator> {
        Arc::clone(&self.version())
    }

    /// Deploys another version, and returns the one before. It still runs what it has begun.
    pub fn replace(&self, emulator: Arc<Emulator>) -> Arc<Emulator> {
        std::mem::replace(&mut self.version(), emulator)
    }

    fn version(&self) -> MutexGuard<'_, Arc<Emulator>> {
        self.0.lock().expect("nobody panics while deploying")
    }
}

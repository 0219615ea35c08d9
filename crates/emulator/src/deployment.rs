//! What is behind the APIs: one function, whose code may be replaced while callers are connected.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::emulator::Emulator;

/// A function that is served, and which of its versions is.
pub struct Deployment {
    current: Mutex<Arc<Emulator>>,
    before_event: Box<dyn Fn() + Send + Sync>,
}

impl Deployment {
    /// Deploys the first version.
    pub fn new(emulator: Arc<Emulator>) -> Arc<Deployment> {
        Deployment::after(emulator, || {})
    }

    /// Deploys the first version. `before_event` is called for each event that comes, before a version is chosen for it: it can
    /// wait until a newer one is deployed.
    pub fn after(emulator: Arc<Emulator>, before_event: impl Fn() + Send + Sync + 'static) -> Arc<Deployment> {
        Arc::new(Deployment { current: Mutex::new(emulator), before_event: Box::new(before_event) })
    }

    /// The version for an event that has come.
    pub(crate) fn for_event(&self) -> Arc<Emulator> {
        (self.before_event)();
        self.current()
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
        self.current.lock().expect("the lock is not poisoned")
    }
}

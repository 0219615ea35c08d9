//! The `User-Agent` header of requests to the Runtime API.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process was restored from a checkpoint.
static IS_RESTORED: AtomicBool = AtomicBool::new(false);

/// Notes that this process was restored from a checkpoint.
pub fn note_restore() {
    IS_RESTORED.store(true, Ordering::Relaxed);
}

/// Tells Lambda which runtime this is, and whether it was restored from a checkpoint.
pub fn user_agent() -> &'static str {
    if IS_RESTORED.load(Ordering::Relaxed) {
        concat!("whipsnake/", env!("CARGO_PKG_VERSION"), " (restored)")
    } else {
        concat!("whipsnake/", env!("CARGO_PKG_VERSION"))
    }
}

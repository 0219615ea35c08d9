//! Ctrl-C: the function's process ends first, as Lambda ends it, then ours.

use std::{process, sync::Mutex, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::failure::Failure;

/// Held from a signal on: what it has begun is brought to its end.
static ENDING: Mutex<()> = Mutex::new(());

/// From now on Ctrl-C and SIGTERM run `end` and then exit with the code shells expect.
pub fn on_end(end: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("preparing to shut down on Ctrl-C: {error}")))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _ending = ENDING.lock();
            end();
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Returns where no signal has come; else the process ends as that wants it.
pub fn let_end() {
    drop(ENDING.lock());
}

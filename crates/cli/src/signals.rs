//! Ctrl-C: the function's process ends first, as Lambda ends it, then ours.

use std::{process, sync::Arc, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use whipsnake_emulator::Emulator;

use crate::failure::Failure;

/// From now on Ctrl-C and SIGTERM shut `emulator` down and exit with the code shells expect.
pub fn shut_down_on_signal(emulator: &Arc<Emulator>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("preparing to shut down on Ctrl-C: {error}")))?;
    let emulator = Arc::clone(emulator);
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            emulator.shut_down();
            process::exit(128 + signal);
        }
    });
    Ok(())
}

//! Several invocations at once, and what comes of them one after the other.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use whipsnake_emulator::{Emulator, Invocation, Part};

use super::print;
use crate::failure::Failure;

/// Has `one` run for each number below `count`, for at most `limit` of them at a time. True when one of them says so.
pub fn run(count: u32, limit: u16, one: impl Fn(u64) -> Result<bool, Failure> + Sync) -> Result<bool, Failure> {
    let next = AtomicU64::new(0);
    let caller = || -> Result<bool, Failure> {
        let mut has_failed = false;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= u64::from(count) {
                return Ok(has_failed);
            }
            has_failed |= one(number)?;
        }
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..u32::from(limit).min(count)).map(|_| scope.spawn(caller)).collect();
        let mut outcomes = callers.into_iter().map(|caller| caller.join().expect("callers do not panic"));
        outcomes.try_fold(false, |has_failed, outcome| Ok(has_failed | outcome?))
    })
}

/// Invokes once and prints the response when it is whole, with nobody else's between it and its END and REPORT. True when the
/// function failed.
pub fn show(emulator: &Emulator, invocation: &Invocation, printing: &Mutex<()>) -> Result<bool, Failure> {
    let mut streamed = Vec::new();
    let mut printed = Ok(());
    // Held until END and REPORT are in the log.
    let mut turn = None;
    let outcome = emulator
        .invoke_and_show(invocation, &mut |part| match part {
            Part::Beginning { .. } => {}
            Part::Chunk(chunk) => streamed.extend_from_slice(chunk),
            Part::End | Part::Whole(_) | Part::Fault(_) => {
                turn = Some(printing.lock().expect("nobody panics while printing"));
                if matches!(part, Part::End) && !streamed.ends_with(b"\n") {
                    streamed.push(b'\n');
                }
                let mut line_is_open = false;
                printed =
                    print(Part::Chunk(&streamed), &mut line_is_open).and_then(|()| print(part, &mut line_is_open));
            }
        })
        .map_err(|error| Failure::new(error.to_string()))?;
    drop(turn);
    printed.map_err(Failure::printing)?;
    Ok(outcome.fault.is_some())
}

/// What is printed in the order of its numbers, each when those before it are.
#[derive(Default)]
pub struct InOrder {
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
}

impl InOrder {
    /// Takes what belongs to a number, and prints what is due.
    pub fn print(&mut self, number: u64, text: Vec<u8>, print: impl Fn(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.waiting.insert(number, text);
        while let Some(text) = self.waiting.remove(&self.next) {
            self.next += 1;
            print(&text)?;
        }
        Ok(())
    }
}

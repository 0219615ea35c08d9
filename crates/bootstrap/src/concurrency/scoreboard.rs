//! The scoreboard: what each worker process is doing. The supervisor can read it after a worker's death.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{ptr, slice};
use whipsnake_runtime_api::Ticket;

/// Bytes of text in a record. A request id has 36 on Lambda. Ids that do not fit are not noted.
const TEXT: usize = 1008;

/// Memory that the supervisor shares with its workers: one record for each slot. Writing to it needs no system call.
pub struct Scoreboard(&'static [Record]);

/// The entry of one slot.
pub struct Entry(&'static Record);

#[repr(C)]
struct Record {
    state: AtomicU8,
    /// In milliseconds since the epoch; 0 if unknown.
    deadline: AtomicU64,
    /// The request id and the invocation id, each followed by a NUL.
    text: [AtomicU8; TEXT],
}

/// What a worker was doing.
#[derive(Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It has not asked for an invocation yet.
    Starting,
    Waiting,
    /// Its requests for an invocation failed.
    GaveUp,
    /// It serves an invocation, and has not noted a response yet.
    Serving(Ticket),
}

const STARTING: u8 = 0;
const WAITING: u8 = 1;
const GAVE_UP: u8 = 2;
const SERVING: u8 = 3;

impl Scoreboard {
    /// Maps the memory. Processes that are forked later share it, and it is never unmapped.
    pub fn new(slots: usize) -> io::Result<Self> {
        let size = slots * size_of::<Record>();
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let memory = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the memory has this size, begins at a page, is never unmapped, and holds atomics only, for which zeros are valid.
        Ok(Self(unsafe { slice::from_raw_parts(memory.cast::<Record>(), slots) }))
    }

    /// The entry of the worker in this slot.
    pub fn entry(&self, slot: usize) -> Entry {
        Entry(&self.0[slot])
    }
}

impl Entry {
    /// Resets the entry for the slot's next worker.
    pub fn clear(&self) {
        self.0.state.store(STARTING, Ordering::Release);
    }

    pub fn note_idle(&self) {
        self.0.state.store(WAITING, Ordering::Release);
    }

    pub fn note_gave_up(&self) {
        self.0.state.store(GAVE_UP, Ordering::Release);
    }

    /// Notes an invocation. The text is written before the state, because the worker may die at any time.
    pub fn note_busy(&self, ticket: &Ticket, deadline: Option<i64>) {
        let Ticket { request_id, invocation_id } = ticket;
        let invocation_id = invocation_id.as_deref().unwrap_or_default();
        if request_id.len() + invocation_id.len() + 2 > TEXT {
            return;
        }
        let bytes = request_id.bytes().chain([0]).chain(invocation_id.bytes()).chain([0]);
        for (place, byte) in self.0.text.iter().zip(bytes) {
            place.store(byte, Ordering::Relaxed);
        }
        // A deadline that has passed already means that a clock is wrong.
        let deadline = deadline.and_then(|deadline| u64::try_from(deadline).ok()).filter(|&deadline| deadline > now());
        self.0.deadline.store(deadline.unwrap_or_default(), Ordering::Relaxed);
        self.0.state.store(SERVING, Ordering::Release);
    }

    pub fn state(&self) -> WorkerState {
        match self.0.state.load(Ordering::Acquire) {
            WAITING => WorkerState::Waiting,
            GAVE_UP => WorkerState::GaveUp,
            SERVING => {
                let bytes: Vec<u8> = self.0.text.iter().map(|byte| byte.load(Ordering::Relaxed)).collect();
                let mut texts = bytes.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
                let mut text = || texts.next().filter(|text| !text.is_empty());
                match text() {
                    Some(request_id) => WorkerState::Serving(Ticket { request_id, invocation_id: text() }),
                    None => WorkerState::Waiting,
                }
            }
            _ => WorkerState::Starting,
        }
    }

    /// How much time is left for the invocation that the worker serves. `None` if it serves none, or if the deadline is unknown.
    pub fn time_left(&self) -> Option<Duration> {
        let is_serving = self.0.state.load(Ordering::Acquire) == SERVING;
        let deadline = Some(self.0.deadline.load(Ordering::Relaxed)).filter(|&deadline| is_serving && deadline > 0);
        deadline.map(|deadline| Duration::from_millis(deadline.saturating_sub(now())))
    }
}

/// In milliseconds since the epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(request_id: &str, invocation_id: Option<&str>) -> Ticket {
        Ticket { request_id: request_id.into(), invocation_id: invocation_id.map(Into::into) }
    }

    #[test]
    fn a_record_shows_what_its_worker_did_last() {
        let scoreboard = Scoreboard::new(2).expect("memory");
        let (first, second) = (scoreboard.entry(0), scoreboard.entry(1));
        assert_eq!(second.state(), WorkerState::Starting);
        for ticket in [ticket("a-long-request-id", Some("guard")), ticket("b", None)] {
            second.note_busy(&ticket, None);
            first.note_idle();
            assert_eq!((first.state(), second.state()), (WorkerState::Waiting, WorkerState::Serving(ticket)));
        }
        second.note_gave_up();
        assert_eq!(scoreboard.entry(1).state(), WorkerState::GaveUp);
        second.clear();
        assert_eq!(second.state(), WorkerState::Starting);
        first.note_busy(&ticket(&"x".repeat(TEXT), None), None);
        assert_eq!(first.state(), WorkerState::Waiting, "ids that do not fit are not noted");
    }

    #[test]
    fn the_time_left_is_that_of_the_invocation_that_is_served() {
        let entry = Scoreboard::new(1).expect("memory").entry(0);
        let now = i64::try_from(now()).expect("milliseconds since the epoch fit 64 bits");
        entry.note_busy(&ticket("a", None), Some(now + 20));
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(entry.time_left(), Some(Duration::ZERO));
        entry.note_busy(&ticket("a", None), Some(now + 60_000));
        assert!(entry.time_left().is_some_and(|left| (58..=60).contains(&left.as_secs())));
        entry.note_idle();
        assert_eq!(entry.time_left(), None);
        for unknown in [None, Some(0), Some(-1), Some(now - 60_000)] {
            entry.note_busy(&ticket("a", None), unknown);
            assert_eq!(entry.time_left(), None);
        }
    }
}

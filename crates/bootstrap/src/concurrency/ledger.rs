//! What each worker process is doing, where its supervisor can read it after its death.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use whipsnake_runtime_api::Ticket;

/// One worker's share of the file, in bytes. A request id has 36 on Lambda; one that does not fit is not noted.
const LINE: usize = 1024;

/// Memory that the supervisor has in common with its workers, as a file. A note is one small write, the second of two an invocation.
pub struct Ledger(Arc<File>);

/// One worker's line in it.
pub struct Line {
    ledger: Arc<File>,
    offset: u64,
}

/// What a worker was doing.
#[derive(Debug, PartialEq, Eq)]
pub enum Doing {
    /// It has not asked for an invocation yet.
    Starting,
    Waiting,
    /// It found no way to ask.
    GaveUp,
    /// It serves an invocation, and has not answered it as far as it noted.
    Serving(Ticket),
}

const STARTING: u8 = 0;
const WAITING: u8 = 1;
const GAVE_UP: u8 = 2;
const SERVING: u8 = 3;

impl Ledger {
    pub fn open() -> io::Result<Self> {
        // SAFETY: makes a descriptor out of nothing but a name.
        let descriptor = unsafe { libc::memfd_create(c"whipsnake-workers".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else knows of it.
        Ok(Self(Arc::new(unsafe { File::from_raw_fd(descriptor) })))
    }

    /// The line of the worker in this position.
    pub fn line(&self, position: usize) -> Line {
        Line { ledger: Arc::clone(&self.0), offset: (position * LINE) as u64 }
    }
}

impl Line {
    /// For a worker that takes the place of another one.
    pub fn clear(&self) {
        self.write(&[STARTING]);
    }

    pub fn note_idle(&self) {
        self.write(&[WAITING]);
    }

    pub fn note_gave_up(&self) {
        self.write(&[GAVE_UP]);
    }

    pub fn note_busy(&self, ticket: &Ticket) {
        let Ticket { request_id, invocation_id } = ticket;
        let invocation_id = invocation_id.as_deref().unwrap_or_default();
        let text = format!("{request_id}\0{invocation_id}\0");
        if text.len() < LINE {
            self.write(&[&[SERVING], text.as_bytes()].concat());
        }
    }

    pub fn doing(&self) -> Doing {
        let mut bytes = [0; LINE];
        let read = self.ledger.read_at(&mut bytes, self.offset).unwrap_or_default();
        let Some((&state, text)) = bytes[..read].split_first() else { return Doing::Starting };
        match state {
            WAITING => Doing::Waiting,
            GAVE_UP => Doing::GaveUp,
            SERVING => {
                let mut texts = text.split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
                let mut text = || texts.next().filter(|text| !text.is_empty());
                match text() {
                    Some(request_id) => Doing::Serving(Ticket { request_id, invocation_id: text() }),
                    None => Doing::Waiting,
                }
            }
            _ => Doing::Starting,
        }
    }

    /// Without it the worker still serves; only its death would be told of less.
    fn write(&self, note: &[u8]) {
        if let Err(error) = self.ledger.write_all_at(note, self.offset) {
            tracing::warn!(%error, "a worker cannot note what it does");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_its_worker_did_last() {
        let ledger = Ledger::open().expect("memory");
        let (first, second) = (ledger.line(0), ledger.line(1));
        assert_eq!(second.doing(), Doing::Starting);
        let ticket = |request_id: &str, invocation_id: Option<&str>| Ticket {
            request_id: request_id.into(),
            invocation_id: invocation_id.map(Into::into),
        };
        for ticket in [ticket("a-long-request-id", Some("guard")), ticket("b", None)] {
            second.note_busy(&ticket);
            first.note_idle();
            assert_eq!((first.doing(), second.doing()), (Doing::Waiting, Doing::Serving(ticket)));
        }
        second.note_gave_up();
        assert_eq!(ledger.line(1).doing(), Doing::GaveUp);
        second.clear();
        assert_eq!(second.doing(), Doing::Starting);
        first.note_busy(&ticket(&"x".repeat(LINE), None));
        assert_eq!(first.doing(), Doing::Waiting, "nothing is written into the next line");
    }
}

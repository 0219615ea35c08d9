//! The function's log: what the function wrote, between the lines Lambda writes.

use std::{
    io::{self, PipeReader, Read, Write},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::ioctl_fionbio,
};

/// As much of an invocation's log as a caller can get with its answer.
const TAIL: usize = 4 * 1024;

/// Where a function's log goes.
pub(crate) struct Log(Mutex<Lines>);

struct Lines {
    target: Box<dyn Write + Send>,
    /// The end of the current invocation's log.
    tail: Vec<u8>,
    line_is_open: bool,
}

impl Log {
    pub(crate) fn new(target: Box<dyn Write + Send>) -> Self {
        Log(Mutex::new(Lines { target, tail: Vec::new(), line_is_open: false }))
    }

    /// Writes what the function wrote.
    pub(crate) fn output(&self, bytes: &[u8]) {
        self.lines().write(bytes);
    }

    /// Writes a line of Lambda's own, never in the middle of one of the function's.
    pub(crate) fn line(&self, line: &str) {
        let mut lines = self.lines();
        if lines.line_is_open {
            lines.write(b"\n");
        }
        lines.write(line.as_bytes());
        lines.write(b"\n");
    }

    /// Forgets the tail: another invocation begins.
    pub(crate) fn begin(&self) {
        self.lines().tail.clear();
    }

    /// The last 4 KB since [`begin`](Log::begin).
    pub(crate) fn tail(&self) -> Vec<u8> {
        self.lines().tail.clone()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().expect("the lock is not poisoned")
    }
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else {
            return;
        };
        self.line_is_open = *last != b'\n';
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        // Nobody is left to tell when our own standard error is closed.
        let _ = self.target.write_all(bytes).and_then(|()| self.target.flush());
    }
}

/// The pipe that is the function's stdout and stderr, one for both so that their order is kept.
pub(crate) struct Output {
    reader: Mutex<PipeReader>,
    log: Arc<Log>,
    /// The first bytes, in which the runtime tells about its start.
    beginning: Mutex<Vec<u8>>,
}

impl Output {
    /// Forwards to `log` whenever something comes.
    pub(crate) fn forward(reader: PipeReader, log: Arc<Log>) -> io::Result<Arc<Output>> {
        ioctl_fionbio(&reader, true)?;
        let polled = reader.try_clone()?;
        let output = Arc::new(Output { reader: Mutex::new(reader), log, beginning: Mutex::default() });
        let forwarding = Arc::clone(&output);
        thread::spawn(move || {
            loop {
                let mut sources = [PollFd::new(&polled, PollFlags::IN)];
                match poll(&mut sources, None) {
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => return,
                    Ok(_) => {
                        if !forwarding.drain() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(output)
    }

    /// What the first line says behind `start`, if it begins so.
    pub(crate) fn first_line(&self, start: &str) -> Option<String> {
        let beginning = self.beginning.lock().expect("nobody panics while forwarding");
        let text = String::from_utf8_lossy(&beginning);
        text.lines().next()?.strip_prefix(start).map(str::to_owned)
    }

    fn keep(&self, bytes: &[u8]) {
        let mut beginning = self.beginning.lock().expect("nobody panics while forwarding");
        let room = TAIL - beginning.len();
        beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Forwards all that was written until now; returns when it is in the log. False at the end of the pipe.
    pub(crate) fn drain(&self) -> bool {
        // Also waits for the other thread, which may hold bytes it has read and not yet logged.
        let mut reader = self.reader.lock().expect("the lock is not poisoned");
        let mut buffer = [0; 16 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return false,
                Ok(read) => {
                    self.keep(&buffer[..read]);
                    self.log.output(&buffer[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

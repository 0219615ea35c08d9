//! One start of a function, up to its first request to the Runtime API.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::File,
    io::{self, Read},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use whipsnake_checkpoint_format::PAGE;
use whipsnake_emulator::Function;

use super::Place;
use crate::failure::Failure;

/// How long a start may take. More than Lambda allows: this machine may be slower, or an emulated one.
const LIMIT: Duration = Duration::from_secs(120);

/// How often a process is looked at that has not asked for anything yet.
const PAUSE: Duration = Duration::from_micros(50);

/// Pages that a process has used, by address.
#[derive(Default)]
pub struct Pages {
    /// Read or written.
    pub touched: BTreeSet<u64>,
    /// Written.
    pub written: BTreeSet<u64>,
}

/// A process that waits for its first invocation. It ends with this.
pub struct Start {
    child: Child,
    /// Kept open: the process waits for an answer.
    connection: Option<TcpStream>,
    request: String,
    took: Duration,
}

impl Start {
    /// Starts the program with the function's environment and `more`, and waits for its request.
    pub fn of(
        place: &Place,
        program: &Path,
        function: &Function,
        more: &[(OsString, OsString)],
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("starting the function: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let variables = function.environment_of_process(Some(address));
        let mut environment: Vec<_> = variables.into_iter().map(|(name, value)| (name.into(), value)).collect();
        environment.extend(more.iter().cloned());
        let mut command = place.command(program, &[], &environment);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut start = Self {
            child: command.spawn().map_err(failed)?,
            connection: None,
            request: String::new(),
            took: Duration::ZERO,
        };
        loop {
            match listener.accept() {
                Ok((connection, _)) => {
                    start.took = began.elapsed();
                    start.request = first_line(&connection).map_err(failed)?;
                    start.connection = Some(connection);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
            if let Some(status) = start.child.try_wait().map_err(failed)? {
                return Err(Failure::new(format!(
                    "the process ended with {status} before it asked for an invocation: {}",
                    start.output()
                )));
            }
            if began.elapsed() > LIMIT {
                let seconds = LIMIT.as_secs();
                return Err(Failure::new(format!(
                    "the function did not ask for an invocation within {seconds} seconds: {}",
                    start.output()
                )));
            }
            std::thread::sleep(PAUSE);
        }
        if start.request.is_empty() {
            return Err(Failure::new(format!("the process sent no request to the Runtime API: {}", start.output())));
        }
        Ok(start)
    }

    /// Whether the function has been initialized.
    pub fn has_succeeded(&self) -> bool {
        self.request.contains("/invocation/next")
    }

    /// From the start of the process to its request, in milliseconds.
    pub fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }

    /// Whether the process was restored from a checkpoint.
    pub fn is_restored(&self) -> bool {
        self.request.to_ascii_lowercase().contains("(restored)")
    }

    /// What the process has written to standard error, after which it has ended.
    pub fn output(mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        text.trim().to_owned()
    }

    /// The pages that the process has used.
    pub fn pages(&self) -> io::Result<Pages> {
        /// Set in an entry for a page that is in memory.
        const PRESENT: u64 = 1 << 63;
        /// Set in an entry for a page of a file. The process has a copy of its own of those that it has written to.
        const OF_FILE: u64 = 1 << 61;
        let process = format!("/proc/{}", self.child.id());
        let table = File::open(format!("{process}/pagemap"))?;
        let mut pages = Pages::default();
        for line in std::fs::read_to_string(format!("{process}/maps"))?.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let Some((Ok(start), Ok(end))) = range.map(|(start, end)| (address(start), address(end))) else { continue };
            let count = usize::try_from((end - start) / PAGE).unwrap_or(0);
            let mut entries = vec![0; count * 8];
            // Addresses of the kernel's own have no entries.
            if table.read_exact_at(&mut entries, start / PAGE * 8).is_err() {
                continue;
            }
            for (index, entry) in entries.chunks_exact(8).enumerate() {
                let entry = entry.try_into().map_or(0, u64::from_ne_bytes);
                let page = start + index as u64 * PAGE;
                if entry & PRESENT != 0 {
                    pages.touched.insert(page);
                }
                if entry & (PRESENT | OF_FILE) == PRESENT {
                    pages.written.insert(page);
                }
            }
        }
        Ok(pages)
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(digits: &str) -> Result<u64, std::num::ParseIntError> {
    u64::from_str_radix(digits, 16)
}

/// The head of a request: its line and its headers.
fn first_line(mut connection: &TcpStream) -> io::Result<String> {
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(LIMIT))?;
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => break,
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

//! A log of several invocations at once, taken apart.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard},
};

/// The second line of what Lambda logs when a process ended: it names no invocation.
const CONTINUATION: &[u8] = b"Runtime.ExitError\n";

/// Keeps the lines that name an invocation until they are asked for. What names none goes on to another writer, line by line.
#[derive(Clone)]
pub struct LogByInvocation(Arc<Mutex<Lines>>);

struct Lines {
    kept: HashMap<String, Vec<u8>>,
    /// The invocation that the line before named.
    latest: Option<String>,
    /// A line whose end is still to come.
    open: Vec<u8>,
    others: Box<dyn Write + Send>,
}

impl LogByInvocation {
    /// `others` gets what belongs to no invocation.
    pub fn new(others: Box<dyn Write + Send>) -> Self {
        let lines = Lines { kept: HashMap::new(), latest: None, open: Vec::new(), others };
        LogByInvocation(Arc::new(Mutex::new(lines)))
    }

    /// From now on the lines of this invocation are kept.
    pub fn keep(&self, request_id: &str) {
        self.lines().kept.insert(request_id.to_owned(), Vec::new());
    }

    /// Its lines until now. Later ones belong to none.
    pub fn take(&self, request_id: &str) -> Vec<u8> {
        self.lines().kept.remove(request_id).unwrap_or_default()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().expect("nobody panics while logging")
    }
}

impl Lines {
    fn place(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let named = self.kept.keys().find(|id| text.contains(id.as_str())).cloned();
        self.latest = if line == CONTINUATION { self.latest.take() } else { named };
        match self.latest.as_ref().and_then(|id| self.kept.get_mut(id)) {
            Some(kept) => kept.extend_from_slice(line),
            None => self.others.write_all(line)?,
        }
        Ok(())
    }
}

impl Write for LogByInvocation {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.open.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut lines.open);
                lines.place(&line)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines().others.flush()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Nobody is left to tell when standard error is closed.
        let _ = self.others.write_all(&self.open);
    }
}

#[cfg(test)]
mod tests {
    use super::{LogByInvocation, Write};
    use crate::collected::Collected;

    #[test]
    fn lines_go_where_they_are_named_wherever_they_were_cut() {
        let others = Collected::default();
        let mut log = LogByInvocation::new(Box::new(others.clone()));
        log.keep("id-1");
        log.keep("id-2");
        for part in ["START id-1\nSTART id", "-2\nnobody's\n", "a id-2\nRequestId: id-1 Error\nRuntime.ExitError", "\n"]
        {
            log.write_all(part.as_bytes()).expect("writes");
        }
        assert_eq!(log.take("id-1"), b"START id-1\nRequestId: id-1 Error\nRuntime.ExitError\n");
        log.write_all(b"late id-1\nRuntime.ExitError\nhalf").expect("writes");
        assert_eq!(log.take("id-2"), b"START id-2\na id-2\n");
        drop(log);
        assert_eq!(others.take(), b"nobody's\nlate id-1\nRuntime.ExitError\nhalf");
    }
}

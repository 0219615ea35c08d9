//! `sys.stdout` and `sys.stderr`: what the function writes to them is out when the call returns.

mod printing;
mod stream;

use crate::modules::sys;
use pyo3::intern;
use pyo3::prelude::*;
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use stream::StandardStream;

/// Opens descriptors 0 to 2 where they are closed, so that no socket gets such a number and receives what is printed. Makes writes to a
/// closed pipe fail instead of ending the process. Rust does both before its `main`.
pub fn make_safe() {
    for descriptor in 0..=2 {
        // SAFETY: asks, and opens the lowest number that is free, which this one is.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
    // SAFETY: ignoring a signal is always allowed, and there is one thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Replaces the two streams by ones that flush each write, as the managed runtime does, and `print` by one that writes once where
/// the managed runtime writes once a piece. A stream that does not exist stays None.
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    let streams = StandardStream::class(py)?;
    let sys = sys(py);
    for (name, original) in
        [(intern!(py, "stdout"), intern!(py, "__stdout__")), (intern!(py, "stderr"), intern!(py, "__stderr__"))]
    {
        let stream = sys.getattr(name)?;
        if stream.is_none() {
            continue;
        }
        let replacement = streams.in_place_of(&stream)?;
        // Held for the life of the process: a stream that is collected closes the descriptor below it.
        std::mem::forget(stream);
        sys.setattr(name, &replacement)?;
        // A reference that outlives what the function may put in the other's place.
        sys.setattr(original, replacement)?;
    }
    printing::set_up(py)
}

/// Flushes what is left: bytes that the function wrote to `sys.stdout.buffer`, and text that could not be written before. The
/// function's own streams are flushed where that runs none of its code: what it put in their place may take its time, be closed or be
/// gone, and is no reason to fail or to delay a response.
pub fn flush(py: Python<'_>) {
    for name in [intern!(py, "stdout"), intern!(py, "stderr")] {
        if let Ok(stream) = sys(py).getattr(name) {
            flush_stream(&stream);
        }
    }
}

/// Flushes whatever the function has as its streams, as CPython does at its end.
pub fn flush_at_end(py: Python<'_>) {
    for name in [intern!(py, "stdout"), intern!(py, "stderr")] {
        // There is nobody left to tell of an error.
        let _ = sys(py).getattr(name).and_then(|stream| stream.call_method0(intern!(py, "flush")));
    }
}

fn flush_stream(stream: &Bound<'_, PyAny>) {
    let Ok(streams) = StandardStream::class(stream.py()) else { return };
    // No `Exception` of a flush is of interest here, and no code of the function's can raise anything else.
    let _ = streams.flush_if_built_in(stream);
}

/// Writes to what the function has as `sys.stdout` now, so that a redirection catches our lines as it catches the function's; to the
/// process's standard output where that does not work.
pub fn write_out(py: Python<'_>, text: &str) {
    let written = sys(py).getattr(intern!(py, "stdout")).and_then(|stdout| {
        stdout.call_method1(intern!(py, "write"), (text,))?;
        flush_stream(&stdout);
        Ok(())
    });
    if written.is_err() {
        // SAFETY: a number, and nothing is closed: if the function has closed this descriptor, the write fails.
        let mut stdout = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) });
        let _ = py.detach(|| stdout.write_all(text.as_bytes()));
    }
}

//! `sys.stdout` and `sys.stderr`: what the function writes has been written when the call returns.

mod printing;
mod stream;

use crate::imported_modules::sys;
use pyo3::intern;
use pyo3::prelude::*;
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use stream::StandardStream;

/// Opens the descriptors 0 to 2 if they are closed. Otherwise a socket could get such a number and receive what is printed. Makes writes to
/// a closed pipe fail instead of ending the process. Rust does both before its own `main`.
pub fn make_safe() {
    for descriptor in 0..=2 {
        // SAFETY: asks about a descriptor, and opens the lowest free number, which is this one.
        unsafe {
            if libc::fcntl(descriptor, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
    // SAFETY: ignoring a signal is always allowed, and there is one thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Replaces the two streams by streams that flush each write, as on the managed runtime, and `print` by one that writes a line with one
/// system call. A stream that does not exist stays None.
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
        // Kept for the life of the process: a stream that is collected closes its descriptor.
        std::mem::forget(stream);
        sys.setattr(name, &replacement)?;
        // Keeps the stream alive if the function replaces the other reference.
        sys.setattr(original, replacement)?;
    }
    printing::set_up(py)
}

/// Flushes bytes that the function wrote to `sys.stdout.buffer`, and text that could not be written before. The function's own streams are
/// flushed only if that runs none of its code: they may be slow, closed or deleted, which must not fail or delay a response.
pub fn flush(py: Python<'_>) {
    for name in [intern!(py, "stdout"), intern!(py, "stderr")] {
        if let Ok(stream) = sys(py).getattr(name) {
            flush_stream(&stream);
        }
    }
}

/// Flushes the current streams, whatever they are, as CPython does at its end.
pub fn flush_at_end(py: Python<'_>) {
    for name in [intern!(py, "stdout"), intern!(py, "stderr")] {
        // At the end of the process an error cannot be reported.
        let _ = sys(py).getattr(name).and_then(|stream| stream.call_method0(intern!(py, "flush")));
    }
}

fn flush_stream(stream: &Bound<'_, PyAny>) {
    let Ok(streams) = StandardStream::class(stream.py()) else { return };
    // An `Exception` of a flush is ignored. None of the function's code runs, so nothing else can be raised.
    let _ = streams.flush_if_built_in(stream);
}

/// Writes to the current `sys.stdout`, so that a redirection catches our lines like the function's. Falls back to the process's standard
/// output.
pub fn write_out(py: Python<'_>, text: &str) {
    let written = sys(py).getattr(intern!(py, "stdout")).and_then(|stdout| {
        stdout.call_method1(intern!(py, "write"), (text,))?;
        flush_stream(&stdout);
        Ok(())
    });
    if written.is_err() {
        // SAFETY: the descriptor is not closed here. If the function has closed it, the write fails.
        let mut stdout = ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) });
        let _ = py.detach(|| stdout.write_all(text.as_bytes()));
    }
}

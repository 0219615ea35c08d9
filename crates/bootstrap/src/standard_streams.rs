//! `sys.stdout` and `sys.stderr`.

use crate::interpreter::sys;
use pyo3::intern;
use pyo3::prelude::*;
use std::io::Write;

/// Has descriptors 0 to 2 open, so that no socket gets such a number and what is printed with it, and makes writes to a closed pipe fail
/// instead of ending the process. Rust does both before its `main`.
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

/// Makes the streams write each line as it ends (python/src/whipsnake/_streams.py). The managed runtime flushes every single
/// write, so that one `print` with two arguments is four pieces for other threads and processes to cut into; what has no line end
/// yet goes out before the answer.
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    py.import("whipsnake._streams")?.call_method0("install")?;
    Ok(())
}

/// Has the lines of several threads that print at once kept whole.
pub fn share(py: Python<'_>) -> PyResult<()> {
    py.import("whipsnake._streams")?.call_method0("share").map(drop)
}

/// Flushes what the function left. Its streams may be closed, replaced or gone: that is no reason to fail.
pub fn flush(py: Python<'_>) {
    let sys = sys(py);
    for name in [intern!(py, "stdout"), intern!(py, "stderr")] {
        if let Ok(stream) = sys.getattr(name) {
            let _ = stream.call_method0(intern!(py, "flush"));
        }
    }
}

/// Writes to what the function has as `sys.stdout` now, so that a redirection catches our lines as it catches its own; to the
/// process's standard output where that does not work.
pub fn write_out(py: Python<'_>, text: &str) {
    let written = sys(py).getattr(intern!(py, "stdout")).and_then(|stdout| {
        stdout.call_method1(intern!(py, "write"), (text,))?;
        stdout.call_method0(intern!(py, "flush"))
    });
    if written.is_err() {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

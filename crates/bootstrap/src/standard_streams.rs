//! `sys.stdout` and `sys.stderr`.

use crate::interpreter::sys;
use pyo3::intern;
use pyo3::prelude::*;
use std::io::Write;

/// Makes the streams write each line as it ends (python/src/whipsnake/_streams.py). The managed runtime flushes every single
/// write, so that one `print` with two arguments is four pieces for other threads and processes to cut into; what has no line end
/// yet goes out before the answer.
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    py.import("whipsnake._streams")?.call_method0("install")?;
    Ok(())
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

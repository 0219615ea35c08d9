//! Our own words on standard error. They are rare, and must not fail: the function may have closed that descriptor, or filled the disk behind it.

use std::fmt::{Display, Write as _};
use std::io;

/// Writes one line. `eprintln!` panics where it cannot be written, and a second panic aborts the process.
pub fn notice(text: impl Display) {
    let mut line = String::new();
    // An error is one of the text's `Display`: there is a part of it then.
    let _ = writeln!(line, "whipsnake: {text}");
    write(line.as_bytes());
}

/// In one piece where the kernel takes it: other workers may be saying the same.
fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: a number of a descriptor, open or not, and bytes that live.
        let written = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Standard error as something to write to. What cannot be written is lost, and no error.
pub struct StandardError;

impl io::Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! The runtime's own lines on standard error. Writing them must not fail: the function may have closed the descriptor, or filled the disk.

use std::fmt::{Display, Write as _};
use std::io;

/// Writes one line. `eprintln!` panics if it cannot write, and a second panic aborts the process.
pub fn notice(text: impl Display) {
    let mut line = String::new();
    // Fails if the text's own `Display` fails. Then the line has a part of the text.
    let _ = writeln!(line, "whipsnake: {text}");
    write(line.as_bytes());
}

/// Writes in one piece if the kernel takes it: other workers may write at the same time.
fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: a descriptor's number, open or not, and bytes that live through the call.
        let written = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Standard error as a writer. Text that cannot be written is lost, which is no error.
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

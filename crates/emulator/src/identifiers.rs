//! Identifiers shaped as AWS shapes them, from the kernel's randomness.

use std::{
    fmt::Write,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::rand::{GetRandomFlags, getrandom};

/// A version 4 UUID, as request ids are.
pub(crate) fn uuid() -> io::Result<String> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(groups.join("-"))
}

/// An X-Ray trace header of a sampled request.
pub(crate) fn trace() -> io::Result<String> {
    let mut bytes = [0; 20];
    fill(&mut bytes)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (root, parent) = bytes.split_at(12);
    Ok(format!("Root=1-{seconds:08x}-{};Parent={};Sampled=1", hex(root), hex(parent)))
}

/// 32 hexadecimal digits, as log streams end in.
pub(crate) fn digits() -> io::Result<String> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(hex(&bytes))
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    // Up to 256 bytes the kernel gives all at once.
    getrandom(bytes, GetRandomFlags::empty())?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

//! How large a package is, part by part, and how much room is left.

use std::fmt;

use super::contents::Contents;

/// Lambda's limit for a zip that is uploaded directly.
pub const MOST_ZIPPED: u64 = 50 << 20;
/// Lambda's limit for a function with all its layers when unpacked.
pub const MOST_UNPACKED: u64 = 250 << 20;

/// A table for people.
pub struct Sizes<'a> {
    /// What is in the package.
    pub contents: &'a Contents,
    /// The size of its zip, where there is one.
    pub zipped: Option<u64>,
}

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.contents.sizes();
        let unpacked = sizes.values().sum();
        for (part, size) in sizes {
            writeln!(formatter, "{:<20}{}", part.name(), megabytes(size))?;
        }
        writeln!(formatter, "{:<20}{}   {}", "unpacked", megabytes(unpacked), room(unpacked, MOST_UNPACKED))?;
        if let Some(zipped) = self.zipped {
            writeln!(formatter, "{:<20}{}   {}", "zipped", megabytes(zipped), room(zipped, MOST_ZIPPED))?;
        }
        Ok(())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:>6.1} MB", bytes as f64 / f64::from(1 << 20))
}

fn room(bytes: u64, most: u64) -> String {
    let limit = format!("the {} MB that Lambda allows", most >> 20);
    match most.checked_sub(bytes) {
        Some(left) => format!("{} left of {limit}", megabytes(left).trim_start()),
        None => format!("too much: {} above {limit}", megabytes(bytes - most).trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn what_is_too_much_is_said() {
        assert_eq!(room(10 << 20, 50 << 20), "40.0 MB left of the 50 MB that Lambda allows");
        assert_eq!(room(51 << 20, 50 << 20), "too much: 1.0 MB above the 50 MB that Lambda allows");
    }
}

//! What is said about a finished layer: how large it is, how much room is left, how to publish it.

use std::{fmt, path::Path};

use super::{architecture::Architecture, archive, contents::Contents, image};

/// Lambda's limit for a zip that is uploaded directly.
pub const MOST_ZIPPED: u64 = 50 << 20;
/// Lambda's limit for a function with all its layers when unpacked.
pub const MOST_UNPACKED: u64 = 250 << 20;

/// A layer that was written.
pub struct Report<'a> {
    /// Where the zip is.
    pub file: &'a Path,
    /// Its bytes.
    pub zip: &'a [u8],
    /// What is in it.
    pub contents: &'a Contents,
    /// What the layer is to be called.
    pub layer: &'a str,
    /// What it is for.
    pub architectures: &'a [Architecture],
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.contents.sizes();
        let (zipped, unpacked) = (self.zip.len() as u64, sizes.values().sum());
        for (part, size) in sizes {
            writeln!(formatter, "{:<20}{}", part.name(), megabytes(size))?;
        }
        writeln!(formatter, "{:<20}{}   {}", "unpacked", megabytes(unpacked), room(unpacked, MOST_UNPACKED))?;
        writeln!(formatter, "{:<20}{}   {}", "zipped", megabytes(zipped), room(zipped, MOST_ZIPPED))?;
        let file = self.file.display();
        let architectures: Vec<String> = self.architectures.iter().map(Architecture::to_string).collect();
        writeln!(formatter, "\nsha256 {}\n{file}\n", archive::sha256(self.zip))?;
        write!(
            formatter,
            "aws lambda publish-layer-version --layer-name {} --compatible-runtimes {} --compatible-architectures {} \
             --zip-file fileb://{file}",
            self.layer,
            image::NAME,
            architectures.join(" "),
        )
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

//! How large a package is, part by part, and how much room is left.

use std::fmt;

use super::contents::Contents;
use crate::failure::Failure;

/// Lambda's limit for a zip that is uploaded directly.
pub const MOST_ZIPPED: u64 = 50 << 20;
/// Lambda's limit for a function with all its layers when unpacked.
pub const MOST_UNPACKED: u64 = 250 << 20;

/// Lambda's limit for a container image, the largest that a function can be.
pub const MOST_IN_IMAGE: u64 = 10 << 30;
/// How many of the largest files are named where a package is too large.
const NAMED: usize = 5;

/// Refuses what Lambda would refuse: more than `most` bytes in all files of a package, given by their paths and sizes.
pub fn check<'a>(files: impl IntoIterator<Item = (&'a str, u64)>, most: u64) -> Result<(), Failure> {
    let mut files: Vec<_> = files.into_iter().collect();
    let total = files.iter().map(|(_, size)| size).sum::<u64>();
    let Some(above @ 1..) = total.checked_sub(most) else { return Ok(()) };
    files.sort_by_key(|(path, size)| (std::cmp::Reverse(*size), *path));
    let largest = files.iter().take(NAMED).map(|(path, size)| format!("{path} ({})", of(*size)));
    Err(Failure::new(format!(
        "the package has {} unpacked, {} above the {} MB that Lambda allows, so nothing was written; its largest files are {}",
        of(total),
        of(above),
        most >> 20,
        largest.collect::<Vec<_>>().join(", ")
    )))
}

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
            writeln!(formatter, "{:<20}{:>9}", part.name(), of(size))?;
        }
        writeln!(formatter, "{:<20}{:>9}   {}", "unpacked", of(unpacked), room_unpacked(unpacked))?;
        if let Some(zipped) = self.zipped {
            writeln!(formatter, "{:<20}{:>9}   {}", "zipped", of(zipped), room_for_upload(zipped))?;
        }
        Ok(())
    }
}

/// A size for people, in the megabytes that Lambda counts its limits in, or in kilobytes.
pub fn of(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} kB", bytes.div_ceil(1 << 10))
    } else {
        format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
    }
}

fn room(left: u64, most: u64) -> String {
    format!("{} left of the {} MB that Lambda allows", of(left), most >> 20)
}

/// A zip of more is refused before anything is written; a folder may be meant for an image.
fn room_unpacked(unpacked: u64) -> String {
    match MOST_UNPACKED.checked_sub(unpacked) {
        Some(left) => room(left, MOST_UNPACKED),
        None => {
            format!("above the {} MB that Lambda allows for a zip: deploy it as a container image", MOST_UNPACKED >> 20)
        }
    }
}

/// A larger zip is no error: S3 takes it.
fn room_for_upload(zipped: u64) -> String {
    match MOST_ZIPPED.checked_sub(zipped) {
        Some(left) => room(left, MOST_ZIPPED),
        None => format!("above the {} MB that can be uploaded directly: upload it to S3", MOST_ZIPPED >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, of, room_for_upload, room_unpacked};

    #[test]
    fn a_small_file_is_not_called_nothing() {
        assert_eq!([0, 1, 8_000, 1 << 20, 40 << 20].map(of), ["0 kB", "1 kB", "8 kB", "1.0 MB", "40.0 MB"]);
    }

    #[test]
    fn a_package_that_is_too_large_names_its_largest_files() {
        let files = [("a", 1 << 20), ("b", 100 << 20), ("c", 150 << 20)];
        check(files, 251 << 20).expect("it fits");
        let said = check(files, 250 << 20).expect_err("it does not").to_string();
        assert_eq!(
            said,
            "the package has 251.0 MB unpacked, 1.0 MB above the 250 MB that Lambda allows, so nothing was written; its largest \
             files are c (150.0 MB), b (100.0 MB), a (1.0 MB)"
        );
    }

    #[test]
    fn a_zip_that_takes_s3_is_not_called_too_much() {
        assert_eq!(room_for_upload(10 << 20), "40.0 MB left of the 50 MB that Lambda allows");
        let said = room_for_upload(51 << 20);
        assert_eq!(said, "above the 50 MB that can be uploaded directly: upload it to S3");
    }

    #[test]
    fn a_folder_that_takes_an_image_is_not_called_too_much() {
        assert_eq!(room_unpacked(10 << 20), "240.0 MB left of the 250 MB that Lambda allows");
        let said = room_unpacked(251 << 20);
        assert_eq!(said, "above the 250 MB that Lambda allows for a zip: deploy it as a container image");
    }
}

//! The zip: the same bytes for the same contents.

use std::io::{Cursor, Write};

use sha2::{Digest, Sha256};
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipResult, write::SimpleFileOptions};

use super::contents::{Contents, Entry};
use crate::progress::Progress;

/// The most that deflate can do.
const LEVEL: i64 = 9;

/// A time that a zip can say: from 1980 on, in steps of two seconds, and of no time zone; taken for UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u32);

impl Moment {
    /// The first of them.
    pub const EARLIEST: Moment = Moment(0);
    const SINCE_1970: i64 = 315_532_800;
    const SECONDS_OF_A_DAY: i64 = 86_400;

    /// One between 1980 and 1997 that follows from a number.
    pub fn from_number(number: u64) -> Moment {
        Moment((number & 0x0fff_ffff) as u32)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> i64 {
        Self::SINCE_1970 + i64::from(self.0) * 2
    }

    fn date_time(self) -> DateTime {
        // Howard Hinnant's civil_from_days, for days since 0000-03-01.
        let days = self.seconds() / Self::SECONDS_OF_A_DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, year) = ((month + 2) % 12 + 1, year_of_era + era * 400 + i64::from(month > 9));
        let second = self.seconds() % Self::SECONDS_OF_A_DAY;
        let [month, day, hour, minute, second] =
            [month, day, second / 3600, second / 60 % 60, second % 60].map(|number| u8::try_from(number).unwrap_or(0));
        let year = u16::try_from(year).unwrap_or(0);
        DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or(DateTime::DEFAULT)
    }
}

/// Writes the contents by the order of their paths, all of them as of one time; folders are not written, they follow from the
/// paths.
pub fn write(contents: &Contents, modified: Moment) -> ZipResult<Vec<u8>> {
    let _shown = Progress::of("compressing");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(modified.date_time());
    for (path, (_, entry)) in &contents.0 {
        match entry {
            Entry::File(bytes) => {
                zip.start_file(path, options.unix_permissions(0o644))?;
                zip.write_all(bytes)?;
            }
            Entry::Program(bytes) => {
                zip.start_file(path, options.unix_permissions(0o755))?;
                zip.write_all(bytes)?;
            }
            Entry::Link(target) => zip.add_symlink(path, target, options.unix_permissions(0o777))?,
        }
    }
    Ok(zip.finish()?.into_inner())
}

/// A file's fingerprint, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contents::{Contents, Entry, Part};
    use super::{DateTime, Moment, sha256};

    fn write(contents: &Contents) -> zip::result::ZipResult<Vec<u8>> {
        super::write(contents, Moment::EARLIEST)
    }

    fn layer(paths: &[&str]) -> Contents {
        let mut contents = Contents::default();
        for path in paths {
            contents.add(*path, Part::StandardLibrary, Entry::File(b"pass\n".repeat(50)));
        }
        contents.add("bootstrap", Part::Bootstrap, Entry::Program(b"\x7fELF".to_vec()));
        contents.add("bin/python3", Part::Bootstrap, Entry::Link("../bootstrap".into()));
        contents
    }

    #[test]
    fn the_order_of_adding_does_not_show() {
        let one = write(&layer(&["a.py", "b/c.py"])).expect("writes to memory");
        let other = write(&layer(&["b/c.py", "a.py"])).expect("writes to memory");
        assert_eq!(sha256(&one), sha256(&other));
    }

    #[test]
    fn a_changed_byte_shows() {
        let one = write(&layer(&["a.py"])).expect("writes to memory");
        let mut changed = layer(&["a.py"]);
        changed.add("a.py", Part::StandardLibrary, Entry::File(b"fail\n".repeat(50)));
        assert_ne!(sha256(&one), sha256(&write(&changed).expect("writes to memory")));
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let date = |year, month, day, hour, minute, second| {
            DateTime::from_date_and_time(year, month, day, hour, minute, second).expect("a date")
        };
        assert_eq!(Moment::EARLIEST.date_time(), DateTime::DEFAULT);
        // date --utc +%s --date '1984-02-29 12:34:56'
        assert_eq!(Moment((446_906_096 - 315_532_800) / 2).date_time(), date(1984, 2, 29, 12, 34, 56));
        assert_eq!(Moment((820_454_398 - 315_532_800) / 2).date_time(), date(1995, 12, 31, 23, 59, 58));
        assert_eq!(Moment::from_number(u64::MAX).seconds(), 852_403_710);
    }

    #[test]
    fn the_fingerprint_is_what_sha256sum_prints() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

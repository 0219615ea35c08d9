//! What a finished checkpoint says of itself, for people.

use crate::aligned::Aligned;
use crate::process::Kind;
use whipsnake_checkpoint_format::cpu::Features;
use whipsnake_checkpoint_format::image::{Expectation, File, Image, Invalid};

/// A checkpoint, as far as its reader can choose something by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// How much of the function is in it.
    pub kind: Kind,
    /// The program that it belongs to: its path, its size in bytes and its [`whipsnake_checkpoint_format::hash`].
    pub bootstrap: (String, u64, u64),
    /// What the processor must have.
    pub features: Features,
    /// The variables that must have the value they had.
    pub set: Vec<String>,
    /// The variables that must not be set. One that ends with `*` stands for all that begin so.
    pub unset: Vec<String>,
}

impl Description {
    /// Reads the header of a checkpoint from the file's bytes.
    ///
    /// # Errors
    ///
    /// Fails if the restorer of this version would refuse the file.
    pub fn read(file: &[u8]) -> Result<Self, Invalid> {
        let length = usize::try_from(Image::header_length(Aligned::copy_of(file.get(..4096).unwrap_or(file)).bytes())?);
        let header = length.ok().and_then(|length| file.get(..length)).ok_or(Invalid::Length)?;
        let copy = Aligned::copy_of(header);
        let image = Image::parse(copy.bytes(), file.len() as u64)?;
        let text = |place| image.text(place).unwrap_or_default().to_string_lossy().into_owned();
        let named = |expected: Expectation| {
            let rows = image.variables().iter().filter(move |row| row.expectation == expected as u64);
            let mut names: Vec<String> = rows.map(|row| text(row.name)).collect();
            names.sort();
            names.dedup();
            names
        };
        let bootstrap = usize::try_from(image.header().bootstrap).ok().and_then(|row| image.files().get(row));
        let File { path, size, hash, .. } = *bootstrap.ok_or(Invalid::Table("files"))?;
        Ok(Self {
            kind: if image.header().kind == 0 { Kind::Imports } else { Kind::Init },
            bootstrap: (text(path), size, hash),
            features: image.header().cpu,
            set: named(Expectation::Equal),
            unset: named(Expectation::Absent),
        })
    }
}

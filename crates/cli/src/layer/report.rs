//! What is said about a finished layer: how large it is, how much room is left, how to publish it.

use std::{fmt, path::Path};

use super::{architecture::Architecture, archive, contents::Contents, image};
use crate::deployment::sizes::Sizes;
use crate::python::library::Kind;

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
    /// Where CPython's library is, in a layer that has one.
    pub libpython: Option<Kind>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.libpython {
            Some(Kind::Static) => writeln!(formatter, "{:<20}   static, in the bootstrap", "libpython")?,
            Some(Kind::Shared) => writeln!(formatter, "{:<20}   shared, among the libraries", "libpython")?,
            None => {}
        }
        Sizes { contents: self.contents, zipped: Some(self.zip.len() as u64) }.fmt(formatter)?;
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

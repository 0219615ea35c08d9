//! The C library of a layer's processes: that of Lambda's image, or one that the layer brings.

mod family;
mod loader;
mod packages;

use std::{fmt, path::Path};

pub use family::Family;
pub use packages::Package;

use super::{
    architecture::Architecture,
    elf::{Elf, SymbolVersion},
    image,
};
use crate::{failure::Failure, python::Interpreter};

/// Where the C library is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Origin {
    /// The layer brings the C library that the Python has on this machine.
    Own,
    /// The system's, which is Lambda's: glibc 2.34.
    System,
}

/// The C library that the files of a layer are loaded with.
pub enum CLibrary {
    /// Lambda's.
    System,
    /// The layer's own.
    Own(Family),
}

impl CLibrary {
    /// The one that is wanted, or else Lambda's, unless the Python needs a newer one. `needs` finds the first file that does and the version.
    pub fn choose(
        wanted: Option<Origin>,
        interpreter: &Interpreter,
        architecture: Architecture,
        needs: impl FnOnce() -> Option<String>,
    ) -> Result<(Self, Choice), Failure> {
        let why = match wanted {
            Some(Origin::System) => return Ok((Self::System, Choice::default())),
            Some(Origin::Own) => None,
            None => match needs() {
                None => return Ok((Self::System, Choice::default())),
                why => why,
            },
        };
        let family = Family::find(interpreter, architecture).map_err(|failure| match &why {
            Some(why) => Failure::new(format!("{why}, and {} is older; {failure}", image::NAME)),
            None => failure,
        })?;
        let choice = Choice { own: Some(family.to_string()), why };
        Ok((Self::Own(family), choice))
    }

    /// The layer's own, if it has one.
    pub fn own(&self) -> Option<&Family> {
        match self {
            Self::System => None,
            Self::Own(family) => Some(family),
        }
    }

    /// The first version of a symbol that a file needs and that this C library does not have.
    pub fn lacks<'a>(&self, file: &'a Elf) -> Option<&'a SymbolVersion> {
        match self {
            Self::System => file.too_new(),
            Self::Own(family) => file.versions.iter().find(|needed| !family.provides(needed)),
        }
    }

    /// Why a file cannot be loaded that needs this version, and what to do.
    pub fn refusal(&self, file: &Path, needed: &SymbolVersion) -> String {
        let file = file.display();
        match self {
            Self::System => format!(
                "{file} needs {needed}, and {} is older: {}, or let the layer bring its own C library (--libc own)",
                image::NAME,
                image::REMEDY
            ),
            Self::Own(family) => format!(
                "{file} needs {needed}, which neither {} nor this machine's {family} has: {}",
                image::NAME,
                image::REMEDY
            ),
        }
    }

    /// Makes sure that a library of the C library's family, which a file needs, will be there.
    pub fn take(&mut self, library: &str, needed_by: &Path) -> Result<(), Failure> {
        match self {
            Self::System => Ok(()),
            Self::Own(family) => family.take(library, needed_by),
        }
    }
}

/// Which C library was chosen and why, for people.
#[derive(Default)]
pub struct Choice {
    own: Option<String>,
    why: Option<String>,
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            None => write!(formatter, "C library: Lambda's, glibc {}", image::GLIBC)?,
            Some(own) => write!(formatter, "C library: {own}, in the layer")?,
        }
        match &self.why {
            Some(why) => write!(formatter, "\n  because {why}"),
            None => Ok(()),
        }
    }
}

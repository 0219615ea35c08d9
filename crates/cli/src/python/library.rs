//! CPython's library: shared, or an archive that becomes part of the executable.

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

use super::{Interpreter, trial};
use crate::failure::Failure;

/// The two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// An archive (.a).
    Static,
    /// A shared object (.so).
    Shared,
}

/// A library of CPython's.
#[derive(Clone, Debug)]
pub struct Library {
    /// Which of the two it is.
    pub kind: Kind,
    /// Its name, as the linker wants it.
    pub name: String,
    /// Where it lies.
    pub directory: PathBuf,
}

impl Library {
    /// The file.
    pub fn path(&self) -> PathBuf {
        let suffix = match self.kind {
            Kind::Static => "a",
            Kind::Shared => "so",
        };
        self.directory.join(format!("lib{}.{suffix}", self.name))
    }
}

/// What there is in these folders: the shared library, and archives. Debian has two of these, and the first starts faster: the
/// other is for position-independent code.
pub fn find(name: &str, directories: &[PathBuf]) -> Vec<Library> {
    let candidates =
        [(Kind::Shared, name.to_owned()), (Kind::Static, name.to_owned()), (Kind::Static, format!("{name}-pic"))];
    let first = |(kind, name): (Kind, String)| {
        let of = |directory: &PathBuf| Library { kind, name: name.clone(), directory: directory.clone() };
        directories.iter().map(of).find(|library| library.path().is_file())
    };
    candidates.into_iter().filter_map(first).collect()
}

/// The libraries named in a linker's command line, such as `-lexpat`.
pub fn names(words: &[String]) -> Vec<String> {
    let mut known = HashSet::new();
    let names = words.iter().filter_map(|word| word.strip_prefix("-l"));
    names.filter(|name| known.insert(*name)).map(str::to_owned).collect()
}

/// The interpreter that a bootstrap embeds, and the library of it that is linked.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The interpreter.
    pub interpreter: &'a Interpreter,
    /// The library.
    pub library: &'a Library,
    /// What is wrong with the archives, where a shared one was taken.
    why: Option<String>,
}

impl<'a> Choice<'a> {
    /// The kind that is wanted, or else an archive where one can be linked: a process starts faster with one file.
    ///
    /// `check` is shown an executable with the library in it, and may say what is wrong with that.
    pub fn make(
        interpreter: &'a Interpreter,
        wanted: Option<Kind>,
        check: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<Choice<'a>, Failure> {
        let of = |kind| interpreter.libraries.iter().filter(move |library| library.kind == kind);
        let mut why = None;
        if wanted != Some(Kind::Shared) {
            for library in of(Kind::Static) {
                match trial::link(interpreter, library, &check) {
                    Ok(()) => return Ok(Choice { interpreter, library, why: None }),
                    // Of two, the plain one's trouble is the one to tell.
                    Err(reason) => {
                        why = why.or(Some(format!("{} cannot be linked: {reason}", library.path().display())));
                    }
                }
            }
        }
        match of(Kind::Shared).next() {
            Some(library) if wanted != Some(Kind::Static) => Ok(Choice { interpreter, library, why }),
            _ => Err(Failure::new(nothing_to_link(interpreter, wanted, why))),
        }
    }
}

fn nothing_to_link(interpreter: &Interpreter, wanted: Option<Kind>, why: Option<String>) -> String {
    let name = interpreter.executable.display();
    match (wanted, why) {
        (Some(Kind::Shared), _) => {
            format!("{name} has no shared library: take one that was built with --enable-shared")
        }
        (Some(Kind::Static), None) => format!("{name} has no static library: leave --libpython out"),
        (_, why) => format!("{}; take a Python with a shared library", why.unwrap_or_default()),
    }
}

impl fmt::Display for Choice<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choice { interpreter, library, why, .. } = self;
        let kind = match library.kind {
            Kind::Static => "static",
            Kind::Shared => "shared",
        };
        let threads = if interpreter.is_free_threaded { ", free-threaded" } else { "" };
        let path = interpreter.executable.display();
        write!(formatter, "CPython {} ({kind}{threads}) {path}", interpreter.full_version())?;
        match why {
            Some(why) => write!(formatter, "\n  shared, because {why}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn libraries_are_told_from_other_words_and_named_once() {
        let words = "-lm -L/usr/lib -Wl,-rpath,/x -lexpat -lm Modules/_hacl/lib.a \\";
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(names(&words), ["m", "expat"]);
    }
}

//! What lies where in a package.

use std::collections::BTreeMap;

/// Where Lambda unpacks layers.
pub const ROOT: &str = "/opt";
/// The folder of the layer that holds its Python. `crates/bootstrap/build.rs` looks there.
pub const HOME: &str = "whipsnake";
/// The shared libraries, out of the way of `LD_LIBRARY_PATH`.
pub const LIBRARIES: &str = "whipsnake/lib";

/// Where Lambda unpacks functions.
pub const TASK_ROOT: &str = "/var/task";

/// What a file of a package belongs to; sizes are shown by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The runtime itself.
    Bootstrap,
    /// CPython's library and what it and the extension modules need.
    SharedLibraries,
    /// Those of the standard library.
    ExtensionModules,
    /// Python files, so that stack traces show their lines, and their data.
    StandardLibrary,
    /// The standard library, compiled.
    Bytecode,
    /// The same in one file.
    StandardLibraryArchive,
    /// boto3 and what it needs, compiled as well.
    Sdk,
    /// What somebody wrote for Lambda.
    Function,
    /// What that needs from others.
    Requirements,
    /// The bytecode of both, in one file.
    ModuleArchive,
    /// The same in a file for each module.
    CompiledModules,
    /// The memory image of the initialized function, and the program that restores it.
    Checkpoint,
    /// Licences of everything that is packed.
    Licences,
}

impl Part {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::SharedLibraries => "shared libraries",
            Self::ExtensionModules => "extension modules",
            Self::StandardLibrary => "standard library",
            Self::Bytecode => "its bytecode",
            Self::StandardLibraryArchive => "its module archive",
            Self::Sdk => "AWS SDK",
            Self::Function => "function",
            Self::Requirements => "requirements",
            Self::ModuleArchive => "module archive",
            Self::CompiledModules => "bytecode files",
            Self::Checkpoint => "checkpoint",
            Self::Licences => "licences",
        }
    }
}

/// What lies at one path.
#[derive(Debug)]
pub enum Entry {
    /// A file's bytes.
    File(Vec<u8>),
    /// A file that can be run.
    Program(Vec<u8>),
    /// A symbolic link to another path, relative to its own folder.
    Link(String),
}

impl Entry {
    /// How many bytes it takes when unpacked.
    pub fn size(&self) -> u64 {
        match self {
            Self::File(bytes) | Self::Program(bytes) => bytes.len() as u64,
            Self::Link(_) => 0,
        }
    }
}

/// A package's files by their paths, sorted.
#[derive(Debug, Default)]
pub struct Contents(pub BTreeMap<String, (Part, Entry)>);

impl Contents {
    /// Puts something at a path; false where there is something else already.
    pub fn add(&mut self, path: impl Into<String>, part: Part, entry: Entry) -> bool {
        self.0.insert(path.into(), (part, entry)).is_none()
    }

    /// The path and the unpacked size of each file.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(path, (_, entry))| (path.as_str(), entry.size()))
    }

    /// Bytes by part, unpacked.
    pub fn sizes(&self) -> BTreeMap<Part, u64> {
        let mut sizes = BTreeMap::new();
        for (part, entry) in self.0.values() {
            *sizes.entry(*part).or_default() += entry.size();
        }
        sizes
    }
}

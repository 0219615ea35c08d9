//! The C library and what belongs to it: the dynamic loader, and the libraries that must be of one build with it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{
    super::{
        architecture::Architecture,
        contents::{LIBRARIES, ROOT},
        elf::{Elf, SymbolVersion},
        image,
    },
    loader::Loader,
    packages::{self, Package},
};
use crate::{failure::Failure, python::Interpreter};

const C_LIBRARY: &str = "libc.so.6";

/// Libraries that wheels expect to be there. Most are empty since glibc 2.34 and are 16 KB, because old programs ask for them.
const ALWAYS: &[&str] = &[
    C_LIBRARY,
    "libanl.so.1",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
];

/// Large libraries, packed where a file of the layer needs one. Otherwise Lambda's copy is loaded, which is older and so runs with this family.
const IF_NEEDED: &[&str] = &["libmvec.so.1", "libstdc++.so.6"];

/// One library.
#[derive(Debug)]
struct Member {
    path: PathBuf,
    bytes: Vec<u8>,
    versions: Vec<String>,
    is_taken: bool,
}

/// The C library's family of one Python.
#[derive(Debug)]
pub struct Family {
    members: BTreeMap<String, Member>,
    loader: String,
    glibc: Version,
    packages: Vec<Package>,
}

type Version = (u32, u32);

impl Family {
    /// Finds the family where an interpreter finds it on this machine.
    pub fn find(interpreter: &Interpreter, architecture: Architecture) -> Result<Self, Failure> {
        let loader = Loader::of(&interpreter.executable, architecture)?;
        let mut paths = loader.find(&[ALWAYS, IF_NEEDED].concat())?;
        let name = loader.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        paths.insert(name.clone(), loader.path);
        let mut members = BTreeMap::new();
        for (name, path) in paths {
            let reading = |what: &str| Failure::new(format!("reading {}: {what}", path.display()));
            let bytes = fs::read(&path).map_err(|error| reading(&error.to_string()))?;
            let elf = Elf::read(&bytes, architecture).map_err(|reason| reading(&reason))?;
            let versions = elf.map(|elf| elf.defines).unwrap_or_default();
            let is_taken = !IF_NEEDED.contains(&name.as_str());
            members.insert(name, Member { path, bytes, versions, is_taken });
        }
        let glibc = members.get(C_LIBRARY).and_then(|library| newest(&library.versions));
        let glibc = glibc.ok_or_else(|| {
            Failure::new(format!(
                "{} has no glibc that can be packed: take --libc system",
                interpreter.executable.display()
            ))
        })?;
        if Some(glibc) < parsed(image::GLIBC) {
            // Libraries of Lambda's, such as libstdc++, need at least theirs.
            return Err(Failure::new(format!(
                "this machine's glibc {}.{} is older than Lambda's {}, whose libraries it could not load: take --libc system",
                glibc.0,
                glibc.1,
                image::GLIBC
            )));
        }
        let taken = members.values().filter(|member| member.is_taken);
        let packages = packages::owners(&taken.map(|member| member.path.as_path()).collect::<Vec<_>>())?;
        Ok(Self { members, loader: name, glibc, packages })
    }

    /// Whether it has a version of symbols that a file needs; true if another library has to.
    pub fn provides(&self, needed: &SymbolVersion) -> bool {
        match self.members.get(&needed.library) {
            Some(member) => member.versions.contains(&needed.version),
            None => true,
        }
    }

    /// Packs a library that a file needs.
    pub fn take(&mut self, library: &str, needed_by: &Path) -> Result<(), Failure> {
        let Some(member) = self.members.get_mut(library) else {
            return Err(Failure::new(format!(
                "{} needs {library}, and the loader {} does not find it: install it, or take --libc system",
                needed_by.display(),
                self.loader
            )));
        };
        if !member.is_taken {
            member.is_taken = true;
            let packages = packages::owners(&[&member.path])?;
            self.packages.extend(packages);
        }
        Ok(())
    }

    /// Where a layer has the loader.
    pub fn loader_in_layer(&self) -> String {
        format!("{ROOT}/{LIBRARIES}/{}", self.loader)
    }

    /// The name of the loader.
    pub fn loader(&self) -> &str {
        &self.loader
    }

    /// The libraries that a program has to name as needed, and where they lie here. A library that is loaded by then is used for everything that
    /// asks for its name, whatever search path a wheel has.
    pub fn needed_by_programs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let taken = self.members.iter().filter(|(_, member)| member.is_taken);
        taken.map(|(name, member)| (name.as_str(), member.path.as_path())).filter(|(name, _)| *name != self.loader)
    }

    /// Names, origins and bytes of what is packed.
    pub fn files(&self) -> Vec<(String, PathBuf, Vec<u8>)> {
        let taken = self.members.iter().filter(|(_, member)| member.is_taken);
        taken.map(|(name, member)| (name.clone(), member.path.clone(), member.bytes.clone())).collect()
    }

    /// The packages of this machine that what is packed comes from.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "glibc {}.{}", self.glibc.0, self.glibc.1)?;
        let of_library = |package: &&Package| {
            self.members.get(C_LIBRARY).is_some_and(|library| package.files.contains(&library.path))
        };
        match self.packages.iter().find(of_library) {
            Some(package) => write!(formatter, " ({} {})", package.name, package.version),
            None => Ok(()),
        }
    }
}

/// The newest version that a C library defines.
fn newest(versions: &[String]) -> Option<Version> {
    versions.iter().filter_map(|version| parsed(version.strip_prefix("GLIBC_")?)).max()
}

fn parsed(version: &str) -> Option<Version> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_version_is_that_of_the_library() {
        let versions = ["libc.so.6", "GLIBC_2.2.5", "GLIBC_2.36", "GLIBC_2.4", "GLIBC_ABI_DT_RELR", "GLIBC_PRIVATE"];
        assert_eq!(newest(&versions.map(str::to_owned)), Some((2, 36)));
        assert_eq!(newest(&["libm.so.6".to_owned()]), None);
    }
}

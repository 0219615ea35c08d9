//! The shared libraries of a layer: everything that its ELF files need and Lambda's image does not have.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    architecture::Architecture,
    elf::{self, Elf, TooNew},
    gaps, image, strip,
};
use crate::failure::Failure;

/// Finds libraries, and makes every ELF file ready for Lambda.
pub struct Libraries {
    architecture: Architecture,
    folders: Vec<PathBuf>,
    found: BTreeMap<String, Vec<u8>>,
}

impl Libraries {
    /// Looks into `folders` first, then where this system has its libraries.
    pub fn new(architecture: Architecture, mut folders: Vec<PathBuf>) -> Self {
        let triplet = architecture.triplet();
        let system = [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}"), format!("/usr/{triplet}/lib")]
            .map(PathBuf::from);
        folders.extend(system);
        folders.extend(["/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
        Libraries { architecture, folders, found: BTreeMap::new() }
    }

    /// Makes a file ready, and finds what it needs: stripped, without gaps, checked, without search paths of its own. What is no ELF file
    /// comes back as it was.
    pub fn take(&mut self, origin: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut file = self.prepare(origin, file)?;
        elf::remove_search_paths(&mut file).map_err(|error| search_path_failure(origin, error))?;
        Ok(file)
    }

    /// The same for a program, which keeps its search path, for everything that it loads.
    pub fn take_program(&mut self, origin: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut file = self.prepare(origin, file)?;
        elf::search_for_all(&mut file).map_err(|error| search_path_failure(origin, error))?;
        Ok(file)
    }

    fn prepare(&mut self, origin: &Path, file: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let name = origin.display();
        let read = |file: &[u8]| {
            Elf::read(file, self.architecture).map_err(|reason| {
                Failure::new(format!(
                    "{name} cannot go into a layer: {reason}; name a Python for {} with --python",
                    self.architecture
                ))
            })
        };
        let Some(description) = read(&file)? else { return Ok(file) };
        if let Some(too_new) = &description.too_new {
            return Err(Failure::new(needs_newer(origin, too_new)));
        }
        let file =
            if description.can_be_stripped { strip::strip(&name.to_string(), &file, self.architecture)? } else { file };
        let file = gaps::close(file);
        for library in description.needed {
            if image::has(&library) || self.found.contains_key(&library) {
                continue;
            }
            let path = self.find(&library, origin, &description.search_paths)?;
            let bytes =
                fs::read(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
            // Known from now on: libraries may need each other.
            self.found.insert(library.clone(), Vec::new());
            let bytes = self.take(&path, bytes)?;
            self.found.insert(library, bytes);
        }
        Ok(file)
    }

    /// All that were needed, by the names by which they are needed.
    pub fn into_found(self) -> BTreeMap<String, Vec<u8>> {
        self.found
    }

    /// As the dynamic loader would: a library for another processor is passed over.
    fn find(&self, library: &str, needed_by: &Path, search_paths: &[String]) -> Result<PathBuf, Failure> {
        let folder = needed_by.parent().unwrap_or(Path::new("")).display().to_string();
        let own = search_paths
            .iter()
            .map(|path| PathBuf::from(path.replace("$ORIGIN", &folder).replace("${ORIGIN}", &folder)));
        let mut candidates = own.chain(self.folders.iter().cloned()).map(|folder| folder.join(library));
        let is_usable = |path: &PathBuf| {
            fs::read(path).is_ok_and(|file| Elf::read(&file, self.architecture).is_ok_and(|elf| elf.is_some()))
        };
        candidates.find(is_usable).ok_or_else(|| {
            Failure::new(format!(
                "{} needs {library} for {}, which is neither on Lambda nor found here: name the folder it is in with --libraries",
                needed_by.display(),
                self.architecture
            ))
        })
    }
}

fn search_path_failure(file: &Path, error: object::read::Error) -> Failure {
    Failure::new(format!("changing the search path of {}: {error}", file.display()))
}

fn needs_newer(file: &Path, too_new: &TooNew) -> String {
    format!("{} needs {too_new}, and {} is older: {}", file.display(), image::NAME, image::REMEDY)
}

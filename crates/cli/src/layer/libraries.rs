//! The shared libraries of a layer: everything that its ELF files need and Lambda's image does not have.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    architecture::Architecture,
    c_library::{CLibrary, Family},
    elf::{self, Elf},
    gaps, image, strip,
};
use crate::failure::Failure;

/// Finds libraries, and makes every ELF file ready for Lambda.
pub struct Libraries {
    search: Search,
    /// What all of them are loaded with.
    pub c_library: CLibrary,
    found: BTreeMap<String, Vec<u8>>,
}

impl Libraries {
    /// Looks where a [`Search`] looks.
    pub fn new(search: Search, c_library: CLibrary) -> Self {
        Libraries { search, c_library, found: BTreeMap::new() }
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
            Elf::read(file, self.search.architecture).map_err(|reason| {
                Failure::new(format!(
                    "{name} cannot go into a layer: {reason}; name a Python for {} with --python",
                    self.search.architecture
                ))
            })
        };
        let Some(description) = read(&file)? else { return Ok(file) };
        if let Some(needed) = self.c_library.lacks(&description) {
            return Err(Failure::new(self.c_library.refusal(origin, needed)));
        }
        let file = if description.can_be_stripped {
            strip::strip(&name.to_string(), &file, self.search.architecture)?
        } else {
            file
        };
        let file = gaps::close(file);
        for library in description.needed {
            if image::has(&library) {
                self.c_library.take(&library, origin)?;
                continue;
            }
            if self.found.contains_key(&library) {
                continue;
            }
            let path = self.search.find(&library, origin, &description.search_paths)?;
            let bytes =
                fs::read(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
            // Known from now on: libraries may need each other.
            self.found.insert(library.clone(), Vec::new());
            let bytes = self.take(&path, bytes)?;
            self.found.insert(library, bytes);
        }
        Ok(file)
    }

    /// All that were needed, by the names by which they are needed, with the C library if the layer has its own.
    pub fn into_found(mut self) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        let family = self.c_library.own().map(Family::files).unwrap_or_default();
        for (name, origin, bytes) in family {
            let bytes = self.take(&origin, bytes)?;
            self.found.insert(name, bytes);
        }
        Ok(self.found)
    }
}

/// Where shared libraries are looked for.
pub struct Search {
    architecture: Architecture,
    folders: Vec<PathBuf>,
}

impl Search {
    /// Looks into `folders` first, then where this system has its libraries.
    pub fn new(architecture: Architecture, mut folders: Vec<PathBuf>) -> Self {
        let triplet = architecture.triplet();
        let system = [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}"), format!("/usr/{triplet}/lib")]
            .map(PathBuf::from);
        folders.extend(system);
        folders.extend(["/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(PathBuf::from));
        Search { architecture, folders }
    }

    /// The first of these files that Lambda's C library is too old for, or a library that one of them needs; and what it needs.
    pub fn too_new<'a>(&self, files: impl IntoIterator<Item = (&'a Path, &'a [u8])>) -> Option<String> {
        let mut known = BTreeSet::new();
        let mut waiting: Vec<(PathBuf, Cow<'a, [u8]>)> =
            files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.into())).collect();
        waiting.reverse();
        while let Some((path, bytes)) = waiting.pop() {
            // What cannot be read or found is refused when it is packed.
            let Ok(Some(elf)) = Elf::read(&bytes, self.architecture) else { continue };
            if let Some(needed) = elf.too_new() {
                return Some(format!("{} needs {needed}", path.display()));
            }
            for library in &elf.needed {
                if image::has(library) || !known.insert(library.clone()) {
                    continue;
                }
                if let Ok(found) = self.find(library, &path, &elf.search_paths)
                    && let Ok(bytes) = fs::read(&found)
                {
                    waiting.push((found, bytes.into()));
                }
            }
        }
        None
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::{Architecture, Search};

    #[test]
    fn a_library_that_a_file_needs_may_be_too_new() {
        let folder = tempfile::tempdir().expect("creates a directory");
        let library = |name: &str, code: &str, options: &[&str]| {
            fs::write(folder.path().join("source.c"), code).expect("writes a file");
            let command = ["-shared", "-fPIC", "-nostdlib", "-o", name, "source.c"];
            let built = Command::new("cc").current_dir(folder.path()).args(command).args(options).status();
            assert!(built.expect("a C compiler").success());
        };
        fs::write(folder.path().join("versions"), "GLIBC_2.99 { brand_new; };").expect("writes a file");
        let soname = ["-Wl,-soname,libc.so.6", "-Wl,--version-script=versions"];
        library("libc.so.6", "int brand_new(void) { return 1; }", &soname);
        let user = "int brand_new(void); int middle(void) { return brand_new(); }";
        library("libmiddle.so", user, &["./libc.so.6", "-Wl,-soname,libmiddle.so"]);
        library("module.so", "int middle(void); int f(void) { return middle(); }", &["./libmiddle.so"]);
        library("other.so", "int f(void) { return 1; }", &[]);
        let architecture = Architecture::of_this_machine().expect("one of Lambda's");
        let search = Search::new(architecture, vec![folder.path().to_owned()]);
        let too_new = |name: &str| {
            let bytes = fs::read(folder.path().join(name)).expect("reads the library");
            search.too_new([(Path::new(name), bytes.as_slice())])
        };
        let expected = format!("{} needs brand_new of GLIBC_2.99", folder.path().join("libmiddle.so").display());
        assert_eq!(too_new("module.so"), Some(expected));
        assert_eq!(too_new("other.so"), None);
    }
}

//! A package as a folder, as Lambda would unpack it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::{
    atomic_write::{PREFIX, SUFFIX, folder_of},
    cleanup::{self, TemporaryFolder},
    deployment::{
        archive::{Moment, sha256},
        contents::{Contents, Entry},
    },
    failure::Failure,
};

/// The list of all files with their SHA-256. It says what this command wrote, so that nothing else is ever removed.
pub const LIST: &str = ".whipsnake/unpacked.json";

/// The mode of new folders, which the umask restricts.
const MODE: u32 = 0o777;

/// A folder that is going to be written.
pub struct Unpacked {
    /// As it was named.
    named: PathBuf,
    /// Its real path.
    folder: PathBuf,
}

impl Unpacked {
    /// Makes sure that nobody loses anything when the folder is written. `source` is the function's folder by its real path.
    pub fn prepare(named: PathBuf, source: &Path) -> Result<Unpacked, Failure> {
        let folder = real(&named)?;
        if source.starts_with(&folder) {
            let relation = if folder == source { "is" } else { "contains" };
            return Err(Failure::new(format!(
                "{} {relation} the function's folder, which it would replace: name another folder with --unpacked",
                named.display()
            )));
        }
        let unpacked = Unpacked { named, folder };
        unpacked.refuse_what_is_not_ours()?;
        Ok(unpacked)
    }

    /// The folder as its user named it.
    pub fn named(&self) -> &Path {
        &self.named
    }

    /// Where it really is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the contents into a new folder, or in the place of what was packed there before. Until all of it is written, nothing
    /// is replaced.
    pub fn write(&self, contents: &Contents, modified: Moment) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::new(format!("writing {}: {error}", self.named.display()));
        let parent = folder_of(&self.folder);
        fs::create_dir_all(parent).map_err(failed)?;
        let new = TemporaryFolder::within(parent, PREFIX, SUFFIX, MODE).map_err(failed)?;
        fill(new.path(), contents, modified).map_err(failed)?;
        // Again: installing and compiling took a while.
        self.refuse_what_is_not_ours()?;
        match fs::metadata(&self.folder) {
            Err(_) => new.persist(|path| fs::rename(path, &self.folder)).map_err(failed),
            Ok(old) => {
                fs::set_permissions(new.path(), fs::Permissions::from_mode(old.permissions().mode() & 0o7777))
                    .map_err(failed)?;
                exchange(new, &self.folder).map_err(failed)
            }
        }
    }

    /// Refuses a folder with anything in it that this command did not write, or that was changed afterwards.
    fn refuse_what_is_not_ours(&self) -> Result<(), Failure> {
        let refused = |why: &str| {
            let named = self.named.display();
            Failure::new(format!("{named} {why}: remove it, or name another folder with --unpacked"))
        };
        match fs::read_dir(&self.folder).map(|mut entries| entries.next().is_none()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(&format!("cannot be replaced ({error})"))),
            Ok(true) => return Ok(()),
            Ok(false) => {}
        }
        let list = fs::read(self.folder.join(LIST)).ok();
        let Some(list) = list.and_then(|list| serde_json::from_slice::<BTreeMap<String, String>>(&list).ok()) else {
            return Err(refused("exists and is not what this command wrote"));
        };
        match first_other(&self.folder, "", &list) {
            Ok(None) => Ok(()),
            Ok(Some(path)) => Err(refused(&format!("has a file that this command did not write, {path}"))),
            Err(error) => Err(refused(&format!("cannot be compared with what this command wrote ({error})"))),
        }
    }
}

/// The real path of a folder that may not be there yet.
fn real(named: &Path) -> Result<PathBuf, Failure> {
    let failed = |what: &str| Failure::new(format!("{} {what}: name a folder with --unpacked", named.display()));
    let mut missing = Vec::new();
    let mut existing = named;
    loop {
        if fs::symlink_metadata(existing).is_ok() || existing.as_os_str().is_empty() {
            let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
            let mut real = fs::canonicalize(existing).map_err(|error| failed(&format!("cannot be found ({error})")))?;
            if !real.is_dir() {
                return Err(failed("is no folder, or would lie in a file"));
            }
            real.extend(missing.iter().rev());
            return Ok(real);
        }
        match (existing.components().next_back(), existing.parent()) {
            (Some(Component::Normal(name)), Some(parent)) => {
                missing.push(name);
                existing = parent;
            }
            _ => return Err(failed("leads through a folder that does not exist")),
        }
    }
}

/// The first file that is not in the list, or not as it is there. Python's caches do not count: they are made again.
fn first_other(folder: &Path, within: &str, list: &BTreeMap<String, String>) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{within}{}", name.to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let other = first_other(&entry.path(), &format!("{path}/"), list)?;
            if other.is_some() {
                return Ok(other);
            }
            continue;
        }
        let is_cache = path.ends_with(".pyc") && (within.ends_with("/__pycache__/") || within == "__pycache__/");
        let is_ours = |sum: &String| -> io::Result<bool> { Ok(sha256(&fs::read(entry.path())?) == *sum) };
        if kind.is_file() && (path == LIST || is_cache || list.get(&path).map_or(Ok(false), is_ours)?) {
            continue;
        }
        return Ok(Some(path));
    }
    Ok(None)
}

/// Writes the contents into an empty folder.
pub fn fill(folder: &Path, contents: &Contents, modified: Moment) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::from_secs(modified.seconds().unsigned_abs());
    let mut list = BTreeMap::new();
    let write = |path: &str, bytes: &[u8], mode: u32| {
        let path = folder.join(path);
        fs::create_dir_all(folder_of(&path))?;
        let mut file = File::create_new(&path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.set_modified(time)
    };
    for (path, (_, entry)) in &contents.0 {
        cleanup::let_end();
        match entry {
            Entry::File(bytes) => write(path, bytes, 0o644)?,
            Entry::Program(bytes) => write(path, bytes, 0o755)?,
            Entry::Link(target) => {
                let path = folder.join(path);
                fs::create_dir_all(folder_of(&path))?;
                symlink(target, path)?;
                continue;
            }
        }
        if let Entry::File(bytes) | Entry::Program(bytes) = entry {
            list.insert(path, sha256(bytes));
        }
    }
    write(LIST, &serde_json::to_vec_pretty(&list)?, 0o644)
}

/// Puts a folder in the place of another one, and removes that.
fn exchange(new: TemporaryFolder, target: &Path) -> io::Result<()> {
    let swap = |path: &Path| renameat_with(CWD, path, CWD, target, RenameFlags::EXCHANGE);
    match new.rename_with(|path| swap(path).map_err(io::Error::from)) {
        // The path of the new folder has the old one now.
        Ok(()) => Ok(()),
        // A file system that cannot do it in one step. All that is removed is listed as ours, and the new folder is whole.
        Err(error) if cannot_exchange(&error) => new.persist(|path| {
            fs::remove_dir_all(target)?;
            fs::rename(path, target)
        }),
        Err(error) => Err(error),
    }
}

/// Not every file system knows such a rename, and an overlay has none for folders of its lower layers.
fn cannot_exchange(error: &io::Error) -> bool {
    let errors = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::XDEV];
    errors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

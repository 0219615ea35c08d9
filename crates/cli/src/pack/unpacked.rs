//! A package as a folder, as Lambda would unpack it.

use std::{
    fs,
    fs::File,
    io,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    deployment::{
        archive::Moment,
        contents::{Contents, Entry},
        module_archive::PATH,
    },
    failure::Failure,
};

/// Writes the contents into a new folder, or in the place of what was packed there before.
pub fn write(contents: &Contents, folder: &Path, modified: Moment) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("writing {}: {error}", folder.display()));
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !folder.join(PATH).is_file() {
        return Err(Failure::new(format!(
            "{} exists and is not what this command wrote: name a new folder with --unpacked",
            folder.display()
        )));
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let time = UNIX_EPOCH + Duration::from_secs(modified.seconds().unsigned_abs());
    for (path, (_, entry)) in &contents.0 {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        let (bytes, mode) = match entry {
            Entry::File(bytes) => (bytes, 0o644),
            Entry::Program(bytes) => (bytes, 0o755),
            Entry::Link(target) => {
                symlink(target, &path).map_err(failed)?;
                continue;
            }
        };
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.set_modified(time)
        };
        write().map_err(failed)?;
    }
    Ok(())
}

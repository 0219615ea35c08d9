//! Writes files in one step: whatever happens, a file has its old content or the new one, never half of it.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::cleanup::TemporaryFile;

/// How the names of files begin and end that are being written. A command that was killed may leave one.
pub const PREFIX: &str = ".whipsnake-";
/// The end of such a name.
pub const SUFFIX: &str = ".tmp";

/// The mode of new files, which the umask restricts.
const MODE: u32 = 0o666;

/// How many links the kernel follows.
const MOST_LINKS: usize = 40;

/// Replaces a file's content, or creates the file. A link stays, and the file that it leads to is replaced.
pub fn replace(file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    match fs::metadata(file) {
        // Nothing can take the place of a pipe or a terminal.
        Ok(metadata) if !metadata.is_file() => fs::write(file, content),
        metadata => {
            let permissions = metadata.ok().map(|metadata| metadata.permissions());
            write(&target(file)?, content.as_ref(), permissions, true)
        }
    }
}

/// Creates a file. If there is one already, it stays, and the error says so.
pub fn create(file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    write(file, content.as_ref(), None, false)
}

fn write(file: &Path, content: &[u8], permissions: Option<fs::Permissions>, replaces: bool) -> io::Result<()> {
    let mut temporary = TemporaryFile::within(folder_of(file), PREFIX, SUFFIX, MODE)?;
    let open = temporary.file()?;
    open.write_all(content)?;
    if let Some(permissions) = permissions {
        open.set_permissions(fs::Permissions::from_mode(permissions.mode() & 0o7777))?;
    }
    // A full disk or a broken one may show only here.
    open.sync_all()?;
    temporary.persist(file, replaces)
}

/// The folder that a file lies in, or will.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        None => Path::new("/"),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    }
}

/// What a path leads to, if it is a link; also if nothing is there yet.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("it is a link that leads to itself"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::Path,
    };

    use super::{create, replace};

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_created_and_replaced_and_nothing_else_is_left() {
        let scratch = scratch();
        let file = scratch.path().join("a");
        replace(&file, "one").expect("creates it");
        let new = fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        fs::write(scratch.path().join("usual"), "").expect("creates it");
        assert_eq!(new, fs::metadata(scratch.path().join("usual")).expect("a file").permissions().mode() & 0o777);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        replace(&file, "two").expect("replaces it");
        assert_eq!(fs::read_to_string(&file).expect("a file"), "two");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o640);
        assert_eq!(names(scratch.path()), ["a", "usual"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_keeps_its_content() {
        let scratch = scratch();
        let file = scratch.path().join("a");
        fs::create_dir(&file).expect("a folder");
        fs::write(file.join("kept"), "kept").expect("a file");
        replace(&file, "two").expect_err("a folder is there");
        create(&file, "two").expect_err("a folder is there");
        assert_eq!((names(scratch.path()), names(&file)), (vec!["a".to_owned()], vec!["kept".to_owned()]));
    }

    #[test]
    fn a_link_stays_a_link() {
        let scratch = scratch();
        let (link, file) = (scratch.path().join("link"), scratch.path().join("folder/file"));
        fs::create_dir(scratch.path().join("folder")).expect("a folder");
        symlink("folder/file", &link).expect("a link");
        for content in ["new", "newer"] {
            replace(&link, content).expect("writes through the link");
            assert_eq!(fs::read_to_string(&file).expect("a file"), content);
            assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        }
        fs::remove_file(&file).expect("a file");
        symlink("../link", &file).expect("a link");
        replace(&link, "never").expect_err("a circle of links");
    }

    #[test]
    fn create_replaces_nothing() {
        let scratch = scratch();
        let file = scratch.path().join("a");
        create(&file, "one").expect("creates it");
        assert_eq!(create(&file, "two").expect_err("it is there").kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read_to_string(&file).expect("a file"), names(scratch.path())),
            ("one".into(), vec!["a".into()])
        );
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        replace(Path::new("/dev/null"), "gone").expect("takes everything");
        assert!(!fs::metadata("/dev/null").expect("a device").is_file());
    }
}

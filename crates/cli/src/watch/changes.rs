//! What is saved in a folder, and whether a function can have noticed.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

use super::saves::Saves;
use crate::failure::Failure;

/// After a save, this long nothing else has to be saved: editors write twice, and git writes many files.
const QUIET: Duration = Duration::from_millis(15);
/// Longer than this nobody waits for silence.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What counts is a file that was written to its end, and one that came, went or was renamed.
const SAVES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::ONLYDIR);

/// Names of caches and of what tools and editors leave behind. A name that begins with a dot needs no entry.
const IGNORED: &[&str] = &[
    "__pycache__",
    "node_modules",
    "*.dist-info",
    "*.egg-info",
    "*.pyc",
    "*~",
    "*.swp",
    "*.tmp",
    "#*#",
    // Vim tries with it whether it may write.
    "4913",
];

/// The folders under watch.
pub struct Changes {
    inotify: Arc<OwnedFd>,
    saves: Arc<Saves>,
    folders: HashMap<i32, PathBuf>,
    /// One file more, with the number of the folder that it is in: that one is watched for it alone, or its name may be ignored.
    file: Option<(i32, PathBuf)>,
    ignored: Vec<String>,
}

/// Files that were saved together.
pub struct Saved {
    /// Each once.
    pub files: Vec<PathBuf>,
    /// When the first was.
    pub at: Instant,
}

impl Changes {
    /// Watches `folder`, except what is ignored, and `file`, wherever it is.
    pub fn watch(folder: &Path, file: Option<&Path>, ignored: Vec<String>) -> Result<Changes, Failure> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| Failure::new(format!("watching for saves: {error}")))?;
        let inotify = Arc::new(inotify);
        let saves = Arc::new(Saves::of(Arc::clone(&inotify)));
        let mut changes = Changes { inotify, saves, folders: HashMap::new(), file: None, ignored };
        let failed = |error: io::Error| {
            let remedy = if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) {
                "; allow more with `sysctl fs.inotify.max_user_watches=524288`, or leave folders out with --ignore"
            } else {
                ""
            };
            Failure::new(format!("watching {} for saves: {error}{remedy}", folder.display()))
        };
        changes.add(folder, &mut Vec::new()).map_err(failed)?;
        if let Some(file) = file.and_then(|file| fs::canonicalize(file).ok()) {
            let parent = file.parent().unwrap_or(&file);
            let number = inotify::add_watch(&*changes.inotify, parent, SAVES).map_err(|error| failed(error.into()))?;
            changes.file = Some((number, file));
        }
        Ok(changes)
    }

    /// What tells whether all that was saved is deployed.
    pub fn saves(&self) -> Arc<Saves> {
        Arc::clone(&self.saves)
    }

    /// Waits until something was saved and a moment has passed in which nothing else was. What was returned the last time is
    /// deployed.
    pub fn next(&mut self) -> io::Result<Saved> {
        let mut files = Vec::new();
        while files.is_empty() {
            self.saves.end();
            self.wait(None)?;
            // Before the events are read: a request that arrives meanwhile must see either them or this.
            self.saves.begin();
            self.read(&mut files)?;
        }
        let at = Instant::now();
        while at.elapsed() < PATIENCE && self.wait(Some(QUIET))? {
            self.read(&mut files)?;
        }
        // What an editor or sed writes before it is renamed.
        if files.iter().any(|file| file.exists()) {
            files.retain(|file| file.exists());
        }
        files.sort();
        files.dedup();
        Ok(Saved { files, at })
    }

    /// Waits for events. False when none came in time.
    fn wait(&self, limit: Option<Duration>) -> io::Result<bool> {
        let limit = limit.map(|limit| Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) });
        loop {
            match poll(&mut [PollFd::new(&*self.inotify, PollFlags::IN)], limit.as_ref()) {
                Err(Errno::INTR) => {}
                outcome => return Ok(outcome? > 0),
            }
        }
    }

    fn read(&mut self, files: &mut Vec<PathBuf>) -> io::Result<()> {
        let mut seen = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&*self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
                    seen.push((event.wd(), event.events(), name));
                }
                Err(Errno::WOULDBLOCK) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (number, what, name) in seen {
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                files.push(PathBuf::from("many files"));
            }
            if what.contains(ReadFlags::IGNORED) {
                self.folders.remove(&number);
            }
            let Some(name) = name else { continue };
            if let Some((_, file)) = self.file.as_ref().filter(|(n, f)| *n == number && f.file_name() == Some(&*name)) {
                files.push(file.clone());
                continue;
            }
            let Some(folder) = self.folders.get(&number) else { continue };
            let path = folder.join(&name);
            let came = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            if self.is_ignored(&path) {
                continue;
            }
            if !what.contains(ReadFlags::ISDIR) {
                // One that is just created is still to be written, unless it is a link.
                if !what.contains(ReadFlags::CREATE) || path.is_symlink() {
                    files.push(path);
                }
            } else if came {
                // One that has gone again meanwhile need not be watched.
                self.add(&path, files).or_else(gone)?;
            }
        }
        Ok(())
    }

    /// Watches a folder and those in it, and notes what is there already.
    fn add(&mut self, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
        let number = inotify::add_watch(&*self.inotify, folder, SAVES)?;
        self.folders.insert(number, folder.to_owned());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if self.is_ignored(&path) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.add(&path, files).or_else(gone)?;
            } else {
                files.push(path);
            }
        }
        Ok(())
    }

    fn is_ignored(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = self.ignored.iter().map(String::as_str);
        name.starts_with('.')
            || IGNORED.iter().copied().chain(own).any(|pattern| matches(pattern, &name))
            // A virtual environment, whatever it is called.
            || path.join("pyvenv.cfg").exists()
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|&start| rest.is_char_boundary(start)).any(|start| matches(after, &rest[start..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name) in [("*.pyc", "a.pyc"), ("a*b*c", "a-b-b-c"), ("#*#", "#a#"), ("out", "out"), ("*", "é")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.pyc", "a.py"), ("out", "output"), ("#*#", "#"), ("a*b", "ba")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}

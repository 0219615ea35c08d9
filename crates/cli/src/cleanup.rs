//! What a command undoes when it is asked to end: it ends the programs that it started, and removes its temporary files.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{self, Child},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{failure::Failure, status_line};

/// How long programs may take to clean up themselves, before they are killed.
const TIME_TO_END: Duration = Duration::from_secs(5);

/// How long another thread may go on writing into a folder that is being removed.
const TIME_TO_STOP_WRITING: Duration = Duration::from_secs(5);

/// Only the user of the command may look into a temporary folder.
const PRIVATE: u32 = 0o700;

static PENDING: Mutex<Pending> = Mutex::new(Pending { next: 0, paths: Vec::new(), programs: Vec::new() });
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// What there is to undo. Whoever makes or removes something holds the lock, so that a signal finds all of it.
struct Pending {
    next: u64,
    paths: Vec<(u64, PathBuf)>,
    /// A pidfd, unlike a process ID, cannot come to stand for another process.
    programs: Vec<(u64, OwnedFd)>,
}

fn pending() -> MutexGuard<'static, Pending> {
    PENDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Pending {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn forget(&mut self, number: u64) {
        self.paths.retain(|(other, _)| *other != number);
        self.programs.retain(|(other, _)| *other != number);
    }
}

/// From now on Ctrl-C, SIGTERM and a closed terminal clean up before the process exits with the code that shells expect.
pub fn on_signals() -> Result<(), Failure> {
    let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(wanted)
        .map_err(|error| Failure::new(format!("preparing to clean up when a signal arrives: {error}")))?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            IS_ENDING.store(true, Ordering::Relaxed);
            status_line::erase();
            let mut pending = pending();
            end(&pending.programs);
            for (_, path) in pending.paths.drain(..) {
                remove(&path);
            }
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Stops the calling thread if a signal has arrived. Call this in loops that write into a temporary folder.
pub fn let_end() {
    while IS_ENDING.load(Ordering::Relaxed) {
        thread::park();
    }
}

/// Whether the process was started with a signal ignored, as `nohup` and shells that run jobs in the background do.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> (signal - 1) & 1 == 1
}

fn end(programs: &[(u64, OwnedFd)]) {
    let deadline = Instant::now() + TIME_TO_END;
    for (_, program) in programs {
        // pip cleans up after a keyboard interrupt only.
        let _ = pidfd_send_signal(program, Signal::INT);
    }
    for (_, program) in programs {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // A pidfd is readable when its process has ended.
        if !poll(&mut [PollFd::new(program, PollFlags::IN)], Some(&left)).is_ok_and(|ended| ended > 0) {
            let _ = pidfd_send_signal(program, Signal::KILL);
        }
    }
}

fn remove(path: &Path) {
    let deadline = Instant::now() + TIME_TO_STOP_WRITING;
    loop {
        let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        let removed = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            // Whatever another thread was writing has had its time to appear.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            _ if Instant::now() > deadline => return,
            Ok(()) | Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A program that a signal ends as well, until this is dropped.
pub struct Program(Option<u64>);

impl Program {
    /// Call this right after the start, while nobody has waited for the program.
    pub fn started(child: &Child) -> Program {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // A kernel without pidfds: the terminal sends Ctrl-C to the program itself.
        let Some(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return Program(None) };
        let mut pending = pending();
        let number = pending.number();
        pending.programs.push((number, pidfd));
        Program(Some(number))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            pending().forget(number);
        }
    }
}

/// A folder that nobody else can write to, with a name that nobody can guess. Removed with everything in it when this is dropped.
pub struct TemporaryFolder {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
    number: u64,
}

impl TemporaryFolder {
    /// Makes one in TMPDIR, named `whipsnake-PURPOSE-` and random letters.
    pub fn new(purpose: &str) -> Result<TemporaryFolder, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the one place that makes folders there, with random names")]
        let parent = std::env::temp_dir();
        Self::within(&parent, &format!("whipsnake-{purpose}-"), "", PRIVATE)
            .map_err(|error| Failure::new(format!("making a temporary folder in {}: {error}", parent.display())))
    }

    /// Makes one in a folder, with a mode that the umask restricts.
    pub fn within(parent: &Path, prefix: &str, suffix: &str, mode: u32) -> io::Result<TemporaryFolder> {
        use std::os::unix::fs::PermissionsExt;
        let mut pending = pending();
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(suffix)
            .permissions(fs::Permissions::from_mode(mode))
            .tempdir_in(parent)?;
        let (number, path) = (pending.number(), folder.path().to_path_buf());
        pending.paths.push((number, path.clone()));
        Ok(TemporaryFolder { folder: Some(folder), path, number })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `rename`, which no signal interrupts. Whatever has this path afterwards is removed when this is dropped.
    pub fn rename_with(&self, rename: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let _pending = pending();
        rename(&self.path)
    }

    /// Renames it by `rename`, which no signal interrupts. If that succeeds, nothing is removed any more.
    pub fn persist(mut self, rename: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut pending = pending();
        rename(&self.path)?;
        pending.forget(self.number);
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        Ok(())
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let mut pending = pending();
            // Nothing can be done about a folder that cannot be removed.
            let _ = folder.close();
            pending.forget(self.number);
        }
    }
}

/// A file in the place where another is to be replaced. Removed when this is dropped.
pub struct TemporaryFile {
    file: Option<tempfile::NamedTempFile>,
    number: u64,
}

impl TemporaryFile {
    /// Makes one in a folder, with a mode that the umask restricts.
    pub fn within(parent: &Path, prefix: &str, suffix: &str, mode: u32) -> io::Result<TemporaryFile> {
        use std::os::unix::fs::PermissionsExt;
        let mut pending = pending();
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(suffix)
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(parent)?;
        let number = pending.number();
        pending.paths.push((number, file.path().to_path_buf()));
        Ok(TemporaryFile { file: Some(file), number })
    }

    /// The open file.
    pub fn file(&mut self) -> io::Result<&mut fs::File> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("the temporary file is gone"))?;
        Ok(file.as_file_mut())
    }

    /// Renames it to `target`. If `replaces` is false, a file that is there stays, which is an error.
    pub fn persist(mut self, target: &Path, replaces: bool) -> io::Result<()> {
        let mut pending = pending();
        let Some(file) = self.file.take() else { return Ok(()) };
        let persisted = if replaces { file.persist(target) } else { file.persist_noclobber(target) };
        pending.forget(self.number);
        // A file that was not renamed is removed with the error.
        persisted.map(drop).map_err(|failed| failed.error)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let mut pending = pending();
            let _ = file.close();
            pending.forget(self.number);
        }
    }
}

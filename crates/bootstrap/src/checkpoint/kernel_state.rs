//! What the kernel keeps for a process and a function may change when it is imported: the working directory, the file mode mask and the
//! resource limits. A restored process is another process, so it makes the same changes.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, mem};

/// `RLIMIT_CPU` to `RLIMIT_RTTIME`.
const LIMITS: u32 = 16;

/// How the process was started.
static INITIAL: OnceLock<State> = OnceLock::new();

struct State {
    folder: Option<PathBuf>,
    mask: libc::mode_t,
    limits: Vec<libc::rlimit>,
}

/// What a restored process has to change.
pub struct Changes {
    folder: Option<PathBuf>,
    mask: Option<libc::mode_t>,
    limits: Vec<(u32, libc::rlimit)>,
}

/// Notes how the process was started. Call this before the function is imported.
pub fn note() {
    INITIAL.get_or_init(State::now);
}

impl State {
    fn now() -> Self {
        // SAFETY: the mask can only be read by changing it. There is one thread.
        let mask = unsafe {
            let mask = libc::umask(0o077);
            libc::umask(mask);
            mask
        };
        let limit = |resource| {
            // SAFETY: fills the variable; zeros where the kernel does not know the resource.
            unsafe {
                let mut limit: libc::rlimit = mem::zeroed();
                libc::getrlimit(resource, &raw mut limit);
                limit
            }
        };
        Self { folder: env::current_dir().ok(), mask, limits: (0..LIMITS).map(limit).collect() }
    }
}

impl Changes {
    /// What has changed since [`note`].
    pub fn find() -> Self {
        let initial = INITIAL.get_or_init(State::now);
        let now = State::now();
        let is_changed = |(_, before, after): &(u32, &libc::rlimit, &libc::rlimit)| {
            (before.rlim_cur, before.rlim_max) != (after.rlim_cur, after.rlim_max)
        };
        let pairs = initial.limits.iter().zip(&now.limits);
        let limits = (0..).zip(pairs).map(|(resource, (before, after))| (resource, before, after));
        Self {
            limits: limits.filter(is_changed).map(|(resource, _, after)| (resource, *after)).collect(),
            mask: (now.mask != initial.mask).then_some(now.mask),
            folder: now.folder.filter(|folder| initial.folder.as_ref() != Some(folder)),
        }
    }

    /// Makes the same changes in a restored process. A folder that is not there any more, or a limit above what this process may have, is
    /// left as it is.
    pub fn make(&self) {
        if let Some(folder) = &self.folder {
            let _ = env::set_current_dir(folder);
        }
        if let Some(mask) = self.mask {
            // SAFETY: sets a number of this process.
            unsafe { libc::umask(mask) };
        }
        for (resource, limit) in &self.limits {
            // SAFETY: reads the variable.
            unsafe { libc::setrlimit(*resource, limit) };
        }
    }
}

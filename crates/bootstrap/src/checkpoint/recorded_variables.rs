//! Which environment variables the process reads while its function is initialized: a restored process must have the same.
//!
//! Python's `os.environ` is watched by python/src/whipsnake/_checkpoint.py. C code calls `getenv`, which this executable provides for the
//! whole process.

use pyo3::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use whipsnake_checkpoint::process::{COMPARED_PATTERNS, DIFFERENT_EVERYWHERE, DUMP_ONLY, EVERY, Kind};

/// What this executable reads again in a restored process.
const READ_AGAIN: &[&str] = &[
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "WHIPSNAKE_CONCURRENCY",
    "WHIPSNAKE_GRACEFUL_SHUTDOWN",
    "WHIPSNAKE_LOG",
    "_LAMBDA_TELEMETRY_LOG_FD",
    "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
];

/// The same where the function is imported after the restore.
const READ_WITH_FUNCTION: &[&str] = &["_HANDLER", "WHIPSNAKE_APP", "WHIPSNAKE_INVOKE_MODE", "WHIPSNAKE_ROOT_PATH"];

/// Set while the names are recorded that C code asks for.
static IS_RECORDING: AtomicBool = AtomicBool::new(false);
static ASKED_FOR: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The environment that the process was started with.
static INITIAL: OnceLock<Variables> = OnceLock::new();

/// What was read.
pub struct Read {
    /// Variables by name. `None` stands for one that is not set.
    pub variables: BTreeMap<String, Option<String>>,
    /// The values that are not UTF-8, by name.
    pub values_in_bytes: BTreeMap<String, Vec<u8>>,
}

type Variables = BTreeMap<OsString, OsString>;

/// Begins to record what C code asks for. Call this before the environment is changed.
pub fn record() {
    for name in DUMP_ONLY {
        // SAFETY: one thread. The loader has read it.
        unsafe { env::remove_var(name) };
    }
    INITIAL.get_or_init(|| env::vars_os().collect());
    IS_RECORDING.store(true, Ordering::Relaxed);
}

/// The variables that were read, and what they were when the process was started.
pub fn read(adapters: &Bound<'_, PyModule>, kind: Kind) -> PyResult<Read> {
    IS_RECORDING.store(false, Ordering::Relaxed);
    let mut names = std::mem::take(&mut *ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner));
    names.extend(adapters.call_method0("variables_read")?.extract::<BTreeSet<String>>()?);
    let initial = INITIAL.get_or_init(Variables::new);
    let is_compared = |name: &&String| {
        COMPARED_PATTERNS.iter().any(|pattern| pattern.strip_suffix('*').is_some_and(|start| name.starts_with(start)))
    };
    let all: Vec<String> = initial.keys().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.contains(EVERY) {
        names.extend(all.iter().filter(|name| !DIFFERENT_EVERYWHERE.contains(&name.as_str())).cloned());
    }
    names.extend(all.iter().filter(is_compared).cloned());
    // A copy of the whole environment has these as well.
    let is_copied = names.contains(EVERY);
    names.retain(|name| {
        let later = if kind == Kind::Imports { READ_WITH_FUNCTION } else { &[] };
        let is_own = READ_AGAIN.iter().chain(later).any(|own| own == name);
        !is_own || is_copied && all.contains(name) && !DIFFERENT_EVERYWHERE.contains(&name.as_str())
    });
    let value = |name: &String| initial.get(OsStr::new(name));
    let not_text =
        |name: &String| value(name).filter(|value| value.to_str().is_none()).map(|value| value.as_bytes().to_vec());
    let values_in_bytes = names.iter().filter_map(|name| Some((name.clone(), not_text(name)?))).collect();
    let text = |name: &String| value(name).map(|value| value.to_string_lossy().into_owned());
    let variables = names.into_iter().map(|name| (name.clone(), text(&name))).collect();
    Ok(Read { variables, values_in_bytes })
}

/// What this process has changed in the environment since it was started: the variables that a restored process has to set, or to remove.
pub fn changes() -> Vec<(OsString, Option<OsString>)> {
    let is_the_functions = |(name, _): &(OsString, _)| !READ_AGAIN.iter().any(|own| name == own);
    let initial = INITIAL.get_or_init(Variables::new);
    let now: Variables = env::vars_os().collect();
    let removed = initial.keys().filter(|name| !now.contains_key(*name)).map(|name| (name.clone(), None));
    let set = now.iter().filter(|(name, value)| initial.get(*name) != Some(*value));
    let set = set.map(|(name, value)| (name.clone(), Some(value.clone())));
    removed.chain(set).filter(is_the_functions).collect()
}

/// What this executable provides in the place of the C library. Not in tests, where nothing is recorded.
#[cfg(not(test))]
mod interposed {
    use super::{ASKED_FOR, IS_RECORDING};
    use std::ffi::{CStr, c_char};
    use std::sync::PoisonError;
    use std::sync::atomic::Ordering;

    unsafe extern "C" {
        static environ: *const *const c_char;
    }

    /// C's `getenv`, for the whole process: looks the variable up as the C library does.
    ///
    /// # Safety
    ///
    /// As for C's `getenv`: `name` ends with a NUL, and nobody changes the environment meanwhile.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
        // SAFETY: the caller's.
        let name = unsafe { CStr::from_ptr(name) };
        if IS_RECORDING.load(Ordering::Relaxed) {
            ASKED_FOR.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string_lossy().into_owned());
        }
        let name = name.to_bytes();
        // SAFETY: the C library's list of the environment, which ends with a null pointer, or is null itself where it was cleared.
        unsafe {
            let mut next = environ;
            while !next.is_null() && !(*next).is_null() {
                let variable = CStr::from_ptr(*next).to_bytes();
                if variable.len() > name.len() && variable[name.len()] == b'=' && variable.starts_with(name) {
                    return (*next).add(name.len() + 1).cast_mut();
                }
                next = next.add(1);
            }
        }
        std::ptr::null_mut()
    }

    /// C's `secure_getenv`, for the whole process. Lambda starts nothing with more rights than its caller.
    ///
    /// # Safety
    ///
    /// As for [`getenv`].
    #[unsafe(no_mangle)]
    unsafe extern "C" fn secure_getenv(name: *const c_char) -> *mut c_char {
        // SAFETY: asks for a number; the rest is the caller's.
        unsafe { if libc::getauxval(libc::AT_SECURE) == 0 { getenv(name) } else { std::ptr::null_mut() } }
    }
}

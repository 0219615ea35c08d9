//! The function's log: its records, and the line that reports a fault.
//!
//! The log handler is Python (python/src/whipsnake/_logging.py). It is installed when the function imports `logging`, because that import
//! costs more than the rest of a cold start. This file decides where lines go.

use crate::imported_modules::sys;
use crate::report::notices::notice;
use crate::report::stdio;
use crate::report::traceback;
use crate::start::environment::Environment;
use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;
use std::cell::UnsafeCell;
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use whipsnake_runtime_api::{Fault, Invocation, fault, json, log_frame};

/// Joins the lines of one error on standard output, where Lambda ends an event at a newline.
const LINE_SEPARATOR: &str = "\r";

/// The function's log, for all threads: where its records go, and which invocation they belong to.
#[pyclass(frozen, module = "whipsnake")]
pub struct Log {
    /// Lambda's descriptor. Without one, records go to standard output.
    frames: OnceLock<Frames>,
    json: bool,
    /// Whether the timestamps of JSON records have milliseconds.
    milliseconds: bool,
    level: String,
    current: Mutex<Current>,
    /// A context variable with the invocation's ids, if the process serves several invocations at once.
    followed: OnceLock<Py<PyAny>>,
}

#[derive(Default)]
struct Current {
    /// Empty during the init phase.
    request_id: String,
    /// None without tenants.
    tenant_id: Option<String>,
}

#[pymethods]
impl Log {
    /// Writes one record unchanged. `frame_type`: the four bytes that tell Lambda the record's level and format.
    #[pyo3(signature = (msg, frame_type=None))]
    fn log(&self, py: Python<'_>, msg: &Bound<'_, PyAny>, frame_type: Option<&Bound<'_, PyBytes>>) -> PyResult<()> {
        let Some(frames) = self.frames.get() else {
            sys(py).getattr(intern!(py, "stdout"))?.call_method1(intern!(py, "write"), (msg,))?;
            return Ok(());
        };
        let kind =
            frame_type.and_then(|kind| kind.as_bytes().try_into().ok()).map_or(log_frame::TEXT, u32::from_be_bytes);
        Ok(frames.write(py, kind, &traceback::text(&msg.str()?))?)
    }

    /// Whether records are written in frames, which have a length.
    #[getter]
    fn framed(&self) -> bool {
        self.frames.get().is_some()
    }

    /// The request id of the current invocation. Empty during the init phase.
    #[getter]
    pub fn request_id(&self, py: Python<'_>) -> String {
        match self.followed.get() {
            Some(variable) => in_context(py, variable).map(|(request_id, ..)| request_id).unwrap_or_default(),
            None => lock(&self.current).request_id.clone(),
        }
    }

    #[getter]
    fn tenant_id(&self, py: Python<'_>) -> Option<String> {
        match self.followed.get() {
            Some(variable) => in_context(py, variable)?.1,
            None => lock(&self.current).tenant_id.clone(),
        }
    }
}

impl Log {
    /// Opens the log as the environment configures it.
    pub fn open(environment: &Environment) -> Self {
        Self {
            frames: open_frames(environment).map_or_else(OnceLock::new, OnceLock::from),
            json: environment.logs_json(),
            milliseconds: environment.logs_milliseconds(),
            level: environment.log_level.clone().unwrap_or_default(),
            current: Mutex::default(),
            followed: OnceLock::new(),
        }
    }

    /// Opens Lambda's descriptor in a restored process. The other settings are as they were.
    pub fn reopen(&self, environment: &Environment) {
        if let Some(frames) = open_frames(environment) {
            let _ = self.frames.set(frames);
        }
    }

    /// Makes an invocation the current one.
    pub fn begin(&self, invocation: &Invocation) {
        let mut current = lock(&self.current);
        current.request_id.clone_from(&invocation.ticket.request_id);
        current.tenant_id.clone_from(&invocation.tenant_id);
    }

    /// From now on, `variable` has the ids of the invocation that a record belongs to.
    pub fn follow(&self, variable: Py<PyAny>) {
        // Called once.
        let _ = self.followed.set(variable);
    }

    /// Logs a fault, whatever the log level. Also logs the parts of the exception that the report does not contain.
    pub fn fault(&self, py: Python<'_>, fault: &Fault, exception: Option<&Py<PyBaseException>>) {
        self.fault_of(py, &self.request_id(py), fault, exception);
    }

    /// Logs the fault of an invocation that this process does not serve.
    pub fn fault_of(&self, py: Python<'_>, request_id: &str, fault: &Fault, exception: Option<&Py<PyBaseException>>) {
        let traceback = exception.and_then(|exception| traceback::full_traceback(fault, exception.bind(py)));
        let record = if self.json {
            json::to_string(&JsonRecord {
                timestamp: &self.timestamp(),
                level: "ERROR",
                report: fault.report(request_id),
                traceback: traceback.as_deref(),
            })
        } else {
            let separator = if self.framed() { "\n" } else { LINE_SEPARATOR };
            fault.log_lines(traceback.as_deref()).join(separator)
        };
        let kind = if self.json { log_frame::JSON_ERROR } else { log_frame::TEXT_ERROR };
        let is_framed = self.frames.get().is_some_and(|frames| frames.write(py, kind, &record).is_ok());
        if !is_framed {
            stdio::write_out(py, &(record + "\n"));
        }
    }

    /// The time as `2026-11-21T01:52:05Z`, or with milliseconds. Not by Python's `time`: an import waits if another thread has the import
    /// lock.
    fn timestamp(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = now.as_secs().cast_signed();
        // SAFETY: writes to the stack, and reads only its arguments.
        let calendar = unsafe {
            let mut calendar = std::mem::zeroed();
            libc::gmtime_r(&raw const seconds, &raw mut calendar);
            calendar
        };
        let libc::tm { tm_year, tm_mon, tm_mday, tm_hour, tm_min, tm_sec, .. } = calendar;
        let (year, month) = (tm_year + 1900, tm_mon + 1);
        let milliseconds = if self.milliseconds { format!(".{:03}", now.subsec_millis()) } else { String::new() };
        format!("{year:04}-{month:02}-{tm_mday:02}T{tm_hour:02}:{tm_min:02}:{tm_sec:02}{milliseconds}Z")
    }
}

/// Installs the Lambda handler on the root logger of `logging`, which has just been imported.
pub fn install(log: &Bound<'_, Log>, logging: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = log.py();
    let Log { json, milliseconds, level, .. } = log.get();
    py.import("whipsnake._logging")?.call_method1("install", (logging, log, json, milliseconds, level))?;
    Ok(())
}

/// The request id, tenant id and trace id of the invocation that the running code belongs to.
type InContext = (String, Option<String>, Option<String>);

fn in_context(py: Python<'_>, variable: &Py<PyAny>) -> Option<InContext> {
    variable.bind(py).call_method0(intern!(py, "get")).ok()?.extract().ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    timestamp: &'a str,
    level: &'a str,
    #[serde(flatten)]
    report: fault::Report<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<&'a [String]>,
}

/// Lambda's descriptor for framed records.
struct Frames(File);

fn open_frames(environment: &Environment) -> Option<Frames> {
    environment.telemetry_log_fd.as_deref().and_then(open_descriptor).map(Frames)
}

/// Held while a frame is written. Not part of `Frames`: a forked child needs a new lock, because the thread that held this one does not
/// exist there.
static WRITING: ForkSafeLock = ForkSafeLock::new();

impl Frames {
    /// Writes a frame without holding Python, so that other threads run if Lambda does not read. They wait for the lock without holding
    /// Python as well, so the thread that has the lock needs nothing of theirs.
    fn write(&self, py: Python<'_>, kind: u32, text: &str) -> std::io::Result<()> {
        let frame = log_frame::frame(kind, SystemTime::now(), text);
        py.detach(|| WRITING.while_locked(|| (&self.0).write_all(&frame)))
    }
}

/// A lock that is open in a process that was just forked.
struct ForkSafeLock(UnsafeCell<Mutex<()>>);

// SAFETY: threads share only the mutex. It is replaced only while there is one thread.
unsafe impl Sync for ForkSafeLock {}

impl ForkSafeLock {
    const fn new() -> Self {
        Self(UnsafeCell::new(Mutex::new(())))
    }

    fn while_locked<T>(&self, body: impl FnOnce() -> T) -> T {
        // SAFETY: there is no unique reference while there is more than one thread.
        let _guard = lock(unsafe { &*self.0.get() });
        body()
    }

    /// Opens the lock.
    ///
    /// # Safety
    ///
    /// There is one thread, and it does not have the lock.
    unsafe fn open(&self) {
        // SAFETY: no other thread has a reference, and this one is not in `while_locked`. A mutex of std's needs no destructor.
        unsafe { self.0.get().write(Mutex::new(())) };
    }
}

/// Opens the lock for frames in a child that was just forked.
pub fn after_fork() {
    // SAFETY: a forked child has one thread. That thread forked from Python or C code, and not while it wrote a frame.
    unsafe { WRITING.open() };
}

/// Opens Lambda's descriptor. If the number is not an open descriptor, the function starts all the same, and its records go to standard
/// output.
fn open_descriptor(number: &str) -> Option<File> {
    // SAFETY: asks the kernel about a number, which may be any number.
    let is_open = |descriptor: &i32| *descriptor >= 0 && unsafe { libc::fcntl(*descriptor, libc::F_GETFD) } != -1;
    let Some(descriptor) = number.trim().parse().ok().filter(is_open) else {
        notice(format_args!(
            "_LAMBDA_TELEMETRY_LOG_FD is {number}, which is not open; log records go to standard output"
        ));
        return None;
    };
    // SAFETY: open, and meant for this process. Nothing else in it closes the descriptor.
    Some(unsafe { File::from_raw_fd(descriptor) })
}

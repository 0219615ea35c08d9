//! Python exceptions as faults. A `PyErr` never leaves the bootstrap: this file turns it into something to report.

use crate::imported_modules::imported;
use pyo3::exceptions::{PyBaseException, PyBaseExceptionGroup, PyException, PyImportError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::thread;
use std::time::Duration;
use whipsnake_runtime_api::{Fault, Frame};

/// File names of code that is not the function's and may be at the beginning of a stack: our Python side, and the import system for a
/// failed import.
const OWN_CODE: &[&str] = &["<frozen awslambdaric.", "<frozen whipsnake."];
const OWN_CODE_AND_IMPORTS: &[&str] = &["<frozen awslambdaric.", "<frozen whipsnake.", "<frozen importlib."];

/// The file of our `awslambdaric.bootstrap`. The folder in between contains Python's version: see crates/bootstrap/freeze.py.
const OWN_BOOTSTRAP: (&str, &str) = ("/var/lang/lib/python", "/site-packages/awslambdaric/bootstrap.py");

/// How the function's code failed.
pub enum Failure {
    /// A fault to report, and the exception behind it if there is one. The loop continues.
    Fault(Fault, Option<Py<PyBaseException>>),
    /// An exception that is no `Exception`, such as SystemExit or KeyboardInterrupt. It ends the process, as under the managed runtime.
    Raised(PyErr),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault, None)
    }
}

/// The failure that an exception of the function's is.
pub fn failure(py: Python<'_>, error: PyErr) -> Failure {
    if !error.is_instance_of::<PyException>(py) {
        return Failure::Raised(error);
    }
    match from_fault_exception(py, &error) {
        Some(fault) => Failure::Fault(fault, error.cause(py).map(|cause| cause.into_value(py))),
        None => reported(py, error),
    }
}

/// The failure for any exception, also for one that is no `Exception`.
pub fn reported(py: Python<'_>, error: PyErr) -> Failure {
    Failure::Fault(fault(py, &error), Some(error.into_value(py)))
}

/// The fault that an `awslambdaric.lambda_runtime_exception.FaultException` describes. The class's module is not imported for that: code
/// that raises one has imported it.
fn from_fault_exception(py: Python<'_>, error: &PyErr) -> Option<Fault> {
    let module = imported(py, intern!(py, "awslambdaric.lambda_runtime_exception")).ok()??;
    let class = module.getattr("FaultException").ok()?;
    let value = error.value(py);
    if !value.is_instance(&class).ok()? {
        return None;
    }
    let part = |name: &str| {
        let part = value.getattr(name).ok()?;
        if part.is_truthy().ok()? { part.str().map(|part| text(&part)).ok() } else { Some(String::new()) }
    };
    let trace = value.getattr("trace").ok()?;
    let entries = trace.try_iter().map(|entries| entries.flatten().filter_map(|entry| entry.str().ok())).ok();
    Some(Fault {
        stack_trace: entries.map(|entries| entries.map(|entry| text(&entry)).collect()).unwrap_or_default(),
        ..Fault::new(part("exception_type")?, part("msg")?)
    })
}

/// The failure of something for which the runtime has its own error type and message. `make` gets the exception's text.
pub fn runtime_fault(py: Python<'_>, error: PyErr, make: impl FnOnce(&str) -> Fault) -> Failure {
    if error.is_instance_of::<PyException>(py) {
        Failure::Fault(make(&message(py, &error)), Some(error.into_value(py)))
    } else {
        Failure::Raised(error)
    }
}

/// An exception with its stack.
pub fn fault(py: Python<'_>, error: &PyErr) -> Fault {
    let error_type = error.get_type(py).name().map_or_else(|_| String::from("Exception"), |name| text(&name));
    let (stack_trace, frames) = stack(py, error).or_else(|_| bare_stack(py, error)).unwrap_or_else(|problem| {
        let note = format!("whipsnake could not read the stack: {}\n", message(py, &problem));
        (vec![note], Vec::new())
    });
    Fault { error_type, message: message(py, error), stack_trace, frames: Some(frames) }
}

/// `str(error)`, or what Python prints if that fails.
pub fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| String::from("<exception str() failed>"), |message| text(&message))
}

/// A Python str as a Rust string. A lone surrogate cannot be encoded as UTF-8 and becomes an escape sequence.
pub fn text(text: &Bound<'_, PyString>) -> String {
    let py = text.py();
    if let Ok(text) = text.to_str() {
        return text.to_owned();
    }
    text.call_method1(intern!(py, "encode"), ("utf-8", "backslashreplace"))
        .and_then(|bytes| bytes.extract::<Vec<u8>>())
        .map_or_else(|_| String::from("<text is not UTF-8>"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The stack as the managed runtime formats it: one string for each frame, without position markers. And the same for X-Ray.
fn stack(py: Python<'_>, error: &PyErr) -> PyResult<(Vec<String>, Vec<Frame>)> {
    let traceback = module(py)?;
    let mut entries = Vec::new();
    let mut frames = Vec::new();
    let functions_own = stack_without(error.value(py), OWN_CODE)?;
    for entry in traceback.call_method1("extract_tb", (functions_own,))?.try_iter()? {
        let entry = entry?;
        let (file, line, name) = (entry.getattr("filename")?, entry.getattr("lineno")?, entry.getattr("name")?);
        frames.push(Frame { label: text(&name.str()?), path: text(&file.str()?), line: line.extract()? });
        // Four items instead of the entry, which would add position markers.
        entries.push(PyTuple::new(py, [file, line, name, entry.getattr("line")?])?);
    }
    let mut formatted = Vec::new();
    for entry in traceback.call_method1("format_list", (entries,))?.try_iter()? {
        formatted.push(text(&entry?.str()?));
    }
    Ok((formatted, frames))
}

/// The same without Python's module: no descriptor is left to import it with, another thread has the import lock, or the function has
/// broken something that the module needs.
fn bare_stack(py: Python<'_>, error: &PyErr) -> PyResult<(Vec<String>, Vec<Frame>)> {
    let mut entries = Vec::new();
    let mut frames = Vec::new();
    let mut rest = stack_without(error.value(py), OWN_CODE)?;
    while let Some(entry) = rest.take() {
        let code = entry.getattr("tb_frame")?.getattr("f_code")?;
        let (path, label) = (text(&code.getattr("co_filename")?.str()?), text(&code.getattr("co_name")?.str()?));
        let line: Option<u32> = entry.getattr("tb_lineno")?.extract()?;
        let source = line.and_then(|line| source_line(&path, line));
        let place = format!("  File \"{path}\", line {}, in {label}\n", line.unwrap_or_default());
        entries.push(source.map_or_else(|| place.clone(), |source| format!("{place}    {source}\n")));
        frames.push(Frame { label, path, line });
        rest = entry.getattr("tb_next")?.extract()?;
    }
    Ok((entries, frames))
}

fn source_line(path: &str, number: u32) -> Option<String> {
    let source = std::fs::read_to_string(path).ok()?;
    let line = source.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The exception behind a fault as `traceback.format_exception` formats it, if that contains more than the managed runtime reports: its
/// cause and context, its notes, the members of a group, and the stack of a fault that is reported without one.
pub fn full_traceback(fault: &Fault, error: &Bound<'_, PyBaseException>) -> Option<Vec<String>> {
    let py = error.py();
    let format = || -> PyResult<Option<Vec<String>>> {
        let stack = stack_without(error, OWN_CODE_AND_IMPORTS)?;
        let lost_stack = fault.frames.is_none() && stack.is_some();
        if !lost_stack && !has_relatives(error)? {
            return Ok(None);
        }
        let options = PyDict::new(py);
        options.set_item("compact", true)?;
        let traceback =
            module(py)?.call_method("TracebackException", (error.get_type(), error, stack), Some(&options))?;
        drop_positions_of_doubtful_lines(&traceback)?;
        let mut formatted = Vec::new();
        for entry in traceback.call_method0("format")?.try_iter()? {
            formatted.push(text(&entry?.str()?));
        }
        Ok(Some(formatted))
    };
    // If Python cannot format the exception, the fault's own message is enough.
    format().ok().flatten()
}

/// Python's module `traceback`. Fails if another thread holds the import lock for a while: the module imports others when it is used, and
/// would wait for that thread.
fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let imp = py.import("_imp")?;
    let is_held = || imp.call_method0("lock_held")?.is_truthy();
    for _ in 0..LOCK_CHECKS {
        if !is_held()? {
            return py.import("traceback");
        }
        py.detach(|| thread::sleep(LOCK_PAUSE));
    }
    Err(PyImportError::new_err("another thread has the import lock"))
}

/// An import holds the lock for microseconds. Only a thread that calls `_imp.acquire_lock` holds it longer.
const LOCK_CHECKS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Removes the positions of lines that Python may warn about. Python parses the lines of a stack to mark positions, and repeats on standard
/// error the warnings of their compilation.
fn drop_positions_of_doubtful_lines(traceback: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = traceback.py();
    let line_of = py.import("linecache")?.getattr("getline")?;
    let mut exceptions = vec![traceback.clone()];
    while let Some(exception) = exceptions.pop() {
        for frame in exception.getattr("stack")?.try_iter()? {
            let frame = frame?;
            let number = |name| frame.getattr(name).and_then(|number| number.extract::<Option<u32>>());
            let (file, Some(first)) = (frame.getattr("filename")?, number("lineno")?) else { continue };
            for line in first..=number("end_lineno")?.unwrap_or(first).min(first.saturating_add(MAX_LINES)) {
                if is_doubtful(&text(&line_of.call1((&file, line))?.str()?)) {
                    frame.setattr("colno", py.None())?;
                    frame.setattr("end_colno", py.None())?;
                    break;
                }
            }
        }
        for related in ["__cause__", "__context__"] {
            exceptions.extend(Some(exception.getattr(related)?).filter(|related| !related.is_none()));
        }
        let members = exception.getattr("exceptions")?;
        if !members.is_none() {
            exceptions.extend(members.try_iter()?.collect::<PyResult<Vec<_>>>()?);
        }
    }
    Ok(())
}

/// How many lines of one expression are checked.
const MAX_LINES: u32 = 200;

/// Whether Python's parser may warn about a line: about an invalid escape sequence, or a number with a keyword directly behind it.
fn is_doubtful(line: &str) -> bool {
    const KEYWORDS: &[&str] = &["and", "else", "for", "if", "in", "is", "not", "or"];
    let ends_in_number = |(position, _)| {
        let (before, behind) = line.split_at(position);
        before.ends_with(|last: char| last.is_ascii_digit()) && KEYWORDS.iter().any(|word| behind.starts_with(word))
    };
    line.contains('\\') || line.contains("0x") || line.contains("0X") || line.char_indices().any(ends_in_number)
}

/// Whether an exception has others attached, or notes.
fn has_relatives(error: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = error.py();
    let is_there = |name| error.getattr(name).map(|value| !value.is_none());
    let in_context =
        is_there(intern!(py, "__context__"))? && !error.getattr(intern!(py, "__suppress_context__"))?.is_truthy()?;
    Ok(in_context
        || is_there(intern!(py, "__cause__"))?
        || error.hasattr(intern!(py, "__notes__"))?
        || error.is_instance_of::<PyBaseExceptionGroup>())
}

/// Removes the import system's frames from the beginning of an exception's stack, for tools that show it.
pub fn forget_import_system(error: &Bound<'_, PyBaseException>) -> PyResult<()> {
    let stack = stack_without(error, OWN_CODE_AND_IMPORTS)?;
    error.setattr(intern!(error.py(), "__traceback__"), stack)
}

/// An exception's stack without the frames at its beginning that are from `origins`. `None` if there are no others.
fn stack_without<'py>(error: &Bound<'py, PyBaseException>, origins: &[&str]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let mut rest: Option<Bound<'py, PyAny>> = error.getattr(intern!(error.py(), "__traceback__"))?.extract()?;
    while let Some(entry) = rest.take() {
        let code = entry.getattr("tb_frame")?.getattr("f_code")?;
        let file = text(&code.getattr("co_filename")?.str()?);
        let is_bootstrap = file.starts_with(OWN_BOOTSTRAP.0) && file.ends_with(OWN_BOOTSTRAP.1);
        if !is_bootstrap && !origins.iter().any(|origin| file.starts_with(origin)) {
            return Ok(Some(entry));
        }
        rest = entry.getattr("tb_next")?.extract()?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::is_doubtful;

    #[test]
    fn lines_that_python_warns_of_are_told_from_others() {
        for line in [r#"re.compile("\d")"#, "1if x else 2", "[0x1for x in y]", "é = 1or 2"] {
            assert!(is_doubtful(line), "{line}");
        }
        for line in ["before1 = x", "é = f(1) if x else 2", "a1.form(b)", ""] {
            assert!(!is_doubtful(line), "{line}");
        }
    }
}

//! Python exceptions to faults. A `PyErr` never leaves the bootstrap; this is where it turns into something to report.

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use whipsnake_runtime_api::{Fault, Frame};

/// How a piece of the function's code failed.
pub enum Failure {
    /// To be reported; the loop goes on.
    Fault(Fault),
    /// An exception that is no `Exception` (SystemExit, KeyboardInterrupt, ..): it ends the process, as it does under the
    /// managed runtime.
    Raised(PyErr),
}

/// The failure that an exception of the function's is.
pub fn failure(py: Python<'_>, error: PyErr) -> Failure {
    if !error.is_instance_of::<PyException>(py) {
        return Failure::Raised(error);
    }
    Failure::Fault(as_it_stands(py, &error).unwrap_or_else(|| fault(py, &error)))
}

/// The fault that an `awslambdaric.lambda_runtime_exception.FaultException` spells out. Nobody can raise one without having
/// imported its module, so that is not imported for the question.
fn as_it_stands(py: Python<'_>, error: &PyErr) -> Option<Fault> {
    let modules = py.import("sys").ok()?.getattr("modules").ok()?;
    let class = modules.get_item("awslambdaric.lambda_runtime_exception").ok()?.getattr("FaultException").ok()?;
    let value = error.value(py);
    if !value.is_instance(&class).ok()? {
        return None;
    }
    let part = |name: &str| value.getattr(name).and_then(|part| part.str()).map(|part| text(&part)).ok();
    let trace = value.getattr("trace").ok()?;
    let entries = trace.try_iter().map(|entries| entries.flatten().filter_map(|entry| entry.str().ok())).ok();
    Some(Fault {
        stack_trace: entries.map(|entries| entries.map(|entry| text(&entry)).collect()).unwrap_or_default(),
        ..Fault::stated(part("exception_type")?, part("msg")?)
    })
}

/// The failure of something for which the runtime has a type and a text of its own; `make` gets the exception's text.
pub fn stated(py: Python<'_>, error: PyErr, make: impl FnOnce(&str) -> Fault) -> Failure {
    if error.is_instance_of::<PyException>(py) {
        Failure::Fault(make(&message(py, &error)))
    } else {
        Failure::Raised(error)
    }
}

/// An exception with its stack.
fn fault(py: Python<'_>, error: &PyErr) -> Fault {
    let error_type = error.get_type(py).name().map_or_else(|_| String::from("Exception"), |name| text(&name));
    let (stack_trace, frames) = stack(py, error).unwrap_or_else(|problem| {
        let note = format!("whipsnake could not read the stack: {}\n", message(py, &problem));
        (vec![note], Vec::new())
    });
    Fault { error_type, message: message(py, error), stack_trace, frames: Some(frames) }
}

/// `str(error)`, or what Python itself prints when that fails.
pub fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| String::from("<exception str() failed>"), |message| text(&message))
}

/// A Python text as Rust has them. A lone surrogate has no place in UTF-8: it becomes a readable escape.
pub fn text(text: &Bound<'_, PyString>) -> String {
    let py = text.py();
    if let Ok(text) = text.to_str() {
        return text.to_owned();
    }
    text.call_method1(intern!(py, "encode"), ("utf-8", "backslashreplace"))
        .and_then(|bytes| bytes.extract::<Vec<u8>>())
        .map_or_else(|_| String::from("<text is not UTF-8>"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The stack as the managed runtime formats it, one string per frame and no marks under the source, and the same for X-Ray.
fn stack(py: Python<'_>, error: &PyErr) -> PyResult<(Vec<String>, Vec<Frame>)> {
    let traceback = py.import("traceback")?;
    let mut entries = Vec::new();
    let mut frames = Vec::new();
    for entry in traceback.call_method1("extract_tb", (error.traceback(py),))?.try_iter()? {
        let entry = entry?;
        let (file, line, name) = (entry.getattr("filename")?, entry.getattr("lineno")?, entry.getattr("name")?);
        frames.push(Frame { label: text(&name.str()?), path: text(&file.str()?), line: line.extract()? });
        // Four items and not the entry itself: that would bring the marks along.
        entries.push(PyTuple::new(py, [file, line, name, entry.getattr("line")?])?);
    }
    let mut formatted = Vec::new();
    for entry in traceback.call_method1("format_list", (entries,))?.try_iter()? {
        formatted.push(text(&entry?.str()?));
    }
    Ok((formatted, frames))
}

//! Streamed responses: makes chunks of the items that a handler's iterator yields. [`Worker::stream`](crate::invoke::worker::Worker) sends
//! them.
//!
//! An iterator is anything with `__next__` or `__anext__`: generators of both kinds, `map` objects, the function's own classes. The managed
//! runtime cannot serialize any of them. Values that it can serialize are no streams.

use crate::imported_modules::imported;
use crate::invoke::event_loop::EventLoop;
use crate::report::traceback::{self, Failure};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyMemoryView, PyString, PyTuple};
use whipsnake_runtime_api::{Fault, IllegalPrelude, Prelude};

/// The content type of a stream that has none, as in Node's managed runtime.
const CONTENT_TYPE: &str = "application/octet-stream";

/// A streamed response whose first bytes are there.
pub struct Stream {
    pub content_type: String,
    opening: Option<Vec<u8>>,
    /// The iterators that yield the rest, the current one last. A generator may yield a head with a body, which comes before the
    /// generator's own items.
    sources: Vec<Source>,
}

struct Source {
    items: Py<PyIterator>,
    is_async: bool,
}

impl Stream {
    /// Makes a stream of a handler's result, up to its first bytes. A failure until then is an ordinary fault. `None` if the result is no
    /// stream.
    pub fn open(result: &Bound<'_, PyAny>, event_loop: &EventLoop) -> Result<Option<Self>, Failure> {
        let py = result.py();
        let mut stream = Self { content_type: CONTENT_TYPE.into(), opening: None, sources: Vec::new() };
        let mut opening = Vec::new();
        if is_response(result).map_err(|error| unfit(py, error))? {
            stream.take_head(result, &mut opening, event_loop)?;
            if stream.sources.is_empty() {
                stream.opening = Some(opening);
                return Ok(Some(stream));
            }
        } else if is_json(result) {
            return Ok(None);
        } else if let Some(source) = Source::of(result, event_loop)? {
            stream.sources.push(source);
        } else {
            return Ok(None);
        }
        if let Err(failure) = stream.find_opening(py, opening, event_loop) {
            stream.close(py);
            return Err(failure);
        }
        Ok(Some(stream))
    }

    /// Asks for items until there are bytes to send. The first item may be the response's head.
    fn find_opening(&mut self, py: Python<'_>, mut opening: Vec<u8>, event_loop: &EventLoop) -> Result<(), Failure> {
        let mut may_be_head = opening.is_empty();
        while let Some(item) = self.next_item(py)? {
            if std::mem::take(&mut may_be_head) && is_response(&item).map_err(|error| unfit(py, error))? {
                self.take_head(&item, &mut opening, event_loop)?;
                if opening.is_empty() {
                    continue;
                }
            } else {
                let chunk = bytes_of(&item)?;
                if chunk.is_empty() {
                    continue;
                }
                opening.extend(chunk);
            }
            break;
        }
        self.opening = Some(opening);
        Ok(())
    }

    /// The next chunk of the body. `None` at its end.
    pub fn next(&mut self, py: Python<'_>) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(opening) = self.opening.take() {
            return Ok(Some(opening));
        }
        self.next_item(py)?.map(|item| bytes_of(&item)).transpose()
    }

    fn next_item<'py>(&mut self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>, Failure> {
        while let Some(source) = self.sources.last() {
            match source.items.bind(py).clone().next() {
                Some(Ok(item)) => return Ok(Some(item)),
                Some(Err(error)) => return Err(source.failure(py, error)),
                None => drop(self.sources.pop()),
            }
        }
        Ok(None)
    }

    /// Reads an `HttpResponse` or a `StreamingResponse`.
    fn take_head(
        &mut self,
        response: &Bound<'_, PyAny>,
        opening: &mut Vec<u8>,
        event_loop: &EventLoop,
    ) -> Result<(), Failure> {
        let py = response.py();
        let mut read = || -> PyResult<Bound<'_, PyAny>> {
            if let Some(prelude) = prelude_of(response)? {
                self.content_type = Prelude::CONTENT_TYPE.into();
                opening.extend(prelude.to_bytes());
            } else {
                self.content_type = response.getattr(intern!(py, "content_type"))?.extract()?;
            }
            response.getattr(intern!(py, "body"))
        };
        let body = read().map_err(|error| unfit(py, error))?;
        if body.is_none() {
            return Ok(());
        }
        match Source::of(&body, event_loop)? {
            Some(source) => self.sources.push(source),
            None => opening.extend(bytes_of(&body)?),
        }
        Ok(())
    }

    /// Closes the iterators. `close()` of a generator runs its `finally` blocks. Their exceptions cannot be reported and are written to
    /// standard error.
    pub fn close(&mut self, py: Python<'_>) {
        while let Some(source) = self.sources.pop() {
            let items = source.items.bind(py);
            let closed = match items.getattr_opt(intern!(py, "close")) {
                Ok(Some(close)) => close.call0().map(drop),
                outcome => outcome.map(drop),
            };
            if let Err(error) = closed {
                error.write_unraisable(py, Some(items));
            }
        }
    }
}

impl Source {
    /// `None` if `value` is no iterator.
    fn of(value: &Bound<'_, PyAny>, event_loop: &EventLoop) -> Result<Option<Self>, Failure> {
        let py = value.py();
        if let Ok(items) = value.cast::<PyIterator>() {
            return Ok(Some(Self { items: items.clone().unbind(), is_async: false }));
        }
        if !is_async_iterator(value) {
            return Ok(None);
        }
        let steps = event_loop.steps(value).and_then(|steps| Ok(steps.cast_into::<PyIterator>()?));
        let items = steps.map_err(|error| traceback::failure(py, error))?.unbind();
        Ok(Some(Self { items, is_async: true }))
    }

    /// The failure that an exception of the iterator is.
    fn failure(&self, py: Python<'_>, error: PyErr) -> Failure {
        if self.is_async && EventLoop::is_cancellation(py, &error) {
            // The function has cancelled its own task. That fails the invocation, although CancelledError is no `Exception`.
            traceback::reported(py, error)
        } else {
            traceback::failure(py, error)
        }
    }
}

/// Whether JSON has a form for a value, or the value is a file. Files are iterators too, and errors for the managed runtime.
fn is_json(value: &Bound<'_, PyAny>) -> bool {
    let py = value.py();
    let is_file = || -> PyResult<bool> { value.is_instance(&py.import(intern!(py, "_io"))?.getattr("_IOBase")?) };
    value.is_instance_of::<PyDict>()
        || value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyBytes>()
        || value.is_none()
        || value.hasattr(intern!(py, "_asdict")).unwrap_or(false)
        || is_file().unwrap_or(false)
}

/// Whether a value is of a class of `whipsnake.http`. Only a function that has imported the module can have made one.
fn is_response(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    match imported(py, intern!(py, "whipsnake.http"))? {
        Some(http) => value.is_instance(&http.getattr(intern!(py, "StreamingResponse"))?),
        None => Ok(false),
    }
}

fn is_async_iterator(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached, and the instance keeps its type alive. A type without the slot gives null.
    !unsafe { ffi::PyType_GetSlot(value.get_type_ptr(), ffi::Py_am_anext) }.is_null()
}

/// The prelude of an `HttpResponse`.
fn prelude_of(response: &Bound<'_, PyAny>) -> PyResult<Option<Prelude>> {
    let py = response.py();
    let Some(status) = response.getattr_opt(intern!(py, "status"))? else { return Ok(None) };
    let illegal = |problem: IllegalPrelude| PyTypeError::new_err(problem.to_string());
    let mut prelude = Prelude::new(status.extract()?).map_err(illegal)?;
    let headers = response.getattr(intern!(py, "headers"))?;
    if !headers.is_none() {
        for header in headers.call_method0(intern!(py, "items"))?.try_iter()? {
            let (name, value) = header?.extract::<(String, String)>()?;
            prelude.header(&name, &value).map_err(illegal)?;
        }
    }
    let cookies = response.getattr(intern!(py, "cookies"))?;
    if !cookies.is_none() {
        for cookie in cookies.try_iter()? {
            prelude.cookie(&cookie?.extract::<String>()?).map_err(illegal)?;
        }
    }
    Ok(Some(prelude))
}

/// The bytes of a chunk.
fn bytes_of(chunk: &Bound<'_, PyAny>) -> Result<Vec<u8>, Failure> {
    let py = chunk.py();
    let read = || -> PyResult<Vec<u8>> {
        if let Ok(bytes) = chunk.cast::<PyBytes>() {
            Ok(bytes.as_bytes().to_vec())
        } else if let Ok(text) = chunk.cast::<PyString>() {
            Ok(text.to_str()?.as_bytes().to_vec())
        } else if chunk.is_instance_of::<PyByteArray>() || chunk.is_instance_of::<PyMemoryView>() {
            py.get_type::<PyBytes>().call1((chunk,))?.extract()
        } else {
            let name = traceback::text(&chunk.get_type().name()?);
            Err(PyTypeError::new_err(format!("a streamed chunk must be bytes or str, not {name}")))
        }
    };
    read().map_err(|error| unfit(py, error))
}

/// The fault of a stream that cannot be sent.
fn unfit(py: Python<'_>, error: PyErr) -> Failure {
    traceback::runtime_fault(py, error, |reason| {
        Fault::new("Runtime.MarshalError", format!("Unable to marshal response: {reason}"))
    })
}

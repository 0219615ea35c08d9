//! `print`, with one system call a line.
//!
//! On streams that flush every write, CPython's `print("a", "b")` makes four system calls, and other threads and processes can write in
//! between. This one joins the pieces first. If a piece needs the function's code (the `__str__` of a class), the pieces before it are
//! written first, so that all output has the order that it has on the managed runtime.

use super::stream::{StandardStream, give_to_python};
use crate::imported_modules::sys;
use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{PyTypeInfo, ffi};
use std::{ptr, slice};

/// CPython's own `print`, for calls that ours does not handle.
static ORIGINAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Replaces CPython's `print`. If something has replaced it already, that stays.
pub fn set_up(py: Python<'_>) -> PyResult<()> {
    let builtins = py.import("builtins")?;
    let original = builtins.getattr(intern!(py, "print"))?;
    // SAFETY: attached; the second function is asked about a built-in function only.
    let is_built_in = unsafe {
        ffi::PyCFunction_CheckExact(original.as_ptr()) != 0
            && ffi::PyCFunction_GetFlags(original.as_ptr()) == ffi::METH_FASTCALL | ffi::METH_KEYWORDS
    };
    if !is_built_in {
        return Ok(());
    }
    // SAFETY: a built-in function, whose definition lives as long as CPython.
    let definition = unsafe { *(*original.as_ptr().cast::<ffi::PyCFunctionObject>()).m_ml };
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: print },
        ..definition
    }));
    // SAFETY: attached. The definition lives as long as the process, and the other arguments are live objects.
    let ours = unsafe {
        let module = intern!(py, "builtins");
        Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, builtins.as_ptr(), module.as_ptr()))?
    };
    ORIGINAL.get_or_init(py, || original.unbind());
    builtins.setattr(intern!(py, "print"), ours)
}

unsafe extern "C" fn print(
    _module: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls its functions attached. Behind the `count` positional arguments there is one for each of `names`. All live
    // until this function returns.
    let (py, positional, named) = unsafe {
        let py = Python::assume_attached();
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        let part =
            |start: ffi::Py_ssize_t, count: ffi::Py_ssize_t| match (usize::try_from(start), usize::try_from(count)) {
                (Ok(start), Ok(count)) if count > 0 => slice::from_raw_parts(arguments.add(start), count),
                _ => &[],
            };
        (py, part(0, count), part(count, named))
    };
    // SAFETY: as above.
    let object = |pointer: &*mut ffi::PyObject| unsafe { Borrowed::from_ptr(py, *pointer) };
    // SAFETY: as above; null if there are no names.
    let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
    if let Some(call) = Call::of_ours(py, names.as_ref(), named.iter().map(object)) {
        return give_to_python(py, call.run(positional.iter().map(object)).map(|()| py.None().into_bound(py)));
    }
    let Some(original) = ORIGINAL.get(py) else { return ptr::null_mut() };
    // SAFETY: the arguments are passed on unchanged.
    unsafe {
        let names = names.as_ref().map_or(ptr::null_mut(), Bound::as_ptr);
        ffi::PyObject_Vectorcall(original.as_ptr(), arguments, count.cast_unsigned(), names)
    }
}

/// A call of `print` to one of our streams.
struct Call<'py> {
    stream: Bound<'py, PyAny>,
    streams: &'py StandardStream,
    separator: Bound<'py, PyAny>,
    end: Bound<'py, PyAny>,
    flush: bool,
}

impl<'py> Call<'py> {
    /// `None` if the call writes elsewhere, or if its arguments are wrong and CPython is to report that.
    fn of_ours<'a>(
        py: Python<'py>,
        names: Option<&Bound<'py, PyAny>>,
        values: impl Iterator<Item = Borrowed<'a, 'py, PyAny>>,
    ) -> Option<Self>
    where
        'py: 'a,
    {
        let streams = StandardStream::class(py).ok()?;
        let (mut separator, mut end) = (intern!(py, " ").clone().into_any(), intern!(py, "\n").clone().into_any());
        let (mut file, mut flush) = (None, false);
        if let Some(names) = names {
            for (name, value) in names.cast::<PyTuple>().ok()?.iter_borrowed().zip(values) {
                match name.cast::<PyString>().ok()?.to_str().ok()? {
                    "sep" if value.is_exact_instance_of::<PyString>() => separator = value.to_owned(),
                    "end" if value.is_exact_instance_of::<PyString>() => end = value.to_owned(),
                    "file" if !value.is_none() => file = Some(value.to_owned()),
                    "flush" if value.is_exact_instance_of::<PyBool>() => flush = value.is_truthy().ok()?,
                    "sep" | "end" | "file" if value.is_none() => {}
                    _ => return None,
                }
            }
        }
        let stream = file.map_or_else(|| sys(py).getattr(intern!(py, "stdout")), Ok).ok()?;
        streams.is_exact(&stream).then_some(Self { stream, streams, separator, end, flush })
    }

    fn run<'a>(self, values: impl Iterator<Item = Borrowed<'a, 'py, PyAny>>) -> PyResult<()>
    where
        'py: 'a,
    {
        let mut pieces = Pieces { call: &self, texts: Vec::new() };
        for (position, value) in values.enumerate() {
            if position > 0 {
                pieces.texts.push(self.separator.clone());
            }
            if value.is_exact_instance_of::<PyString>() {
                pieces.texts.push(value.to_owned());
                continue;
            }
            if !is_plain(&value, 0) {
                pieces.write()?;
            }
            match value.str() {
                Ok(text) => pieces.texts.push(text.into_any()),
                Err(error) => {
                    pieces.write()?;
                    return Err(error);
                }
            }
        }
        pieces.texts.push(self.end.clone());
        pieces.write()?;
        if self.flush { self.stream.call_method0(intern!(self.stream.py(), "flush")).map(drop) } else { Ok(()) }
    }
}

/// Text that has not been written yet.
struct Pieces<'a, 'py> {
    call: &'a Call<'py>,
    texts: Vec<Bound<'py, PyAny>>,
}

impl Pieces<'_, '_> {
    /// Writes the pieces, with one call if the stream is this module's.
    fn write(&mut self) -> PyResult<()> {
        let texts = std::mem::take(&mut self.texts);
        let Call { stream, streams, .. } = self.call;
        let (Some((first, rest)), py) = (texts.split_first(), stream.py()) else { return Ok(()) };
        let write = stream.getattr(intern!(py, "write"))?;
        if !StandardStream::is_write(&write, stream) {
            return texts.iter().try_for_each(|text| write.call1((text,)).map(drop));
        }
        if rest.is_empty() {
            return streams.write(stream, first).map(drop);
        }
        let whole = intern!(py, "").call_method1(intern!(py, "join"), (PyList::new(py, &texts)?,))?;
        match streams.write(stream, &whole) {
            // One of the pieces cannot be encoded. The pieces before it can.
            Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => {
                texts.iter().try_for_each(|text| streams.write(stream, text).map(drop))
            }
            written => written.map(drop),
        }
    }
}

/// How deeply containers may be nested that are inspected.
const DEPTH: usize = 8;

/// Whether `str(value)` runs none of the function's code. Subclasses may run any.
fn is_plain(value: &Bound<'_, PyAny>, depth: usize) -> bool {
    fn is<T: PyTypeInfo>(value: &Bound<'_, PyAny>) -> bool {
        value.is_exact_instance_of::<T>()
    }
    if value.is_none() || is::<PyString>(value) || is::<PyInt>(value) || is::<PyBool>(value) || is::<PyFloat>(value) {
        return true;
    }
    // `python3 -b` warns when bytes are printed, and a warning may run any code.
    if depth > 0 && is::<PyBytes>(value) {
        return true;
    }
    if depth == DEPTH {
        return false;
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.iter().all(|item| is_plain(&item, depth + 1));
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return tuple.iter_borrowed().all(|item| is_plain(&item, depth + 1));
    }
    value.cast_exact::<PyDict>().is_ok_and(|dict| is_plain_dict(dict, depth))
}

/// Not by pyo3's iterator, which panics if another thread changes the dict meanwhile.
fn is_plain_dict(dict: &Bound<'_, PyDict>, depth: usize) -> bool {
    let py = dict.py();
    let (mut position, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
    with_critical_section(dict, || {
        // SAFETY: attached, and no other thread changes the dict meanwhile: it is locked, or this thread has the GIL and runs no Python
        // code. The pointers are borrowed from the dict.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) } != 0 {
            // SAFETY: as above.
            let (key, value) = unsafe { (Borrowed::from_ptr(py, key), Borrowed::from_ptr(py, value)) };
            if !is_plain(&key, depth + 1) || !is_plain(&value, depth + 1) {
                return false;
            }
        }
        true
    })
}

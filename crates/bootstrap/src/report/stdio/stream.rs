//! The class of `sys.stdout` and `sys.stderr`: a `TextIOWrapper` that flushes each write and stays open after a `with`, like the managed
//! runtime's streams.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;

/// The class, and the methods of its base class that ours call.
pub struct StandardStream {
    class: Py<PyType>,
    base: Py<PyType>,
    write: Py<PyAny>,
    flush: Py<PyAny>,
    /// The classes below a plain `TextIOWrapper`: of its buffer, and of the file below that.
    buffer: Py<PyAny>,
    file: Py<PyAny>,
}

impl StandardStream {
    /// The class. Makes it at the first call.
    pub fn class(py: Python<'_>) -> PyResult<&Self> {
        static CLASS: PyOnceLock<StandardStream> = PyOnceLock::new();
        CLASS.get_or_try_init(py, || Self::new(py))
    }

    fn new(py: Python<'_>) -> PyResult<Self> {
        let io = py.import("_io")?;
        let base = io.getattr("TextIOWrapper")?.cast_into::<PyType>()?;
        Ok(Self {
            class: derive(&base)?.unbind(),
            write: base.getattr("write")?.unbind(),
            flush: base.getattr("flush")?.unbind(),
            base: base.unbind(),
            buffer: io.getattr("BufferedWriter")?.unbind(),
            file: io.getattr("FileIO")?.unbind(),
        })
    }

    /// A stream on the same descriptor, with the same properties.
    pub fn in_place_of<'py>(&self, stream: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let attribute = |name| stream.getattr(name);
        let replacement = self.class.bind(stream.py()).call1((
            attribute("buffer")?,
            attribute("encoding")?,
            attribute("errors")?,
            "\n",
            attribute("line_buffering")?,
            attribute("write_through")?,
        ))?;
        replacement.setattr("mode", attribute("mode")?)?;
        Ok(replacement)
    }

    /// Whether this is one of our streams, and not of a subclass.
    pub fn is_exact(&self, stream: &Bound<'_, PyAny>) -> bool {
        stream.get_type().is(&self.class)
    }

    /// Whether this is the `write` of one of our streams, and not a replacement of the function's.
    pub fn is_write(method: &Bound<'_, PyAny>, stream: &Bound<'_, PyAny>) -> bool {
        // SAFETY: attached; both functions read a built-in function, which this is.
        unsafe {
            ffi::PyCFunction_CheckExact(method.as_ptr()) != 0
                && ffi::PyCFunction_GetFunction(method.as_ptr())
                    .is_some_and(|function| ptr::fn_addr_eq(function, WRITE))
                && ffi::PyCFunction_GetSelf(method.as_ptr()) == stream.as_ptr()
        }
    }

    /// Writes a text and flushes. Returns what `write` returns.
    pub fn write<'py>(&self, stream: &Bound<'py, PyAny>, text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let written = self.write.bind(stream.py()).call1((stream, text))?;
        self.flush(stream)?;
        Ok(written)
    }

    /// Writes some texts and flushes once. Returns None.
    fn write_lines<'py>(&self, stream: &Bound<'py, PyAny>, texts: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let write = self.write.bind(stream.py());
        for text in texts.try_iter()? {
            write.call1((stream, text?))?;
        }
        self.leave(stream, texts)
    }

    /// Flushes at the end of a `with`, whatever the exception. Returns None.
    fn leave<'py>(&self, stream: &Bound<'py, PyAny>, _exception: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.flush(stream)?;
        Ok(stream.py().None().into_bound(stream.py()))
    }

    fn flush(&self, stream: &Bound<'_, PyAny>) -> PyResult<()> {
        self.flush.bind(stream.py()).call1((stream,)).map(drop)
    }

    /// Flushes one of our streams, or a `TextIOWrapper` that the function has put on top of a file. Ignores other streams.
    pub fn flush_if_built_in(&self, stream: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = stream.py();
        let is_plain = || -> PyResult<bool> {
            let is = |object: &Bound<'_, PyAny>, class: &Py<PyAny>| object.get_type().is(class);
            if !stream.get_type().is(&self.base) {
                return Ok(false);
            }
            let buffer = stream.getattr(intern!(py, "buffer"))?;
            Ok(is(&buffer, &self.buffer) && is(&buffer.getattr(intern!(py, "raw"))?, &self.file))
        };
        if self.is_exact(stream) || is_plain()? { self.flush(stream) } else { Ok(()) }
    }
}

const WRITE: ffi::PyCFunction = write;

/// `sys.stdout.write(text)`.
unsafe extern "C" fn write(stream: *mut ffi::PyObject, text: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: CPython calls its methods attached, with objects that live until they return.
    unsafe { method(stream, text, StandardStream::write) }
}

/// `sys.stdout.writelines(texts)`.
unsafe extern "C" fn write_lines(stream: *mut ffi::PyObject, texts: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { method(stream, texts, StandardStream::write_lines) }
}

/// The end of `with sys.stdout:`.
unsafe extern "C" fn exit(stream: *mut ffi::PyObject, exception: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as above.
    unsafe { method(stream, exception, StandardStream::leave) }
}

/// Calls `body` for a method of one argument, and passes its result or exception to CPython.
///
/// # Safety
///
/// The thread is attached to Python, and both pointers are to live objects.
unsafe fn method(
    stream: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
    body: impl for<'py> FnOnce(&StandardStream, &Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: the caller promises both.
    let (py, stream, argument) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, stream), Borrowed::from_ptr(py, argument))
    };
    give_to_python(py, StandardStream::class(py).and_then(|streams| body(streams, &stream, &argument)))
}

/// The result of a function that CPython calls: a new reference, or null with an exception set.
pub fn give_to_python(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}

/// Whether the buffer is closed. Every flush and every write asks for that, and has the stream locked already. Without the GIL, CPython's
/// own implementation locks it again, so that a thread waits for itself until it gives up its locks, and other threads queue up behind it.
unsafe extern "C" fn is_closed(stream: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached, with a live object.
    let (py, stream) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, stream))
    };
    let closed = || {
        let buffer = stream.getattr(intern!(py, "buffer"))?;
        if buffer.is_none() {
            return Err(PyValueError::new_err("underlying buffer has been detached"));
        }
        buffer.getattr(intern!(py, "closed"))
    };
    give_to_python(py, closed())
}

/// A native class whose instances look like those of `base`.
fn derive<'py>(base: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyType>> {
    let py = base.py();
    let method = |name: &'static CStr, function: ffi::PyCFunction, flags: c_int| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: ptr::null(),
    };
    let methods = Box::leak(Box::new([
        method(c"write", WRITE, ffi::METH_O),
        method(c"writelines", write_lines, ffi::METH_O),
        method(c"__exit__", exit, ffi::METH_VARARGS),
        ffi::PyMethodDef::zeroed(),
    ]));
    let closed = ffi::PyGetSetDef { name: c"closed".as_ptr(), get: Some(is_closed), ..ffi::PyGetSetDef::default() };
    let attributes = Box::leak(Box::new([closed, ffi::PyGetSetDef::default()]));
    let mut slots = vec![ffi::PyType_Slot { slot: ffi::Py_tp_methods, pfunc: methods.as_mut_ptr().cast() }];
    if cfg!(Py_GIL_DISABLED) {
        slots.push(ffi::PyType_Slot { slot: ffi::Py_tp_getset, pfunc: attributes.as_mut_ptr().cast() });
    }
    slots.push(ffi::PyType_Slot::default());
    let mut spec = ffi::PyType_Spec {
        name: c"whipsnake.StandardStream".as_ptr(),
        // The same size as the base's instances.
        basicsize: 0,
        itemsize: 0,
        flags: c_uint::try_from(ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE)
            .map_err(|_| PyRuntimeError::new_err("the flags of a type do not fit"))?,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [base])?;
    // SAFETY: attached. CPython copies the specification and the slots. The methods and attributes live as long as the process.
    let class =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpecWithBases(&raw mut spec, bases.as_ptr()))? };
    Ok(class.cast_into::<PyType>()?)
}

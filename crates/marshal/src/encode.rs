//! What a handler returned to JSON text, by the rules of the managed runtime's simplejson.

use crate::escaped;
use crate::recursion::deeper;
use crate::unicode;
use pyo3::exceptions::{PyAttributeError, PyMemoryError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyString, PyTuple, PyType};
use std::collections::HashSet;
use std::ffi::{CStr, c_char};
use std::mem;
use std::ptr;

/// Encodes a handler's result: unescaped Unicode, `", "` and `": "` between items, floats as `repr` writes them. `default`, where
/// given, is called with each object that is nothing JSON knows and returns what to write in its place; a Decimal that it
/// returns as it is stays a number.
///
/// # Errors
/// `TypeError`, `ValueError` or `RecursionError` with simplejson's text where a value has no JSON form, and whatever code of
/// the function's own raises on the way (`_asdict`, `__str__` of a Decimal).
pub fn encode(value: &Bound<'_, PyAny>, default: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<u8>> {
    let mut encoder = Encoder { out: Vec::with_capacity(1024), path: Vec::new(), deep: HashSet::new(), default };
    encoder.value(value)?;
    Ok(encoder.out)
}

struct Encoder<'a, 'py> {
    out: Vec<u8>,
    default: Option<&'a Bound<'py, PyAny>>,
    /// The containers that enclose the current value, outermost first. Compared, never followed.
    path: Vec<*mut ffi::PyObject>,
    /// The containers of `path` after the first [`SEARCHED`].
    deep: HashSet<*mut ffi::PyObject>,
}

impl Encoder<'_, '_> {
    /// Calls itself for what is inside a container. What a level takes of the stack bounds the depth that can be written, so
    /// the code for plain values is kept out of it.
    fn value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text);
            Ok(())
        } else if value.is_none() {
            self.literal("null")
        } else if let Ok(truth) = value.cast::<PyBool>() {
            self.literal(if truth.is_true() { "true" } else { "false" })
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.integer(number)
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.float(number)
        } else if let Ok(object) = value.cast_exact::<PyDict>() {
            self.object(object)
        } else if let Ok(array) = value.cast_exact::<PyList>() {
            self.list(array)
        } else {
            self.less_common(value)
        }
    }

    /// Everything that a JSON document does not decode to.
    #[inline(never)]
    fn less_common(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = value.cast::<PyBytes>() {
            self.string(&text_of(bytes)?);
            return Ok(());
        }
        // A named tuple, and anything else that can give itself as a dict, before its base class is looked at.
        if let Some(given) = as_dict(value)? {
            let Ok(object) = given.cast::<PyDict>() else {
                return Err(PyTypeError::new_err(format!("_asdict() must return a dict, not {}", type_name(&given)?)));
            };
            return self.nested(value, |encoder| encoder.object(object));
        }
        if let Ok(object) = value.cast::<PyDict>() {
            self.object(object)
        } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
            self.iterable(value)
        } else if let Some(default) = self.default {
            let given = default.call1((value,))?;
            if given.is(value) { self.other(value) } else { self.nested(value, |encoder| encoder.value(&given)) }
        } else {
            self.other(value)
        }
    }

    fn object(&mut self, object: &Bound<'_, PyDict>) -> PyResult<()> {
        if object.is_empty() {
            return self.literal("{}");
        }
        self.nested(object.as_any(), |encoder| {
            encoder.out.push(b'{');
            let mut is_first = true;
            let mut item = |encoder: &mut Self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>| {
                encoder.separate(&mut is_first);
                match key.cast::<PyString>() {
                    Ok(text) => encoder.string(text),
                    Err(_) => encoder.unusual_key(key)?,
                }
                encoder.out.extend_from_slice(b": ");
                encoder.value(value)
            };
            if object.is_exact_instance_of::<PyDict>() {
                for_each_item(object, |key, value| item(encoder, key, value))?;
            } else {
                // A subclass may list its items as it likes.
                for pair in object.as_any().call_method0(intern!(object.py(), "items"))?.try_iter()? {
                    let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                        pair?.extract().map_err(|_| PyValueError::new_err("items must return 2-tuples"))?;
                    item(encoder, &key, &value)?;
                }
            }
            encoder.out.push(b'}');
            Ok(())
        })
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> PyResult<()> {
        self.nested(list.as_any(), |encoder| encoder.items(list.iter().map(Ok)))
    }

    fn iterable(&mut self, iterable: &Bound<'_, PyAny>) -> PyResult<()> {
        self.nested(iterable, |encoder| encoder.items(PyIterator::from_object(iterable)?))
    }

    fn items<'py>(&mut self, items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> PyResult<()> {
        self.out.push(b'[');
        let mut is_first = true;
        for item in items {
            self.separate(&mut is_first);
            self.value(&item?)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A key that is no str.
    #[inline(never)]
    fn unusual_key(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = key.cast::<PyBytes>() {
            self.string(&text_of(bytes)?);
            return Ok(());
        }
        self.out.push(b'"');
        if let Ok(number) = key.cast::<PyFloat>() {
            self.float(number)?;
        } else if key.is_none() {
            self.literal("null")?;
        } else if let Ok(truth) = key.cast::<PyBool>() {
            self.literal(if truth.is_true() { "true" } else { "false" })?;
        } else if let Ok(number) = key.cast::<PyInt>() {
            self.integer(number)?;
        } else {
            let found = type_name(key)?;
            return Err(PyTypeError::new_err(format!("keys must be str, int, float, bool or None, not {found:.100}")));
        }
        self.out.push(b'"');
        Ok(())
    }

    #[inline(never)]
    fn string(&mut self, text: &Bound<'_, PyString>) {
        escaped::append_quoted(&mut self.out, &unicode::characters(text));
    }

    #[inline(never)]
    fn integer(&mut self, number: &Bound<'_, PyInt>) -> PyResult<()> {
        // A subclass may print itself otherwise, but is asked for the int that it is.
        let plain = (!number.is_exact_instance_of::<PyInt>())
            .then(|| number.py().get_type::<PyInt>().call1((number,))?.cast_into::<PyInt>().map_err(PyErr::from))
            .transpose()?;
        let number = plain.as_ref().unwrap_or(number);
        let mut overflow = 0;
        // SAFETY: attached to the interpreter, and an int, which says in `overflow` that it is too large, without an exception.
        let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &raw mut overflow) };
        if overflow == 0 {
            return self.literal(itoa::Buffer::new().format(small));
        }
        // Python's own digits, with its limit on how many.
        let digits = number.str()?;
        self.out.extend_from_slice(digits.to_str()?.as_bytes());
        Ok(())
    }

    /// Appends a float as Python's `repr` writes it.
    #[inline(never)]
    fn float(&mut self, number: &Bound<'_, PyFloat>) -> PyResult<()> {
        let mut value = number.value();
        if value.is_nan() {
            return self.literal("NaN");
        }
        if value.is_infinite() {
            return self.literal(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        if !number.is_exact_instance_of::<PyFloat>() {
            // A subclass may print itself otherwise, but is asked for the float that it is. What that is like is not asked again.
            let plain = number.py().get_type::<PyFloat>().call1((number,))?;
            value = plain.extract()?;
            if !value.is_finite() {
                return self.literal(plain.repr()?.to_str()?);
            }
        }
        // The shortest digits that give the value back, the nearest of these, and the even one of two that are equally near: Python's
        // rule. Its form of exponents is another one.
        if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
            return self.literal(zmij::Buffer::new().format_finite(value));
        }
        #[allow(clippy::cast_possible_wrap, reason = "ASCII, which is the same where C's characters have a sign")]
        let format = b'r' as c_char;
        // SAFETY: attached to the interpreter. The result is a NUL-terminated text for us to free, or null without memory.
        unsafe {
            let text = ffi::PyOS_double_to_string(value, format, 0, ffi::Py_DTSF_ADD_DOT_0, ptr::null_mut());
            if text.is_null() {
                return Err(PyMemoryError::new_err("writing a float"));
            }
            self.out.extend_from_slice(CStr::from_ptr(text).to_bytes());
            ffi::PyMem_Free(text.cast());
        }
        Ok(())
    }

    /// A Decimal is a number written as it prints itself. simplejson's RawJSON is what it holds. All else has no JSON form.
    fn other(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if is_decimal(value)? {
            let text = value.str()?;
            let text = text.to_str()?;
            let unsigned = text.trim_start_matches('-');
            let is_nan = unsigned.starts_with("NaN") || unsigned.starts_with("sNaN");
            return self.literal(if is_nan { "NaN" } else { text });
        }
        if let Some(encoded) = raw_json(value)? {
            return self.literal(encoded.to_str()?);
        }
        Err(PyTypeError::new_err(format!("Object of type {} is not JSON serializable", value.get_type().name()?)))
    }

    /// Writes what is between an item and the one before it.
    fn separate(&mut self, is_first: &mut bool) {
        if !mem::replace(is_first, false) {
            self.out.extend_from_slice(b", ");
        }
    }

    fn literal(&mut self, text: &str) -> PyResult<()> {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Encodes what is inside `container`.
    ///
    /// # Errors
    /// `ValueError` if `container` is inside itself. simplejson raises it at the same place, before it writes or calls anything twice.
    fn nested(&mut self, container: &Bound<'_, PyAny>, inside: impl FnOnce(&mut Self) -> PyResult<()>) -> PyResult<()> {
        let pointer = container.as_ptr();
        if self.path.iter().take(SEARCHED).any(|outer| *outer == pointer)
            || (self.path.len() >= SEARCHED && !self.deep.insert(pointer))
        {
            return Err(PyValueError::new_err("Circular reference detected"));
        }
        self.path.push(pointer);
        deeper(container.py(), c" while encoding a JSON object", || inside(self))?;
        self.path.pop();
        if self.path.len() >= SEARCHED {
            self.deep.remove(&pointer);
        }
        Ok(())
    }
}

/// How many of the outer containers are searched one by one. A set is faster for more of them.
const SEARCHED: usize = 16;

/// Calls `visit` with each item of a dict in order, without a list of them in between.
fn for_each_item(
    dict: &Bound<'_, PyDict>,
    mut visit: impl FnMut(&Bound<'_, PyAny>, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let changed =
        |what| PyErr::new::<pyo3::exceptions::PyRuntimeError, _>(format!("dictionary {what} during iteration"));
    let size = dict.len();
    let mut remaining = size;
    let mut position: ffi::Py_ssize_t = 0;
    let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
    pyo3::sync::critical_section::with_critical_section(dict.as_any(), || {
        // SAFETY: attached to the interpreter and, where there is no GIL, inside the dict's critical section. Encoding a value
        // can run code of the function's that changes the dict: PyDict_Next checks its position against the dict as it is
        // at each call, and both references are made our own before anything else runs.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, &raw mut value) } != 0 {
            // SAFETY: PyDict_Next has just set both to live objects.
            let (key, value) =
                unsafe { (Bound::from_borrowed_ptr(dict.py(), key), Bound::from_borrowed_ptr(dict.py(), value)) };
            if remaining == 0 {
                return Err(changed("keys changed"));
            }
            remaining -= 1;
            visit(&key, &value)?;
            if dict.len() != size {
                return Err(changed("changed size"));
            }
        }
        Ok(())
    })
}

/// `bytes` inside a value are UTF-8 text.
fn text_of<'py>(bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyString>> {
    Ok(bytes.call_method1(intern!(bytes.py(), "decode"), ("utf-8",))?.cast_into::<PyString>()?)
}

/// What `_asdict()` gives, where a value has it. A TypeError counts as not having it: the method of a class itself wants an
/// instance.
fn as_dict<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = value.py();
    let method = match value.getattr(intern!(py, "_asdict")) {
        Ok(method) if method.is_callable() => method,
        Ok(_) => return Ok(None),
        Err(error) if error.is_instance_of::<PyAttributeError>(py) => return Ok(None),
        Err(error) => return Err(error),
    };
    match method.call0() {
        Ok(given) => Ok(Some(given)),
        Err(error) if error.is_instance_of::<PyTypeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

fn type_name(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.get_type().name()?.to_string())
}

/// Whether this is a Decimal. Nobody can hold one without having imported `decimal`, so it is not imported for the question.
fn is_decimal(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = value.py();
    if DECIMAL.get(py).is_none() {
        let Some(decimal) = imported(py, "decimal")? else { return Ok(false) };
        let class = decimal.getattr(intern!(py, "Decimal"))?.cast_into::<PyType>()?;
        let _ = DECIMAL.set(py, class.unbind());
    }
    DECIMAL.get(py).map_or(Ok(false), |class| value.is_instance(class.bind(py)))
}

/// The text of simplejson's RawJSON, if the function uses that.
fn raw_json<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
    let Some(module) = imported(value.py(), "simplejson.raw_json")? else { return Ok(None) };
    if !value.is_instance(&module.getattr("RawJSON")?)? {
        return Ok(None);
    }
    Ok(Some(value.getattr("encoded_json")?.cast_into::<PyString>()?))
}

/// A module that somebody has imported, whatever the function has put into `sys.modules`.
fn imported<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: attached; CPython has the dictionary as long as it runs.
    let modules = unsafe { Borrowed::from_ptr(py, ffi::PyImport_GetModuleDict()) };
    modules.cast::<PyDict>()?.get_item(name)
}

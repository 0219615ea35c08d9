//! Events and results, beside Python's own json and, where it is installed, the managed runtime's marshaller.

use crate::python::with_oracle;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use whipsnake_marshal as marshal;

/// A payload is decoded to what Python decodes it to, or refused as it refuses it; and what was decoded is encoded as Python does.
pub fn decode(payload: &[u8]) {
    with_oracle(|oracle| {
        let py = oracle.py();
        let bytes = PyBytes::new(py, payload);
        match marshal::decode(py, payload) {
            Ok(value) => {
                oracle.call_method1("check_decoded", (bytes, &value))?;
                check_encoding(oracle, &value, true)
            }
            Err(error) => oracle.call_method1("check_refused", (bytes, error)).map(drop),
        }
    });
}

/// A value, made of the bytes, is encoded as Python encodes it, or refused as it refuses it.
pub fn encode(recipe: &[u8]) {
    with_oracle(|oracle| {
        let made = oracle.call_method1("make", (PyBytes::new(oracle.py(), recipe),))?;
        let (value, is_plain) = made.extract::<(Bound<'_, PyAny>, bool)>()?;
        check_encoding(oracle, &value, is_plain)
    });
}

fn check_encoding(oracle: &Bound<'_, PyModule>, value: &Bound<'_, PyAny>, is_plain: bool) -> PyResult<()> {
    match marshal::encode(value, None) {
        Ok(text) => oracle.call_method1("check_encoded", (value, PyBytes::new(oracle.py(), &text), is_plain)).map(drop),
        Err(error) => oracle.call_method1("check_not_encoded", (value, error, is_plain)).map(drop),
    }
}

/// What is nested so deep is read and written, or refused with a `RecursionError`, on whatever stack this thread has. Whether it was
/// neither time refused.
#[must_use]
pub fn nested(levels: usize) -> bool {
    let mut is_taken = false;
    with_oracle(|oracle| {
        let py = oracle.py();
        let taken = |outcome: PyResult<()>| match outcome {
            Ok(()) => Ok(true),
            Err(error) if error.is_instance_of::<pyo3::exceptions::PyRecursionError>(py) => Ok(false),
            Err(error) => Err(error),
        };
        is_taken = true;
        for (open, close) in [("[", "]"), ("{\"key\": ", "}")] {
            let text = [open.repeat(levels).as_str(), "0", close.repeat(levels).as_str()].concat();
            is_taken &= taken(whipsnake_marshal::decode(py, text.as_bytes()).map(drop))?;
            let value = oracle.call_method1("nested", (levels, open == "["))?;
            is_taken &= taken(whipsnake_marshal::encode(&value, None).map(drop))?;
        }
        Ok(())
    });
    is_taken
}

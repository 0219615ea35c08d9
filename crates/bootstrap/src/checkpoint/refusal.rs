//! Why a process is not dumped.

use pyo3::prelude::*;
use std::error::Error;
use std::{fmt, io};

/// Why there is no dump. The command shows it to the user.
#[derive(Debug)]
pub struct Refused(String);

impl Refused {
    /// For a reason that the user can do something about.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Because a system call failed while doing something.
    pub fn doing(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }

    /// Because of an exception outside the function's code. Our own has all in its message.
    pub fn raised(py: Python<'_>, error: &PyErr) -> Self {
        let value = error.value(py);
        let own = py.import("whipsnake._checkpoint_adapters").and_then(|module| module.getattr("RefusedError"));
        if own.and_then(|own| value.is_instance(&own)).unwrap_or(false) {
            return Self(value.to_string());
        }
        error.print(py);
        Self(error.to_string())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

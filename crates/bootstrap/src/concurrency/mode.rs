//! How many invocations Lambda asks for at once, and what serves them.

use crate::init::awslambdaric;
use crate::init::handler::Handler;
use crate::invoke::worker::Worker;
use crate::start::environment::Environment;
use pyo3::prelude::*;
use std::ffi::OsString;
use std::{env, fmt};

/// What Lambda asked for.
pub struct Concurrency {
    /// How many invocations there can be at once.
    pub invocations: u16,
    /// `None` if the function decides.
    pub mode: Option<Mode>,
    /// The environment as it was when the process started, for a process that is started again.
    pub variables: Vec<(OsString, OsString)>,
}

/// What serves the invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Tasks of one event loop.
    Tasks,
    /// Threads of one interpreter.
    Threads,
    /// Processes that are forked after the function was imported.
    Processes,
    /// Processes that are forked before, and import the function themselves.
    Isolated,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tasks => "tasks of one event loop",
            Self::Threads => "threads",
            Self::Processes => "worker processes, forked after the import",
            Self::Isolated => "worker processes that each import the function",
        })
    }
}

/// A variable with a value that is not allowed.
#[derive(Debug)]
pub struct InvalidVariable {
    name: &'static str,
    value: String,
    expected: &'static str,
}

impl fmt::Display for InvalidVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?}, and should be {}", self.name, self.value, self.expected)
    }
}

impl std::error::Error for InvalidVariable {}

impl Concurrency {
    /// Reads the environment. `None` if invocations come one by one. Call this before the environment is changed.
    pub fn asked_for(environment: &Environment) -> Result<Option<Self>, InvalidVariable> {
        let Some(number) = &environment.max_concurrency else { return Ok(None) };
        let invocations = number.trim().parse().ok().filter(|&number| number > 0).ok_or_else(|| InvalidVariable {
            name: "AWS_LAMBDA_MAX_CONCURRENCY",
            value: number.clone(),
            expected: "a number from 1 to 65535",
        })?;
        let mode = environment.whipsnake_concurrency.as_deref().map(Mode::named).transpose()?;
        Ok(Some(Self { invocations, mode, variables: env::vars_os().collect() }))
    }
}

impl Mode {
    /// The variable's value for [`Self::Isolated`], which a process that is started again is given.
    pub const ISOLATED: &str = "isolated";

    fn named(name: &str) -> Result<Self, InvalidVariable> {
        match name {
            "tasks" => Ok(Self::Tasks),
            "threads" => Ok(Self::Threads),
            "processes" => Ok(Self::Processes),
            Self::ISOLATED => Ok(Self::Isolated),
            _ => Err(InvalidVariable {
                name: "WHIPSNAKE_CONCURRENCY",
                value: name.into(),
                expected: "tasks, threads, processes or isolated",
            }),
        }
    }

    /// The best mode for a function if the environment does not choose one.
    pub fn fit_for(py: Python<'_>, worker: &Worker, handler: &Handler) -> PyResult<Self> {
        // Tools that replace awslambdaric's names expect one invocation at a time in a process.
        if awslambdaric::is_imported(worker.modules(py)) {
            return Ok(Self::Processes);
        }
        if handler.is_async(py)? {
            return Ok(Self::Tasks);
        }
        // An extension module may have enabled the GIL.
        let is_parallel = cfg!(Py_GIL_DISABLED) && !py.import("sys")?.call_method0("_is_gil_enabled")?.is_truthy()?;
        Ok(if is_parallel { Self::Threads } else { Self::Processes })
    }
}

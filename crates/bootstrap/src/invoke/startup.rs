//! The init phase as Lambda sees it: a worker that is ready to ask for invocations, or a failure that is reported.

use crate::init::handler::Handler;
use crate::init::{self, Prepared, awslambdaric};
use crate::invoke::driver::Driver;
use crate::invoke::worker::Worker;
use crate::invoke::{replaced_names, runtime_object, sigterm};
use crate::report::notices::notice;
use crate::report::traceback::{self, Failure};
use crate::shutdown::ExitReason;
use crate::start::environment::Environment;
use crate::start::restored_from::origin;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use whipsnake_runtime_api::{Client, Fault};

/// How much of the init phase this process has behind it.
pub enum Start {
    /// Nothing: CPython has just started.
    Ordinary,
    /// The process was restored from a checkpoint that has this.
    Restored(Prepared),
}

/// Prepares the process for the function, or continues from a checkpoint. Returns the function as well if the checkpoint has imported it.
pub fn start(
    py: Python<'_>,
    environment: &Environment,
    client: Client,
    start: Start,
) -> Result<(&'static Worker, Option<Handler>), ExitReason> {
    let (prepared, is_restored) = match start {
        Start::Ordinary => (Prepared::new(py, environment), false),
        Start::Restored(prepared) => (Ok(prepared), true),
    };
    let prepare = || -> PyResult<(&'static Worker, Option<Handler>)> {
        let Prepared { log, contexts, handler } = prepared?;
        let driver = if is_restored { sigterm::keeping_own_handler(|| Driver::new(py))? } else { Driver::new(py)? };
        let worker = Worker::first(py, client, driver, contexts, log)?;
        runtime_object::register(py, worker)?;
        Ok((worker, handler))
    };
    prepare().map_err(|error| {
        notice("could not prepare the process for the function:");
        ExitReason::Raised(error)
    })
}

/// Renews what the copies of a checkpoint must not share, if this process is one. If a hook of the function's raises, the init phase has
/// failed.
pub fn complete_restore(py: Python<'_>, worker: &Worker, environment: &Environment) -> Result<(), ExitReason> {
    if origin().is_none() {
        return Ok(());
    }
    worker.log.get().reopen(environment);
    init::complete_restore(py).map_err(|error| fail(py, worker, traceback::failure(py, error)))
}

/// Imports the function, or starts the web application if that is imported already. A failure has been reported to Lambda.
pub fn ready_handler(
    py: Python<'_>,
    worker: &Worker,
    imported: Option<&Handler>,
    environment: &Environment,
) -> Result<Handler, ExitReason> {
    let ready = match imported {
        Some(handler) => init::start_application(py, handler, environment),
        None => init::import_handler(py, environment),
    };
    ready.map_err(|failure| fail(py, worker, failure))
}

fn fail(py: Python<'_>, worker: &Worker, failure: Failure) -> ExitReason {
    match failure {
        Failure::Fault(fault, exception) => fail_init(py, worker, &fault, exception.as_ref()),
        Failure::Raised(error) => ExitReason::Raised(error),
    }
}

/// Reports a failed init phase. Lambda expects the process to exit afterwards.
fn fail_init(py: Python<'_>, worker: &Worker, fault: &Fault, exception: Option<&Py<PyBaseException>>) -> ExitReason {
    let reported = if awslambdaric::is_imported(worker.modules(py)) || replaced_names::is_sink_replaced(py) {
        replaced_names::fail_init(py, worker, fault, exception).map_err(|error| worker.exit_reason_of(error))
    } else {
        let report = worker.log_init_fault(py, fault, exception);
        worker.report_failed_init(py, report, &fault.error_type)
    };
    reported.err().unwrap_or(ExitReason::InitFailed)
}

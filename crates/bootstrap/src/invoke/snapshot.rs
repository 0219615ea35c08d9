//! SnapStart: runs the function's hooks, waits while Lambda takes a snapshot of the process, and runs the hooks after a restore.

use crate::imported_modules::imported;
use crate::init::awslambdaric;
use crate::invoke::replaced_names;
use crate::invoke::worker::Worker;
use crate::report::traceback;
use crate::shutdown::ExitReason;
use pyo3::exceptions::PyBaseException;
use pyo3::intern;
use pyo3::prelude::*;
use whipsnake_runtime_api::Fault;

/// The value of `AWS_LAMBDA_INITIALIZATION_TYPE` if Lambda takes a snapshot.
pub const INITIALIZATION_TYPE: &str = "snap-start";

/// The error type of a failure before the snapshot, whatever the type of the exception.
const BEFORE_SNAPSHOT: &str = "Runtime.BeforeSnapshotError";

/// Call this in an initialized process. Returns in a process that may be a copy of it. An exception of a hook ends the process, even if it
/// is no `Exception`.
pub fn take(py: Python<'_>, worker: &Worker) -> Result<(), ExitReason> {
    if awslambdaric::is_imported(worker.modules(py)) && replaced_names::take_snapshot(py, worker)? {
        return Ok(());
    }
    if let Err(error) = run_hooks(py, "run_before_snapshot") {
        let fault = traceback::fault(py, &error);
        return Err(fail_before_snapshot(py, worker, &fault, Some(&error.into_value(py))));
    }
    if let Err(error) = worker.driver.wait(py, worker.client.restored())? {
        let fault = Fault::new("Runtime.LambdaRuntimeClientError", error.to_string());
        return Err(fail_before_snapshot(py, worker, &fault, None));
    }
    if let Err(error) = run_hooks(py, "run_after_restore") {
        let fault = traceback::fault(py, &error);
        let report = worker.log_init_fault(py, &fault, Some(&error.into_value(py)));
        worker.driver.complete(py, worker.client.fail_restore(report.into()))??;
        return Err(ExitReason::RestoreFailed);
    }
    Ok(())
}

/// Runs hooks. Only a function that has imported their module can have registered some.
fn run_hooks(py: Python<'_>, which: &str) -> PyResult<()> {
    if imported(py, intern!(py, "snapshot_restore_py"))?.is_some() {
        py.import("awslambdaric.lambda_runtime_hooks_runner")?.call_method0(which)?;
    }
    Ok(())
}

fn fail_before_snapshot(
    py: Python<'_>,
    worker: &Worker,
    fault: &Fault,
    exception: Option<&Py<PyBaseException>>,
) -> ExitReason {
    let report = worker.log_init_fault(py, fault, exception);
    worker.report_failed_init(py, report, BEFORE_SNAPSHOT).err().unwrap_or(ExitReason::SnapshotFailed)
}

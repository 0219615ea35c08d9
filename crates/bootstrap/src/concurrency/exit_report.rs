//! The report of an invocation whose worker process died.

use crate::invoke::worker::Worker;
use crate::report::notices;
use crate::start::user_agent::user_agent;
use pyo3::prelude::*;
use std::error::Error;
use std::ffi::CStr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use whipsnake_runtime_api::{Client, Fault, Ticket};

/// The report of an invocation whose worker process died.
pub struct ExitReport<'a> {
    /// The supervisor's own worker, which has the log.
    pub parent: &'a Worker,
    /// `host:port` of the Runtime API.
    pub endpoint: &'a str,
    /// Which invocation.
    pub ticket: &'a Ticket,
    /// How the process ended.
    pub status: ExitStatus,
}

impl ExitReport<'_> {
    /// Logs the report and sends it, in Lambda's own words for a runtime that exits. `limit`: how long Lambda has to acknowledge it.
    pub fn send(&self, py: Python<'_>, limit: Duration) {
        let request_id = &self.ticket.request_id;
        let message = format!("RequestId: {request_id} Error: {}", description(self.status));
        let fault = Fault::new("Runtime.ExitError", message);
        self.parent.log.get().fault_of(py, request_id, &fault, None);
        if let Err(error) = self.post(&fault, limit) {
            notice(&format!("could not report that a worker process died of {request_id}: {error}"));
        }
    }

    fn post(&self, fault: &Fault, limit: Duration) -> Result<(), Box<dyn Error>> {
        // A client of its own: a worker that is forked later must not inherit any of it.
        let client = Client::new(self.endpoint, user_agent())?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = fault.report(&self.ticket.request_id).to_json();
        let xray_cause = fault.xray_cause("");
        tokio.block_on(async {
            let posted = tokio::time::timeout(limit, client.fail(self.ticket, report.into(), &xray_cause)).await;
            posted.map_err(|_| format!("the Runtime API did not answer within {} s", limit.as_secs()))??;
            Ok(())
        })
    }
}

/// Lambda's words for the exit of a runtime.
pub fn description(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".into(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, signal) => format!("Runtime exited with error: signal: {}", name_of(signal.unwrap_or_default())),
    }
}

fn name_of(signal: i32) -> String {
    // SAFETY: the C library's own text, which is read before this thread asks for another one.
    let name = unsafe { CStr::from_ptr(libc::strsignal(signal)) };
    name.to_string_lossy().to_lowercase()
}

/// Writes a line to standard error if it can be written at once. The supervisor waits for no reader.
pub fn notice(text: &str) {
    let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: asks the kernel about one descriptor, and writes to the stack.
    let is_ready = unsafe { libc::poll(&raw mut stderr, 1, 0) } > 0 && stderr.revents & libc::POLLOUT != 0;
    if is_ready {
        notices::notice(text);
    }
}

//! The slot of a worker that serves beside others.

use crate::report::notices::notice;
use crate::shutdown::ExitReason;
use pyo3::prelude::*;
use std::pin::Pin;
use std::time::Duration;
use whipsnake_runtime_api::{Client, Error, Invocation};

/// How long to wait before `/next` is requested again, one value for each failure in a row.
const RETRY_BACKOFF: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// The next invocation, once it is there.
pub type Next<'a> = Pin<Box<dyn Future<Output = Result<Invocation, ExitReason>> + Send + 'a>>;

/// The slot of a worker that serves beside others: a thread of this process, or a process that a supervisor watches.
pub trait WorkerSlot: Send + Sync {
    /// Waits for the next invocation. A failed request is repeated some times, because the end of this worker ends the others as well.
    fn next<'a>(&'a self, client: &'a Client) -> Next<'a>;

    /// Makes an invocation the current one. Returns whether that is done for the whole process: the process's log and environment variables
    /// then stay as they are.
    fn begin(&self, py: Python<'_>, invocation: &Invocation) -> bool;

    /// Notes that the current invocation has its response.
    fn end(&self);
}

/// Requests the next invocation, several times if necessary.
pub async fn next_with_retries(client: &Client) -> Result<Invocation, Error> {
    let mut next = client.next().await;
    for pause in RETRY_BACKOFF {
        let Err(error) = &next else { break };
        notice(format_args!("{error}; asking again in {} ms", pause.as_millis()));
        tokio::time::sleep(pause).await;
        next = client.next().await;
    }
    next
}

//! What a played script gives back.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bytes::Bytes;

/// Everything a command did while a script was played to it.
#[derive(Debug, Serialize)]
pub struct Recording {
    /// The requests in the order in which their ends arrived; none with `"record_requests": false`.
    pub requests: Vec<RecordedRequest>,
    /// How many requests there were.
    pub request_count: usize,
    /// What it wrote to descriptor 1.
    pub stdout: Bytes,
    /// What it wrote to descriptor 2.
    pub stderr: Bytes,
    /// What it wrote to each of the script's `pipes`, by variable.
    pub pipes: BTreeMap<String, Bytes>,
    /// Its exit code, unless a signal ended it.
    pub exit_code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// Microseconds from the spawn until it had ended.
    pub ended_at_us: Option<u64>,
    /// Whether `timeout_ms` passed and it was killed.
    pub timed_out: bool,
    /// When it was spawned, in microseconds of CLOCK_MONOTONIC, which the command can read as well.
    pub spawned_at_us: u64,
    /// Microseconds from before it was spawned until its first /next had arrived.
    pub spawn_to_first_next_us: Option<u64>,
    /// Whether the steps ran out and the signal of `end` was sent.
    pub end_signal_sent: bool,
    /// Microseconds from before an event's first byte was written to /next until the whole POST for it was received, in order.
    pub latencies_us: Vec<f64>,
    /// Proportional set size in kilobytes, at each step with `measure_memory`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pss_kb: Vec<u64>,
}

/// One request, its bytes as they came.
#[derive(Debug, Serialize)]
pub struct RecordedRequest {
    /// The connection's number, from 1 in order of arrival.
    pub connection: usize,
    /// GET, POST, ...
    pub method: String,
    /// The request target as written.
    pub path: String,
    /// HTTP/1.1 or HTTP/1.0.
    pub version: String,
    /// Names and values, in the order and the case they were sent.
    pub headers: Vec<(String, Bytes)>,
    /// The body, its framing removed.
    pub body: Bytes,
    /// What followed the last chunk.
    pub trailers: Vec<(String, Bytes)>,
    /// Microseconds from the spawn until the head had arrived.
    pub at_us: u64,
    /// The chunks of a chunked body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Chunk>,
    /// True when the client hung up before the end of the body; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// True when the script answered before the end of the body; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// When a chunk had arrived, and how long it was.
#[derive(Debug, Serialize)]
pub struct Chunk {
    /// Microseconds since the spawn.
    pub at_us: u64,
    /// Bytes in it.
    pub size: usize,
}

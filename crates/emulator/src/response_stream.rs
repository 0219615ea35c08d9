//! `InvokeWithResponseStream`: the response as a stream of events.

use std::io;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    emulator::{Emulator, Part},
    event_stream::event,
    http::{Connection, Request, Response},
    invocation::Invocation,
    invoke_request::wants_log,
    refusal::Refusal,
};

/// Runs the function once and sends its response. A caller that goes away does not stop the function, as on Lambda.
pub(crate) fn answer(
    emulator: &Emulator,
    connection: &mut Connection,
    request: &Request,
    invocation: &Invocation,
) -> Result<(), Refusal> {
    let head = Response { status: 200, reason: None, headers: Vec::new(), body: Vec::new() }
        .with("Content-Type", "application/vnd.amazon.eventstream")
        .with("X-Amz-Executed-Version", "$LATEST")
        .with("x-amzn-RequestId", &invocation.request_id)
        .with("X-Amzn-Trace-Id", &invocation.trace_id)
        .with("Transfer-Encoding", "chunked");
    let mut begun = false;
    let mut sent = Ok(());
    let mut send = |chunk: &[u8]| {
        if !std::mem::replace(&mut begun, true) {
            sent = connection.write(&head.head(0));
        }
        if sent.is_ok() && !chunk.is_empty() {
            sent = connection.write_chunk(&event("PayloadChunk", "application/octet-stream", chunk));
        }
    };
    let outcome = emulator.invoke_and_show(invocation, &mut |part| match part {
        Part::Chunk(chunk) | Part::Whole(chunk) => send(chunk),
        // The last event says how the response ended.
        Part::Beginning { .. } | Part::End | Part::Fault(_) => send(b""),
    })?;
    let mut complete = json!({});
    if let Some(fault) = outcome.fault {
        complete["ErrorCode"] = fault.into();
        complete["ErrorDetails"] = String::from_utf8_lossy(&outcome.payload).into();
    }
    if wants_log(request) {
        complete["LogResult"] = BASE64_STANDARD.encode(outcome.log_tail).into();
    }
    let last = event("InvokeComplete", "application/json", complete.to_string().as_bytes());
    // The next read of the connection notices that the caller has gone.
    let _: io::Result<()> = sent.and_then(|()| connection.write_chunk(&last)).and_then(|()| connection.end_chunks());
    Ok(())
}

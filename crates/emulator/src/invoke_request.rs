//! What a request to the Invoke API says about the invocation.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::de::IgnoredAny;

use crate::{http::Request, invocation::Invocation, refusal::Refusal};

/// The most bytes of a payload: if the caller waits for the response, and if it does not.
pub(crate) const MAX_REQUEST: usize = 6 * 1024 * 1024;
pub(crate) const MAX_EVENT: usize = 1024 * 1024;

/// The header that says whether the caller waits.
pub(crate) const INVOCATION_TYPE: &str = "x-amz-invocation-type";

/// Whether the caller wants the end of the log with the response.
pub(crate) fn wants_log(request: &Request) -> bool {
    request.header("x-amz-log-type").as_deref() == Some("Tail")
}

/// The most bytes of this request's payload.
pub(crate) fn limit(request: &Request) -> usize {
    if request.header(INVOCATION_TYPE).as_deref() == Some("Event") { MAX_EVENT } else { MAX_REQUEST }
}

/// The refusal of a payload that is larger than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Refusal {
    let message = format!("Request must be smaller than {limit} bytes for the InvokeFunction operation");
    Refusal::new(413, "RequestEntityTooLargeException", message)
}

/// The invocation that a request asks for.
pub(crate) fn invocation(request: &Request, limit: usize) -> Result<Invocation, Refusal> {
    if request.body.len() > limit {
        return Err(too_large(limit));
    }
    let payload = if request.body.is_empty() { b"{}".to_vec() } else { request.body.clone() };
    check_json(&payload)
        .map_err(|error| format!("Could not parse request body into json: Could not parse payload into json: {error}"))
        .map_err(|message| Refusal::new(400, "InvalidRequestContentException", message))?;
    let mut invocation = Invocation::new(payload)?;
    if let Some(trace) = request.header("x-amzn-trace-id") {
        invocation.trace_id = trace.into_owned();
    }
    if let Some(context) = request.header("x-amz-client-context") {
        invocation.client_context = Some(client_context(&context)?);
    }
    invocation.tenant = request.header("x-amz-tenant-id").map(String::from);
    Ok(invocation)
}

fn client_context(encoded: &str) -> Result<String, Refusal> {
    BASE64_STANDARD
        .decode(encoded)
        .ok()
        .filter(|json| serde_json::from_slice::<IgnoredAny>(json).is_ok())
        .and_then(|json| String::from_utf8(json).ok())
        // A header cannot contain line breaks, and JSON does not need them.
        .map(|json| json.replace(['\r', '\n'], " "))
        .ok_or_else(|| {
            let message = "Client context must be a valid Base64-encoded JSON object.";
            Refusal::new(400, "InvalidRequestContentException", message)
        })
}

/// Lambda accepts only JSON as an event. The text is not parsed further: its meaning is up to the runtime.
fn check_json(payload: &[u8]) -> Result<(), String> {
    std::str::from_utf8(payload).map_err(|error| error.to_string())?;
    serde_json::from_slice::<IgnoredAny>(payload).map_err(|error| error.to_string())?;
    Ok(())
}

//! What comes with an invocation.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use whipsnake_runtime_api::Invocation;

/// The headers that are read. The first byte of a line says which of them it is.
const NAMES: &[&str] = &[
    "lambda-runtime-aws-request-id",
    "lambda-runtime-invocation-id",
    "lambda-runtime-deadline-ms",
    "lambda-runtime-invoked-function-arn",
    "lambda-runtime-trace-id",
    "lambda-runtime-aws-tenant-id",
    "lambda-runtime-client-context",
    "lambda-runtime-cognito-identity",
    "content-type",
    "content-length",
];

/// Any headers that HTTP allows make an invocation, if only they name a request that a path can name; and each is as it was sent, or absent.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let Some((name, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]), value);
    }
    let sent = |number: usize| {
        let value = headers.get(NAMES[number]).map(|value| String::from_utf8_lossy(value.as_bytes().trim_ascii()));
        value.filter(|text| !text.is_empty()).map(String::from)
    };
    let payload = Bytes::copy_from_slice(bytes);
    let Ok(invocation) = Invocation::read(&headers, payload.clone()) else {
        let may_be_in_a_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(sent(0).is_none_or(|id| !id.bytes().all(may_be_in_a_path)), "{:?} is refused", sent(0));
        return;
    };
    assert_eq!(Some(invocation.ticket.request_id.clone()), sent(0));
    assert_eq!(invocation.ticket.invocation_id, sent(1));
    assert_eq!(invocation.function_arn, sent(3));
    assert_eq!(invocation.trace_id, sent(4));
    assert_eq!(invocation.tenant_id, sent(5));
    assert_eq!(invocation.client_context, sent(6));
    assert_eq!(invocation.identity, sent(7));
    assert_eq!(invocation.content_type, sent(8));
    assert_eq!(invocation.payload, payload);
    let deadline = sent(2).and_then(|text| text.parse::<i64>().ok().filter(|_| !text.starts_with('+')));
    assert!(
        deadline.is_none() || invocation.deadline == deadline,
        "a deadline of {deadline:?} is {:?}",
        invocation.deadline
    );
    assert_eq!(invocation.is_json(), sent(8).is_none_or(|kind| kind == "application/json"));
}

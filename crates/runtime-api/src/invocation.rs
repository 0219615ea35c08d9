//! One invocation, as `/next` delivers it.

use crate::error::Kind;
use crate::request::{INVOCATION_ID, response_path};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName};
use http::uri::PathAndQuery;

// Header names are parsed at compile time.
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const DEADLINE: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const TENANT_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
const IDENTITY: HeaderName = HeaderName::from_static("lambda-runtime-cognito-identity");

/// Identifies an invocation. Its response carries the same values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The request id, from `Lambda-Runtime-Aws-Request-Id`.
    pub request_id: String,
    /// From `Lambda-Runtime-Invocation-Id`. Sent back with the response, so that Lambda can reject one that comes too late instead of
    /// giving it to the wrong caller.
    pub invocation_id: Option<String>,
}

/// One invocation. Every header but the request id is optional, and an empty one counts as absent: Lambda Managed
/// Instances send empty values where classic Lambda omits the header.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Which invocation this is.
    pub ticket: Ticket,
    /// Milliseconds since the epoch, from `Lambda-Runtime-Deadline-Ms`. `None` if missing or not a number.
    pub deadline: Option<i64>,
    /// From `Lambda-Runtime-Invoked-Function-Arn`.
    pub function_arn: Option<String>,
    /// The X-Ray trace, from `Lambda-Runtime-Trace-Id`.
    pub trace_id: Option<String>,
    /// From `Lambda-Runtime-Aws-Tenant-Id`.
    pub tenant_id: Option<String>,
    /// JSON text as the caller sent it, from `Lambda-Runtime-Client-Context`. Not checked here.
    pub client_context: Option<String>,
    /// JSON text, from `Lambda-Runtime-Cognito-Identity`. Not checked here.
    pub identity: Option<String>,
    /// From `Content-Type`.
    pub content_type: Option<String>,
    /// The body, untouched.
    pub payload: Bytes,
}

impl Invocation {
    /// Reads the headers of a response to `/next`.
    ///
    /// # Errors
    /// If the request id is missing, is not UTF-8, or cannot be part of a path: nobody could respond to such an invocation.
    pub fn read(headers: &HeaderMap, payload: Bytes) -> Result<Self, Kind> {
        let request_id = text(headers, REQUEST_ID).ok_or(Kind::NoRequestId)?;
        // A replacement character would name another request.
        let is_whole = headers.get(REQUEST_ID).is_some_and(|id| str::from_utf8(id.as_bytes()).is_ok());
        if !is_whole || !can_be_in_a_path(&request_id) {
            return Err(Kind::RequestId(request_id.chars().take(40).collect()));
        }
        let ticket = Ticket { request_id, invocation_id: text(headers, INVOCATION_ID) };
        Ok(Self {
            ticket,
            deadline: text(headers, DEADLINE).and_then(|ms| leading_integer(&ms)),
            function_arn: text(headers, FUNCTION_ARN),
            trace_id: text(headers, TRACE_ID),
            tenant_id: text(headers, TENANT_ID),
            client_context: text(headers, CLIENT_CONTEXT),
            identity: text(headers, IDENTITY),
            content_type: text(headers, CONTENT_TYPE),
            payload,
        })
    }

    /// Whether the payload is to be decoded as JSON. A missing content type counts as JSON, as in Lambda's other runtimes. For anything but
    /// exactly `application/json` the handler gets the bytes.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.content_type.as_deref().is_none_or(|kind| kind == "application/json")
    }
}

/// Whether the request id can be part of a path unchanged. A `#` would end the path.
fn can_be_in_a_path(request_id: &str) -> bool {
    let path = response_path(request_id, "response");
    let length = path.len();
    PathAndQuery::try_from(path).is_ok_and(|path| path.as_str().len() == length)
}

/// A header as text. `None` if missing or empty; the first one if repeated. Bytes that are not UTF-8 are replaced, because an odd header
/// other than the request id must not fail the invocation.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.as_bytes().trim_ascii();
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
}

/// The number at the beginning of `text`, as C's `strtol` reads it: the managed runtime reads `123abc` as 123.
fn leading_integer(text: &str) -> Option<i64> {
    let sign = usize::from(text.starts_with('-'));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    text[..sign + digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(pairs: &[(&'static str, &[u8])]) -> Result<Invocation, Kind> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).expect("a legal header value"));
        }
        Invocation::read(&headers, Bytes::new())
    }

    #[test]
    fn a_request_id_is_all_that_is_needed() {
        let invocation = read(&[("lambda-runtime-aws-request-id", b"rid-1")]).expect("an invocation");
        assert_eq!(invocation.ticket.request_id, "rid-1");
        assert_eq!(invocation.deadline, None);
        assert!(invocation.is_json(), "no content type counts as JSON");
        assert!(matches!(read(&[("lambda-runtime-aws-request-id", b"")]), Err(Kind::NoRequestId)));
    }

    #[test]
    fn an_empty_header_counts_as_absent_and_the_first_of_two_wins() {
        let invocation = read(&[
            ("lambda-runtime-aws-request-id", b"first"),
            ("lambda-runtime-aws-request-id", b"second"),
            ("lambda-runtime-trace-id", b""),
            ("lambda-runtime-aws-tenant-id", b" blue "),
        ])
        .expect("an invocation");
        assert_eq!(invocation.ticket.request_id, "first");
        assert_eq!(invocation.trace_id, None);
        assert_eq!(invocation.tenant_id.as_deref(), Some("blue"));
    }

    #[test]
    fn a_request_id_that_no_answer_could_name_is_refused() {
        let read_id = |id: &str| read(&[("lambda-runtime-aws-request-id", id.as_bytes())]);
        for good in ["8476a536-e9f4-11e8-9739-2dfe598c3fcd", "a%20b?c=d;x", "é/x", &"x".repeat(60_000)] {
            assert_eq!(read_id(good).expect("an invocation").ticket.request_id, good);
        }
        let not_utf_8 = read(&[("lambda-runtime-aws-request-id", b"a\xffb")]);
        assert!(matches!(not_utf_8, Err(Kind::RequestId(_))), "{not_utf_8:?}");
        for bad in ["a b", "a#b", "a\tb", "<a>", &"x".repeat(0x1_0000)] {
            assert!(matches!(read_id(bad), Err(Kind::RequestId(_))), "{bad}");
        }
    }

    #[test]
    fn an_odd_deadline_never_costs_the_invocation() {
        for (text, deadline) in [
            ("1700000000000", Some(1_700_000_000_000)),
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("123abc", Some(123)),
            ("soon", None),
            ("-", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(leading_integer(text), deadline, "{text}");
        }
    }

    #[test]
    fn header_bytes_that_are_not_utf_8_are_replaced() {
        let invocation = read(&[("lambda-runtime-aws-request-id", b"r"), ("lambda-runtime-trace-id", b"a\xffb")]);
        assert_eq!(invocation.expect("an invocation").trace_id.as_deref(), Some("a\u{fffd}b"));
    }
}

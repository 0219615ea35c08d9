//! What a request to the Runtime API is made of: paths, and the names and values of headers.

use http::header::{HeaderName, HeaderValue};

/// The path that all calls begin with.
pub(crate) const VERSION: &str = "/2018-06-01/runtime";
pub(crate) const INVOCATION_ID: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
pub(crate) const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");
pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
pub(crate) const XRAY_CAUSE: HeaderName = HeaderName::from_static("lambda-runtime-function-xray-error-cause");

/// The path for the response to an invocation (`response`), or for its failure (`error`).
pub(crate) fn response_path(request_id: &str, kind: &str) -> String {
    format!("{VERSION}/invocation/{request_id}/{kind}")
}

/// A header value for any text. Characters above ASCII are sent as UTF-8. Characters that HTTP forbids are dropped: in JSON text that can
/// only be a raw DEL, which is not part of the structure.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).or_else(|_| HeaderValue::from_bytes(text.as_bytes())).unwrap_or_else(|_| {
        let legal: Vec<u8> = text.bytes().filter(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)).collect();
        HeaderValue::from_bytes(&legal).expect("all control characters have been removed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_keeps_utf_8_and_drops_what_http_forbids() {
        assert_eq!(header_value("é\u{7f}\r\nx: y").as_bytes(), "éx: y".as_bytes());
    }
}

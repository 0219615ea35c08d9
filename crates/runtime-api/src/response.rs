//! The function's response.

use bytes::Bytes;
use std::borrow::Cow;

/// A buffered response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The body, sent as it is.
    pub body: Bytes,
    /// Its `Content-Type`, which Lambda passes on to the caller.
    pub content_type: Cow<'static, str>,
}

impl Response {
    /// The content type of JSON.
    pub const JSON: &str = "application/json";

    /// A response of JSON text.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), content_type: Self::JSON.into() }
    }

    /// Bytes that the handler returned, with the content type that the managed runtime gives them.
    #[must_use]
    pub fn raw(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), content_type: "application/unknown".into() }
    }
}

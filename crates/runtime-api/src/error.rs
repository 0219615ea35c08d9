//! Errors between the runtime and Lambda. Failures of the function are [`crate::Fault`]s.

use http::StatusCode;
use std::fmt;

/// How much of the body of an error response is kept, in bytes.
const MAX_ERROR_BODY: usize = 1024;

/// A failed exchange with the Runtime API.
#[derive(Debug)]
pub struct Error {
    /// What we were doing.
    pub call: Call,
    /// What happened.
    pub kind: Kind,
}

/// Which request failed. `Display` completes "could not …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Before any request: reading the endpoint.
    Connect,
    /// GET `/runtime/invocation/next`
    Next,
    /// POST `/runtime/invocation/{id}/response`
    Respond,
    /// POST `/runtime/invocation/{id}/response` in streaming mode, once the body has begun
    Stream,
    /// POST `/runtime/invocation/{id}/error`
    Fail,
    /// POST `/runtime/init/error`
    FailInit,
    /// GET `/runtime/restore/next`
    RestoreNext,
    /// POST `/runtime/restore/error`
    FailRestore,
    /// POST `/extension/register`
    Register,
}

/// What happened to the request.
#[derive(Debug)]
pub enum Kind {
    /// The endpoint is not `host:port`.
    Endpoint(String),
    /// The request cannot be written as HTTP, for instance because of its request id.
    Request(http::Error),
    /// No response: the connection was refused, reset, or closed half-way.
    Transport(Box<dyn std::error::Error + Send + Sync>),
    /// A response other than success. `body` is the beginning of its text.
    Status {
        /// Its code.
        status: StatusCode,
        /// Its text, cropped.
        body: String,
        /// Bytes that were sent.
        sent: usize,
        /// Whether the request was sent twice, because the first connection broke and the request may have arrived.
        sent_again: bool,
    },
    /// A response to `/next` without a request id.
    NoRequestId,
    /// A response to `/next` whose request id cannot be part of a URL. The id is cropped.
    RequestId(String),
    /// A response to `/extension/register` without an extension's identifier.
    NoIdentifier,
    /// Lambda acknowledged a streamed response before its end.
    Early,
}

impl Error {
    /// The error for a request of `sent` bytes that Lambda refused with this body.
    pub(crate) fn refused(call: Call, status: StatusCode, body: &[u8], sent: usize) -> Self {
        let body = String::from_utf8_lossy(&body[..body.len().min(MAX_ERROR_BODY)]);
        // The body may have line breaks, and an error is one line.
        let body = body.trim().replace(char::is_control, " ");
        Self { call, kind: Kind::Status { status, body, sent, sent_again: false } }
    }

    /// Whether Lambda refused this one response (too large, too late, of another invocation) while the execution environment continues. A
    /// 5xx asks the runtime to exit. Without a response the state is unknown, except for a stream, whose reader has gone.
    #[must_use]
    pub fn concerns_one_invocation(&self) -> bool {
        match &self.kind {
            Kind::Status { status, .. } => {
                status.is_client_error() && matches!(self.call, Call::Respond | Call::Fail | Call::Stream)
            }
            Kind::Transport(_) | Kind::Early => self.call == Call::Stream,
            _ => false,
        }
    }

    /// Whether Lambda refused the request because it is not allowed at this time.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.kind, Kind::Status { status: StatusCode::FORBIDDEN, .. })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Connect => "reach the Runtime API",
            Call::Next => "get the next invocation",
            Call::Respond => "post the response",
            Call::Stream => "stream the response to its end",
            Call::Fail => "post the error",
            Call::FailInit => "post the init error",
            Call::RestoreNext => "wait for the restore of a snapshot",
            Call::FailRestore => "post the restore error",
            Call::Register => "register as an extension",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: ", self.call)?;
        match &self.kind {
            Kind::Endpoint(endpoint) => {
                write!(f, "AWS_LAMBDA_RUNTIME_API is {endpoint:?}, and should be host:port such as 127.0.0.1:9001")
            }
            Kind::Request(source) => write!(f, "it cannot be written as HTTP: {source}"),
            Kind::Transport(source) => {
                write!(f, "no answer from the Runtime API: {source}")?;
                let mut cause = source.source();
                while let Some(inner) = cause {
                    write!(f, ": {inner}")?;
                    cause = inner.source();
                }
                Ok(())
            }
            Kind::Status { status, body, sent, sent_again } => {
                write!(f, "the Runtime API answered {}", status.as_u16())?;
                if let Some(reason) = status.canonical_reason() {
                    write!(f, " {reason}")?;
                }
                if *sent > 0 {
                    write!(f, " to {sent} bytes")?;
                }
                match status.as_u16() {
                    413 if self.call != Call::Stream => f.write_str("; Lambda takes at most 6291556")?,
                    410 => f.write_str("; the invocation had timed out")?,
                    _ => {}
                }
                if *sent_again {
                    f.write_str(
                        "; the connection had broken, so they were sent twice, and may have arrived the first time",
                    )?;
                }
                if body.is_empty() { Ok(()) } else { write!(f, ": {body}") }
            }
            Kind::NoIdentifier => f.write_str("the Runtime API's answer has no Lambda-Extension-Identifier header"),
            Kind::NoRequestId => f.write_str("the Runtime API's answer has no Lambda-Runtime-Aws-Request-Id header"),
            Kind::RequestId(id) => write!(f, "its request id cannot be part of a URL: {id:?}"),
            Kind::Early => f.write_str("the Runtime API answered before it"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            Kind::Transport(source) => Some(source.as_ref()),
            Kind::Request(source) => Some(source),
            _ => None,
        }
    }
}

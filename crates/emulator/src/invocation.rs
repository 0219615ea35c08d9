//! What a caller asks of a function.

use std::{io, time::Duration};

use crate::identifiers;

/// One event on its way to the function, with what Lambda sends along.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The caller sees it in the answer, the function in its context.
    pub request_id: String,
    /// Guards against an answer to another delivery of the same request.
    pub invocation_id: String,
    /// The X-Ray header.
    pub trace_id: String,
    /// The event, as JSON.
    pub payload: Vec<u8>,
    /// The client context, as JSON.
    pub client_context: Option<String>,
    /// The Cognito identity, as JSON.
    pub identity: Option<String>,
    /// The tenant of a function with tenant isolation.
    pub tenant: Option<String>,
    /// A time-out of its own, instead of the function's.
    pub timeout: Option<Duration>,
}

impl Invocation {
    /// An invocation with fresh identifiers and nothing but an event.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(payload: Vec<u8>) -> io::Result<Self> {
        Ok(Invocation {
            request_id: identifiers::uuid()?,
            invocation_id: identifiers::uuid()?,
            trace_id: identifiers::trace()?,
            payload,
            client_context: None,
            identity: None,
            tenant: None,
            timeout: None,
        })
    }
}

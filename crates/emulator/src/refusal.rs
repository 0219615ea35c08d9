//! Errors of the Invoke API.

use std::io;

use serde_json::json;

use crate::http::Response;

/// An error of the Invoke API. boto3 turns it into an exception.
pub(crate) struct Refusal {
    status: u16,
    error_type: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, error_type: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Refusal { status, error_type, message }
    }

    pub(crate) fn into_response(self) -> Response {
        let fault = if self.status < 500 { "User" } else { "Service" };
        let body = json!({"Type": fault, "Message": self.message, "message": self.message});
        let response = Response::json(self.status, body.to_string());
        response.with("x-amzn-errortype", self.error_type)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::new(500, "ServiceException", error.to_string())
    }
}

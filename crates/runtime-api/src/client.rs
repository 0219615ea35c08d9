//! The Runtime API's calls, one method each.

use crate::connection::{Broken, Connection, notice_what_has_come};
use crate::error::{Call, Error, Kind};
#[cfg(doc)]
use crate::fault::Fault;
use crate::fault::cropped_type;
use crate::invocation::{Invocation, Ticket};
use crate::request::{ERROR_TYPE, INVOCATION_ID, RESPONSE_MODE, VERSION, XRAY_CAUSE, header_value, response_path};
use crate::response::Response;
use crate::streaming::{self, StreamedResponse};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, TRAILER, USER_AGENT};
use http::request::Builder;
use http::response::Parts;
use http::{Request, StatusCode};
use lambda_runtime_api_client::body::Body;
use std::sync::Arc;

/// The error type of a failure after a restore, whatever the type of the exception.
const AFTER_RESTORE: &str = "Runtime.AfterRestoreError";

/// A connection to the Runtime API. Must be used inside a tokio runtime; connects at the first call.
#[derive(Debug)]
pub struct Client {
    pub(crate) connection: Arc<Connection>,
    user_agent: HeaderValue,
}

impl Client {
    /// `endpoint` is `host:port`, from `AWS_LAMBDA_RUNTIME_API`. `user_agent` tells Lambda which runtime this is.
    ///
    /// # Errors
    /// When the endpoint cannot be one.
    pub fn new(endpoint: &str, user_agent: &str) -> Result<Self, Error> {
        let connection = Connection::to(endpoint)
            .ok_or_else(|| Error { call: Call::Connect, kind: Kind::Endpoint(endpoint.to_owned()) })?;
        Ok(Self { connection: Arc::new(connection), user_agent: header_value(user_agent) })
    }

    /// Waits for the next invocation, as long as it takes.
    ///
    /// # Errors
    /// Any error here ends the execution environment: there is nothing to go on with.
    pub async fn next(&self) -> Result<Invocation, Error> {
        let request = self.request(Request::get(format!("{VERSION}/invocation/next")));
        let Answered { parts, body: payload, .. } = self.ask(Call::Next, request, Bytes::new()).await?;
        if !parts.status.is_success() {
            return Err(Error::refused(Call::Next, parts.status, &payload, 0));
        }
        Invocation::read(&parts.headers, payload).map_err(|kind| Error { call: Call::Next, kind })
    }

    /// Sends the response to an invocation.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn respond(&self, ticket: &Ticket, response: Response) -> Result<(), Error> {
        let request = self.answer(ticket, "response").header(CONTENT_TYPE, header_value(&response.content_type));
        self.post(Call::Respond, request, response.body).await
    }

    /// Begins the response to an invocation whose body is still being made.
    ///
    /// # Errors
    /// Where the request cannot be written as HTTP.
    pub fn stream(&self, ticket: &Ticket, content_type: &str) -> Result<StreamedResponse, Error> {
        let (sender, body) = lambda_runtime::streaming::channel();
        let request = self
            .answer(ticket, "response")
            .header(CONTENT_TYPE, header_value(content_type))
            .header(RESPONSE_MODE, "streaming")
            .header(TRAILER, streaming::TRAILERS)
            .body(body)
            .map_err(|source| Error { call: Call::Stream, kind: Kind::Request(source) })?;
        let connection = Arc::clone(&self.connection);
        let answer = Box::pin(async move {
            // A body that is made as it goes cannot be sent again, so a connection that Lambda has closed must be noticed before.
            notice_what_has_come().await;
            let (parts, body) = connection.exchange(request).await?;
            Ok((parts, body.unwrap_or_default()))
        });
        Ok(StreamedResponse::new(sender, answer))
    }

    /// Reports that the function failed, with two texts of [`Fault`]'s: its report and its X-Ray cause. An empty cause is left out.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn fail(&self, ticket: &Ticket, report: Bytes, xray_cause: &str) -> Result<(), Error> {
        let mut request = self.answer(ticket, "error").header(CONTENT_TYPE, "application/json");
        if !xray_cause.is_empty() {
            request = request.header(XRAY_CAUSE, header_value(xray_cause));
        }
        self.post(Call::Fail, request, report).await
    }

    /// Reports that the init phase failed, with a [`Fault`]'s report and type; the process is expected to exit afterwards.
    ///
    /// # Errors
    /// When Lambda did not take the report.
    pub async fn fail_init(&self, report: Bytes, error_type: &str) -> Result<(), Error> {
        let request = self
            .request(Request::post(format!("{VERSION}/init/error")))
            .header(ERROR_TYPE, header_value(cropped_type(error_type)));
        self.post(Call::FailInit, request, report).await
    }

    /// Waits until the process goes on: Lambda takes a snapshot of it meanwhile. Later calls use new connections.
    ///
    /// # Errors
    /// Any error here means that there was no snapshot.
    pub async fn restored(&self) -> Result<(), Error> {
        let request = self.request(Request::get(format!("{VERSION}/restore/next")));
        let Answered { parts, body: error_body, .. } = self.ask(Call::RestoreNext, request, Bytes::new()).await?;
        if parts.status != StatusCode::OK {
            return Err(Error::refused(Call::RestoreNext, parts.status, &error_body, 0));
        }
        self.connection.forget();
        Ok(())
    }

    /// Reports that what there was to do after a restore failed; the process is expected to exit afterwards.
    ///
    /// # Errors
    /// When Lambda did not take the report.
    pub async fn fail_restore(&self, report: Bytes) -> Result<(), Error> {
        let request = self.request(Request::post(format!("{VERSION}/restore/error"))).header(ERROR_TYPE, AFTER_RESTORE);
        self.post(Call::FailRestore, request, report).await
    }

    pub(crate) fn request(&self, builder: Builder) -> Builder {
        builder.header(USER_AGENT, self.user_agent.clone())
    }

    fn answer(&self, ticket: &Ticket, path: &str) -> Builder {
        let request = self.request(Request::post(response_path(&ticket.request_id, path)));
        match &ticket.invocation_id {
            Some(id) => request.header(INVOCATION_ID, header_value(id)),
            None => request,
        }
    }

    async fn post(&self, call: Call, request: Builder, body: Bytes) -> Result<(), Error> {
        let sent = body.len();
        let Answered { parts, body: error_body, again } = self.ask(call, request, body).await?;
        if parts.status.is_success() {
            return Ok(());
        }
        let mut error = Error::refused(call, parts.status, &error_body, sent);
        if let Kind::Status { sent_again, .. } = &mut error.kind {
            *sent_again = again;
        }
        Err(error)
    }

    /// Sends a request, and repeats it once if the connection broke: Lambda may have closed the connection while the function ran. Retrying
    /// is safe: Lambda returns the same invocation until it has a response, and rejects a second response.
    pub(crate) async fn ask(&self, call: Call, request: Builder, body: Bytes) -> Result<Answered, Error> {
        let request = request.body(()).map_err(|source| Error { call, kind: Kind::Request(source) })?;
        let send = |again| {
            let request = request.clone().map(|()| Body::from(body.clone()));
            async move {
                let (parts, body) = self.connection.exchange(request).await?;
                let body = match body {
                    Err(error) if call == Call::Next => return Err(Broken::Exchange(error)),
                    // For all other calls the status is enough.
                    body => body.unwrap_or_default(),
                };
                Ok(Answered { parts, body, again })
            }
        };
        let answer = match send(false).await {
            Err(Broken::Exchange(_)) => send(true).await,
            // There is no connection at all, so a retry makes no sense.
            outcome => outcome,
        };
        answer.map_err(|source| Error { call, kind: Kind::Transport(source.into()) })
    }
}

/// What came back.
pub(crate) struct Answered {
    pub parts: Parts,
    pub body: Bytes,
    /// Whether the request was sent a second time.
    again: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        assert!(Client::new("127.0.0.1:9001", "test").is_ok());
        assert!(Client::new("localhost:9001", "test").is_ok());
        for bad in ["", "not a host", "/path", "127.0.0.1:port", ":9001"] {
            let error = Client::new(bad, "test").expect_err(bad).to_string();
            assert!(error.contains("AWS_LAMBDA_RUNTIME_API"), "{error}");
        }
    }
}

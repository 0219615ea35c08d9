//! A streamed response: its body is sent while the function makes it.

use crate::error::{Call, Error, Kind};
use crate::fault::{Fault, cropped_type};
use crate::request::header_value;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use http::response::Parts;
use lambda_runtime::streaming::Sender;
use lambda_runtime_api_client::BoxError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::oneshot;

/// The trailers that may follow the body.
pub(crate) const TRAILERS: &str = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// The longest report in a trailer, in bytes. Go's HTTP stack, which Lambda's own emulator uses, drops a response with more than 4 KB of
/// trailers, and base64 makes four bytes of three.
const LONGEST_REPORT: usize = 2700;

/// Lambda's response to the streamed response. It may come at any time.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(Parts, Bytes), BoxError>> + Send>>;

/// A streamed response that has begun. If it is dropped before its end, it breaks off, and Lambda treats it as incomplete.
pub struct StreamedResponse {
    /// `None` if the body has ended.
    sender: Option<Sender>,
    answer: Answer,
    sent: usize,
}

impl StreamedResponse {
    pub(crate) fn new(sender: Sender, answer: Answer) -> Self {
        Self { sender: Some(sender), answer, sent: 0 }
    }

    /// Sends a chunk of the body. Returns once the chunk is on the socket, which gives the producer backpressure. An empty chunk is
    /// ignored, because on the wire it would end the body.
    ///
    /// # Errors
    /// If nobody reads the body any more. Then drop the response.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Error> {
        let (Some(sender), false) = (&mut self.sender, piece.is_empty()) else { return Ok(()) };
        let length = piece.len();
        let (written, is_written) = oneshot::channel();
        let piece = Bytes::from_owner(Piece { bytes: piece, _written: written });
        let hand_over = async {
            if sender.send_data(piece).await.is_ok() {
                // The receiver gets an error when the chunk is dropped, which is what it waits for.
                let _ = is_written.await;
            } else {
                // The connection broke, which `answer` reports.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            answer = &mut self.answer => Err(early(answer, self.sent)),
            () = hand_over => {
                self.sent += length;
                Ok(())
            }
        }
    }

    /// Ends the body, and waits until Lambda acknowledges it.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn finish(mut self) -> Result<(), Error> {
        drop(self.sender.take());
        self.settle().await
    }

    /// Ends the body with trailers that report that the function failed.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn fail(mut self, fault: &Fault, request_id: &str) -> Result<(), Error> {
        if let Some(mut sender) = self.sender.take() {
            let report = fault.report_within(LONGEST_REPORT, request_id);
            let mut trailers = HeaderMap::new();
            trailers.insert(ERROR_TYPE, header_value(cropped_type(&fault.error_type)));
            trailers.insert(ERROR_BODY, header_value(&BASE64_STANDARD.encode(report)));
            // It fails if the connection broke, which the response to the request reports.
            let _ = sender.send_trailers(trailers).await;
        }
        self.settle().await
    }

    async fn settle(&mut self) -> Result<(), Error> {
        let (parts, error_body) = (&mut self.answer).await.map_err(lost)?;
        if parts.status.is_success() {
            Ok(())
        } else {
            Err(Error::refused(Call::Stream, parts.status, &error_body, self.sent))
        }
    }
}

impl Drop for StreamedResponse {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort();
        }
    }
}

impl fmt::Debug for StreamedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedResponse").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// A chunk of the body on its way. The HTTP client drops it when its last byte is on the socket.
struct Piece {
    bytes: Bytes,
    _written: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The error for a response that came while the body was still being sent.
fn early(answer: Result<(Parts, Bytes), BoxError>, sent: usize) -> Error {
    match answer {
        Ok((parts, _)) if parts.status.is_success() => Error { call: Call::Stream, kind: Kind::Early },
        Ok((parts, error_body)) => Error::refused(Call::Stream, parts.status, &error_body, sent),
        Err(source) => lost(source),
    }
}

fn lost(source: BoxError) -> Error {
    Error { call: Call::Stream, kind: Kind::Transport(source) }
}

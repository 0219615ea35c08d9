//! A response whose body goes out while the function makes it.

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

/// What may follow the body.
pub(crate) const TRAILERS: &str = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// The longest report that goes into a trailer. HTTP stacks are strict about trailers: Go's, which Lambda's own emulator is written
/// with, drops a response with more than 4 KB of them, and base64 makes four bytes of three.
const LONGEST_REPORT: usize = 2700;

/// Lambda's answer, which comes when it will.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<(Parts, Bytes), BoxError>> + Send>>;

/// A response that has begun. Dropped before its end, it breaks off, and Lambda takes it for incomplete.
pub struct StreamedResponse {
    /// None when the body has ended.
    sender: Option<Sender>,
    answer: Answer,
    sent: usize,
}

impl StreamedResponse {
    pub(crate) fn new(sender: Sender, answer: Answer) -> Self {
        Self { sender: Some(sender), answer, sent: 0 }
    }

    /// Sends a piece of the body, and is done when the last byte of it is with the socket: whoever makes the next piece not before
    /// that is as slow as who reads them. An empty piece is nothing: on the wire it would be the end.
    ///
    /// # Errors
    /// When nobody reads any more. Then that was all: the response is to be dropped.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Error> {
        let (Some(sender), false) = (&mut self.sender, piece.is_empty()) else { return Ok(()) };
        let length = piece.len();
        let (written, is_written) = oneshot::channel();
        let piece = Bytes::from_owner(Piece { bytes: piece, _written: written });
        let hand_over = async {
            if sender.send_data(piece).await.is_ok() {
                // It ends by the other side's end: the piece is gone.
                let _ = is_written.await;
            } else {
                // The connection broke, and that is an answer, too.
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

    /// Ends the body, and waits for Lambda to take it.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn finish(mut self) -> Result<(), Error> {
        drop(self.sender.take());
        self.settle().await
    }

    /// Ends the body with the word that the function failed on the way.
    ///
    /// # Errors
    /// See [`Error::concerns_one_invocation`] for what to do about one.
    pub async fn fail(mut self, fault: &Fault, request_id: &str) -> Result<(), Error> {
        if let Some(mut sender) = self.sender.take() {
            let report = fault.report_within(LONGEST_REPORT, request_id);
            let mut trailers = HeaderMap::new();
            trailers.insert(ERROR_TYPE, header_value(cropped_type(&fault.error_type)));
            trailers.insert(ERROR_BODY, header_value(&BASE64_STANDARD.encode(report)));
            // It fails when the connection broke, and the answer tells that.
            let _ = sender.send_trailers(trailers).await;
        }
        self.settle().await
    }

    async fn settle(&mut self) -> Result<(), Error> {
        let (parts, complaint) = (&mut self.answer).await.map_err(lost)?;
        if parts.status.is_success() {
            Ok(())
        } else {
            Err(Error::refused(Call::Stream, parts.status, &complaint, self.sent))
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

/// A piece of the body on its way. The HTTP client drops it when its last byte is with the socket.
struct Piece {
    bytes: Bytes,
    _written: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What an answer means that came while the body was still going out.
fn early(answer: Result<(Parts, Bytes), BoxError>, sent: usize) -> Error {
    match answer {
        Ok((parts, _)) if parts.status.is_success() => Error { call: Call::Stream, kind: Kind::Early },
        Ok((parts, complaint)) => Error::refused(Call::Stream, parts.status, &complaint, sent),
        Err(source) => lost(source),
    }
}

fn lost(source: BoxError) -> Error {
    Error { call: Call::Stream, kind: Kind::Transport(source) }
}

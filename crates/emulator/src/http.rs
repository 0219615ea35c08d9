//! HTTP/1.1 as bytes: a request kept exactly as it came, a response written exactly as told.

use std::{
    borrow::Cow,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// A header's name as it was written, and its value.
pub(crate) type Header = (String, Vec<u8>);

/// More headers than this in one request is taken for garbage.
const MAX_HEADERS: usize = 256;
/// The longest line that announces a chunk, with its extensions, in bytes.
const MAX_CHUNK_LINE: usize = 16 * 1024;
/// How long a client whose request was refused may go on sending it.
const LINGER: Duration = Duration::from_secs(5);

/// The largest request that is read into memory, in bytes. Nothing above these limits is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of the request line and the headers together, and of the trailers.
    pub(crate) head: usize,
    /// Of the body without its framing.
    pub(crate) body: usize,
    /// What becomes of a body above its limit.
    pub(crate) surplus: Surplus,
}

/// What becomes of the rest of a body that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surplus {
    /// It is read and dropped, so that the connection can be used for the next request.
    Dropped,
    /// It is not read. The request stays incomplete.
    Unread,
}

impl Limits {
    /// For a runtime that a test or a developer has started: it may send headers of many megabytes.
    pub(crate) const RUNTIME: Limits = Limits { head: 64 * 1024 * 1024, body: usize::MAX, surplus: Surplus::Dropped };

    /// For anybody who calls a function, with at most `body` bytes.
    pub(crate) const fn of_caller(body: usize) -> Limits {
        Limits { head: 64 * 1024, body, surplus: Surplus::Unread }
    }
}

/// One request, nothing normalised.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) version: &'static str,
    pub(crate) headers: Vec<Header>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// What followed the last chunk.
    pub(crate) trailers: Vec<Header>,
    /// When the end of the head was read.
    pub(crate) arrived: Instant,
    /// When each chunk of a chunked body was complete, and its size.
    pub(crate) chunks: Vec<(Instant, usize)>,
    /// How much of a body of known length is wanted; all of it when None.
    pub(crate) wanted: Option<usize>,
    /// False when the client hung up before the end of the body, or when nobody wanted the rest.
    pub(crate) complete: bool,
    /// The largest body that is kept, in bytes; at first that of the connection.
    pub(crate) limit: usize,
    /// Whether the body is larger than its limit. [`body`](Request::body) is then not all of it.
    pub(crate) too_large: bool,
}

/// Why there is no request to answer.
#[derive(Debug)]
pub(crate) enum NoRequest {
    /// The client is gone, or speaks something that is not HTTP/1.
    Gone,
    /// The head is larger than its limit. The client may still read an answer.
    HeadTooLarge,
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> Self {
        NoRequest::Gone
    }
}

impl Request {
    /// The first header of that name, in whatever case, without bytes that are not UTF-8.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        find(&self.headers, name).map(String::from_utf8_lossy)
    }
}

/// The first value of the header called `name`, in whatever case.
pub(crate) fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(written, _)| written.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

/// One client's connection, kept alive from request to request.
pub(crate) struct Connection {
    /// Counted from 1 in the order of arrival.
    pub(crate) number: usize,
    stream: TcpStream,
    limits: Limits,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(number: usize, stream: TcpStream, limits: Limits) -> io::Result<Self> {
        // Without this a response in two writes waits for the client's delayed acknowledgement.
        stream.set_nodelay(true)?;
        Ok(Connection { number, stream, limits, buffer: Vec::new() })
    }

    /// Waits for one request. None when the client is gone or speaks something that is not HTTP/1.
    ///
    /// `watch` sees the request with its body so far when the head is there and after each chunk of a chunked body, may take the
    /// body away, say how much of it is wanted, and may stop the reading.
    pub(crate) fn read_request_and_watch(
        &mut self,
        mut watch: impl FnMut(&mut Request) -> ControlFlow<()>,
    ) -> Option<Request> {
        let mut request = self.read_head().ok()?;
        if !self.ask_for_body(&request) {
            return None;
        }
        request.complete = watch(&mut request).is_continue() && self.receive_body(&mut request, watch);
        Some(request)
    }

    /// Reads the body of a request of which the head was read. False when it is not there to its end.
    pub(crate) fn read_body(&mut self, request: &mut Request) -> bool {
        // A client that waits with its body is not asked for one that is refused anyway.
        request.too_large |= announced(request).is_some_and(|length| length > request.limit);
        if request.too_large && self.limits.surplus == Surplus::Unread {
            return false;
        }
        request.complete = self.ask_for_body(request) && self.receive_body(request, |_| ControlFlow::Continue(()));
        request.complete
    }

    /// Has a client that waits with its body send it. False when the client is gone.
    fn ask_for_body(&mut self, request: &Request) -> bool {
        let waits = request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        !waits || self.write(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok()
    }

    /// Waits for the head of a request: all of it but the body.
    pub(crate) fn read_head(&mut self) -> Result<Request, NoRequest> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Request::new(&mut headers);
            let parsed = head.parse(&self.buffer).map_err(|error| match error {
                httparse::Error::TooManyHeaders => NoRequest::HeadTooLarge,
                _ => NoRequest::Gone,
            })?;
            match parsed {
                httparse::Status::Complete(length) if length > self.limits.head => return Err(NoRequest::HeadTooLarge),
                httparse::Status::Complete(length) => {
                    let request = Request {
                        method: head.method.unwrap_or_default().to_owned(),
                        path: head.path.unwrap_or_default().to_owned(),
                        version: if head.version == Some(0) { "HTTP/1.0" } else { "HTTP/1.1" },
                        headers: owned(head.headers),
                        body: Vec::new(),
                        trailers: Vec::new(),
                        arrived: Instant::now(),
                        chunks: Vec::new(),
                        wanted: None,
                        complete: false,
                        limit: self.limits.body,
                        too_large: false,
                    };
                    self.buffer.drain(..length);
                    return Ok(request);
                }
                httparse::Status::Partial if self.buffer.len() > self.limits.head => {
                    return Err(NoRequest::HeadTooLarge);
                }
                httparse::Status::Partial => {
                    if !self.fill()? {
                        return Err(NoRequest::Gone);
                    }
                }
            }
        }
    }

    /// A client that hangs up, or a chunk size that is none, leaves an incomplete request: worth recording.
    fn receive_body(&mut self, request: &mut Request, watch: impl FnMut(&mut Request) -> ControlFlow<()>) -> bool {
        let received = if is_chunked(request) {
            self.read_chunks(request, watch)
        } else if request.header("content-length").is_none() {
            Ok(true)
        } else if let Some(length) = announced(request) {
            let wanted = request.wanted.unwrap_or(length).min(length);
            self.take_bounded(wanted, request).map(|all| all && wanted == length)
        } else {
            Ok(false)
        };
        received.unwrap_or(false)
    }

    fn read_chunks(
        &mut self,
        request: &mut Request,
        mut watch: impl FnMut(&mut Request) -> ControlFlow<()>,
    ) -> io::Result<bool> {
        loop {
            let Some(size) = self.read_chunk_size()? else {
                return Ok(false);
            };
            if size == 0 {
                return self.read_trailers(request);
            }
            let mut line_end = Vec::new();
            if !self.take_bounded(size, request)? || !self.take(2, &mut line_end)? || line_end != b"\r\n" {
                return Ok(false);
            }
            request.chunks.push((Instant::now(), size));
            if watch(request).is_break() {
                return Ok(false);
            }
        }
    }

    fn read_chunk_size(&mut self) -> io::Result<Option<usize>> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete((length, size))) => {
                    self.buffer.drain(..length);
                    return usize::try_from(size).map(Some).map_err(io::Error::other);
                }
                Ok(httparse::Status::Partial) => {
                    if self.buffer.len() > MAX_CHUNK_LINE || !self.fill()? {
                        return Ok(None);
                    }
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn read_trailers(&mut self, request: &mut Request) -> io::Result<bool> {
        loop {
            let mut trailers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            match httparse::parse_headers(&self.buffer, &mut trailers).map_err(io::Error::other)? {
                httparse::Status::Complete((length, trailers)) => {
                    request.trailers = owned(trailers);
                    self.buffer.drain(..length);
                    return Ok(true);
                }
                httparse::Status::Partial => {
                    if self.buffer.len() > self.limits.head || !self.fill()? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Moves `length` bytes into the body of a request as far as its limit allows. False when the client hung up before, and when
    /// the surplus is not to be read.
    fn take_bounded(&mut self, length: usize, request: &mut Request) -> io::Result<bool> {
        let kept = length.min(request.limit.saturating_sub(request.body.len()));
        request.too_large |= kept < length;
        if request.too_large && self.limits.surplus == Surplus::Unread {
            return Ok(false);
        }
        Ok(self.take(kept, &mut request.body)? && self.skip(length - kept)?)
    }

    /// Reads `length` bytes and drops them. False when the client hung up before.
    fn skip(&mut self, length: usize) -> io::Result<bool> {
        let buffered = length.min(self.buffer.len());
        self.buffer.drain(..buffered);
        let missing = (length - buffered) as u64;
        Ok(io::copy(&mut (&self.stream).take(missing), &mut io::sink())? == missing)
    }

    /// Moves exactly `length` bytes into `target`. False when the client hung up before.
    fn take(&mut self, length: usize, target: &mut Vec<u8>) -> io::Result<bool> {
        let buffered = length.min(self.buffer.len());
        target.extend(self.buffer.drain(..buffered));
        let missing = length - buffered;
        let read = (&self.stream).take(missing as u64).read_to_end(target)?;
        Ok(read == missing)
    }

    /// Reads some more. False at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        let mut more = [0; 16 * 1024];
        let read = self.stream.read(&mut more)?;
        self.buffer.extend_from_slice(&more[..read]);
        Ok(read > 0)
    }

    /// Writes these bytes and nothing else.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Writes a chunk of a chunked body, unless it is empty: that would be its end.
    pub(crate) fn write_chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        self.write(&framed)
    }

    /// Ends a chunked body.
    pub(crate) fn end_chunks(&mut self) -> io::Result<()> {
        self.write(b"0\r\n\r\n")
    }

    /// Writes an answer to a request that was not read to its end, and hangs up.
    pub(crate) fn refuse(mut self, response: &Response) {
        if self.write(&response.clone().with("Connection", "close").to_bytes()).is_ok() {
            self.close_gently();
        }
    }

    /// Hangs up after an answer that the client may still read: with bytes of its own unread, it would see a reset instead.
    pub(crate) fn close_gently(mut self) {
        let mut ignored = [0; 16 * 1024];
        let deadline = Instant::now() + LINGER;
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let is_waiting = !left.is_zero() && self.stream.set_read_timeout(Some(left)).is_ok();
            if !is_waiting || !self.stream.read(&mut ignored).is_ok_and(|read| read > 0) {
                return;
            }
        }
    }

    /// Hangs up so that the client sees a reset instead of an orderly end.
    pub(crate) fn reset(self) -> io::Result<()> {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO))?;
        Ok(())
    }
}

fn is_chunked(request: &Request) -> bool {
    request.header("transfer-encoding").is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"))
}

/// The length of a body that is not chunked, as far as its header is a number.
fn announced(request: &Request) -> Option<usize> {
    let length = request.header("content-length").filter(|_| !is_chunked(request))?;
    length.trim().parse().ok()
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<Header> {
    headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect()
}

/// A response, right or wrong.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The words after the status; the usual ones when None.
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Status and body, with `Content-Type: application/json`.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status,
            reason: None,
            headers: vec![("Content-Type".to_owned(), b"application/json".to_vec())],
            body: body.into(),
        }
    }

    /// The same with another header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The status line and the headers. `Content-Length: length` is added unless the headers say how the body is framed.
    pub(crate) fn head(&self, length: u64) -> Vec<u8> {
        let reason = self.reason.as_deref().unwrap_or_else(|| usual_reason(self.status));
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        let framed = find(&self.headers, "content-length").is_some()
            || find(&self.headers, "transfer-encoding").is_some()
            || self.status == 204;
        if !framed {
            head.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    /// The whole response.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(self.body.len() as u64);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn usual_reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        410 => "Gone",
        413 => "Request Entity Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "",
    }
}

//! The connection to the Runtime API. There is one, which is reused.
//!
//! A pool of connections costs more than an exchange over one of them. A request that finds the connection in use or closed makes another
//! one.

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::response::Parts;
use http::{Request, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use lambda_runtime_api_client::body::Body;
use socket2::{SockRef, TcpKeepalive};
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long to wait for a connection. The managed runtime waits as long: the Runtime API is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a response may take before the system checks that the other end still exists, and how often it repeats that. Without this, the
/// runtime would wait forever for a machine that vanished without closing the connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// A connection that has been idle this long is checked before it is used. That takes two system calls, as many as the request itself.
const UNATTENDED: Duration = Duration::from_millis(1);

/// The most bytes of one read.
const LARGEST_READ: usize = 1024 * 1024;

/// The most memory that is reserved because of a `Content-Length`. Lambda's largest events have 6 MB.
const LARGEST_EXPECTED: u64 = 8 * 1024 * 1024;

/// HTTP's default port, which a `Host` header leaves out.
const HTTP: u16 = 80;

/// The address of the Runtime API, and the connection to it while it is idle.
pub(crate) struct Connection {
    /// `host:port`.
    address: String,
    host: HeaderValue,
    idle: Mutex<Option<Idle>>,
}

/// An idle connection.
struct Idle {
    sender: SendRequest<Body>,
    since: Instant,
}

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Broken {
    /// There was no connection.
    Unreachable(std::io::Error),
    /// The connection ended before the response did, or the response is not HTTP.
    Exchange(hyper::Error),
}

impl Connection {
    /// `None` if `endpoint` is not `host:port` or `host`. Connects at the first request.
    pub(crate) fn to(endpoint: &str) -> Option<Self> {
        let uri: Uri = endpoint.parse().ok()?;
        let authority = uri.authority()?;
        if authority.host().is_empty() || (authority.port_u16().is_none() && authority.as_str().contains(':')) {
            return None;
        }
        let (host, port) = (authority.host(), authority.port_u16().unwrap_or(HTTP));
        let address = format!("{host}:{port}");
        let host = if port == HTTP { host } else { &address }.parse().ok()?;
        Some(Self { address, host, idle: Mutex::new(None) })
    }

    /// Sends a request and reads the response, whose body may break off. The connection may have been closed while it was idle. If no byte
    /// of the request has been sent, a new connection is used.
    pub(crate) async fn exchange(&self, mut request: Request<Body>) -> Result<(Parts, hyper::Result<Bytes>), Broken> {
        request.headers_mut().insert(HOST, self.host.clone());
        loop {
            let idle = self.idle().take();
            let was_idle = idle.is_some();
            let mut sender = match idle {
                Some(Idle { sender, since }) => {
                    // Lambda may have closed the connection meanwhile. Then the request costs a connection, and not its one retry.
                    if since.elapsed() >= UNATTENDED {
                        notice_what_has_come().await;
                    }
                    sender
                }
                None => self.connect().await?,
            };
            if let Err(closed) = sender.ready().await {
                if was_idle {
                    continue;
                }
                return Err(Broken::Exchange(closed));
            }
            match sender.try_send_request(request).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    // A connection can be reused only if the body is read to its end.
                    let body = whole(body).await;
                    if body.is_ok() {
                        *self.idle() = Some(Idle { sender, since: Instant::now() });
                    }
                    return Ok((parts, body));
                }
                Err(mut unsent) => match unsent.take_message() {
                    Some(message) if was_idle => request = message,
                    _ => return Err(Broken::Exchange(unsent.into_error())),
                },
            }
        }
    }

    /// Makes later requests use new connections.
    pub(crate) fn forget(&self) {
        self.idle().take();
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Broken> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await;
        let stream = stream.unwrap_or_else(|late| Err(late.into())).map_err(Broken::Unreachable)?;
        // A small request must not wait for the acknowledgement of the packet before it.
        stream.set_nodelay(true).map_err(Broken::Unreachable)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_INTERVAL).with_interval(KEEPALIVE_INTERVAL);
        // If the system does not support that, the connection works all the same.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        let handshake = Builder::new().max_buf_size(LARGEST_READ).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(Broken::Exchange)?;
        // An error of the connection also reaches the current request.
        tokio::spawn(async { drop(connection.await) });
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the connection's own task once, so that it notices that the connection was closed.
pub(crate) async fn notice_what_has_come() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

/// A whole body in one buffer of its size. Each part is freed after it has been copied and before the next is read, which reuses its
/// memory: there is never a second copy of the body, and the part is still in the processor's cache.
async fn whole(mut body: Incoming) -> hyper::Result<Bytes> {
    let length = body.size_hint().lower().min(LARGEST_EXPECTED);
    let mut gathered = Vec::new();
    while let Some(frame) = body.frame().await {
        // Trailers are ignored.
        let Ok(data) = frame?.into_data() else { continue };
        if gathered.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        gathered.reserve((length as usize).saturating_sub(gathered.len()));
        gathered.extend_from_slice(&data);
    }
    Ok(gathered.into())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(source) => source.fmt(f),
            Self::Exchange(source) => source.fmt(f),
        }
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable(source) => source.source(),
            Self::Exchange(source) => source.source(),
        }
    }
}

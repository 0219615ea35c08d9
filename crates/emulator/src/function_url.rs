//! A Function URL: HTTP in, an event of payload format 2.0 to the function, HTTP out.
//!
//! It does by itself what on Lambda the URL's invoke mode says: what the function streams is streamed, what it returns is
//! interpreted as in a buffered response.

use std::{io, net::SocketAddr, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    deployment::Deployment,
    emulator::Part,
    http::{Connection, Response},
    http_event::event,
    invocation::Invocation,
    server::Server,
};

/// The content type of a streamed response that begins with a prelude.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
/// What separates prelude and body.
const DELIMITER: [u8; 8] = [0; 8];

/// Starts a Function URL for one function, on `address`.
///
/// # Errors
/// When the address cannot be listened on.
pub fn start_function_url(address: SocketAddr, deployment: Arc<Deployment>) -> io::Result<Server> {
    Server::start(address, move |connection| serve(&deployment, connection))
}

fn serve(deployment: &Deployment, mut connection: Connection) {
    while let Some(request) = connection.read_request() {
        if !request.complete {
            return;
        }
        let emulator = deployment.current();
        let mut answer = Answer { connection: &mut connection, written: Ok(()), stage: Stage::Silent };
        let run = Invocation::new(Vec::new()).and_then(|mut invocation| {
            invocation.payload = event(emulator.function(), &request, &invocation.request_id).to_string().into();
            emulator.invoke_and_show(&invocation, &mut |part| answer.show(part))
        });
        if let Err(error) = run {
            answer.refuse(500, &error.to_string());
        }
        if !answer.finish() {
            return;
        }
    }
}

/// One response on its way to a browser.
struct Answer<'a> {
    connection: &'a mut Connection,
    written: io::Result<()>,
    stage: Stage,
}

/// How far a response is.
enum Stage {
    /// Nothing is written.
    Silent,
    /// A prelude is coming: this much of it.
    Prelude(Vec<u8>),
    /// The head is written, and chunks follow.
    Body,
    /// The head is written, and its status says that nothing follows.
    Bare,
    /// All is written.
    Done,
    /// The body ended before its time.
    Broken,
}

impl Answer<'_> {
    fn show(&mut self, part: Part<'_>) {
        match part {
            Part::Beginning { content_type: INTEGRATION } => self.stage = Stage::Prelude(Vec::new()),
            Part::Beginning { content_type } => self.begin(response(200).with("Content-Type", content_type)),
            Part::Chunk(chunk) => self.chunk(chunk),
            // What is still to be written of it depends on the outcome.
            Part::End => {}
            Part::Whole(payload) => self.write(&buffered(payload)),
            Part::Fault(_) if matches!(self.stage, Stage::Body | Stage::Bare) => self.stage = Stage::Broken,
            Part::Fault(_) => self.refuse(502, "Internal Server Error"),
        }
    }

    fn chunk(&mut self, chunk: &[u8]) {
        let Stage::Prelude(prelude) = &mut self.stage else {
            if matches!(self.stage, Stage::Body) {
                self.attempt(|connection| connection.write_chunk(chunk));
            }
            return;
        };
        prelude.extend_from_slice(chunk);
        let Some(end) = prelude.windows(DELIMITER.len()).position(|window| window == DELIMITER) else {
            return;
        };
        let fields = serde_json::from_slice(&prelude[..end]);
        let rest = prelude.split_off(end + DELIMITER.len());
        match fields {
            Ok(fields) => {
                self.begin(head(&fields));
                self.chunk(&rest);
            }
            Err(_) => self.refuse(502, "Internal Server Error"),
        }
    }

    /// Writes the head of a response whose body comes in chunks.
    fn begin(&mut self, response: Response) {
        let is_bare = matches!(response.status, 100..=199 | 204 | 304);
        let response = if is_bare { response } else { response.with("Transfer-Encoding", "chunked") };
        self.attempt(|connection| connection.write(&response.head(0)));
        self.stage = if is_bare { Stage::Bare } else { Stage::Body };
    }

    fn write(&mut self, response: &Response) {
        self.attempt(|connection| connection.write(&response.to_bytes()));
        self.stage = Stage::Done;
    }

    fn refuse(&mut self, status: u16, text: &str) {
        self.write(&Response { body: text.into(), ..response(status) }.with("Content-Type", "text/plain"));
    }

    /// A browser that has gone away does not stop the function.
    fn attempt(&mut self, write: impl FnOnce(&mut Connection) -> io::Result<()>) {
        if self.written.is_ok() {
            self.written = write(self.connection);
        }
    }

    /// Ends the response. False when the connection cannot be used again: a body that broke off must not look whole.
    fn finish(mut self) -> bool {
        match self.stage {
            Stage::Body => self.attempt(Connection::end_chunks),
            Stage::Prelude(_) => self.refuse(502, "Internal Server Error"),
            Stage::Silent | Stage::Broken => return false,
            Stage::Bare | Stage::Done => {}
        }
        self.written.is_ok()
    }
}

fn response(status: u16) -> Response {
    Response { status, reason: None, headers: Vec::new(), body: Vec::new() }
}

/// Status, headers and cookies, as a prelude has them and a returned object.
fn head(fields: &Value) -> Response {
    let status = fields["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    let mut response = response(status);
    for (name, value) in fields["headers"].as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        response = response.with(name, &text);
    }
    for cookie in fields["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        response = response.with("Set-Cookie", cookie);
    }
    if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.with("Content-Type", "application/octet-stream");
    }
    response
}

/// A response that is not streamed: an object with a status code says what it is, all else is the body.
fn buffered(payload: &[u8]) -> Response {
    let fields: Value = serde_json::from_slice(payload).unwrap_or_default();
    if fields.get("statusCode").is_none() {
        return Response { body: payload.to_vec(), ..response(200) }.with("Content-Type", "application/json");
    }
    let text = fields["body"].as_str().unwrap_or_default();
    let body = match fields["isBase64Encoded"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    };
    let mut head = head(&fields);
    // The body is framed by what it is.
    head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    Response { body, ..head }
}

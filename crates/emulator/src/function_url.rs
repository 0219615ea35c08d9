//! A Function URL: HTTP in, an event of payload format 2.0 to the function, HTTP out.
//!
//! It does by itself what on Lambda the URL's invoke mode says: what the function streams is streamed, what it returns is
//! interpreted as in a buffered response.

use std::{io, net::SocketAddr, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    access::Access,
    deployment::Deployment,
    emulator::{Emulator, Part},
    http::{Connection, Limits, NoRequest, Response},
    http_event::event,
    invocation::Invocation,
    invoke_request::MAX_REQUEST,
    server::Server,
};

/// The content type of a streamed response that begins with a prelude.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
/// What separates prelude and body.
const DELIMITER: [u8; 8] = [0; 8];

/// Starts a Function URL for one function, on `address`, for callers that have `access`.
///
/// # Errors
/// When the address cannot be listened on.
pub fn start_function_url(address: SocketAddr, access: Access, deployment: Arc<Deployment>) -> io::Result<Server> {
    Server::start(address, Limits::of_caller(MAX_REQUEST), move |connection| serve(&deployment, &access, connection))
}

fn serve(deployment: &Deployment, access: &Access, mut connection: Connection) {
    loop {
        let mut request = match connection.read_head() {
            Ok(request) => request,
            Err(NoRequest::Gone) => return,
            Err(NoRequest::HeadTooLarge) => {
                return connection.refuse(&plain(431, "The request's headers are too large"));
            }
        };
        if let Err(why) = access.check(&request) {
            return connection.refuse(&plain(403, &why));
        }
        if !connection.read_body(&mut request) {
            if request.too_large {
                connection.refuse(&plain(413, TOO_LARGE));
            }
            return;
        }
        let emulator = deployment.for_event();
        let mut answer = Answer { connection: &mut connection, written: Ok(()), stage: Stage::Silent, flaw: None };
        let run = Invocation::new(Vec::new()).and_then(|mut invocation| {
            invocation.payload = event(emulator.function(), &request, &invocation.request_id).to_string().into();
            // A body in base64 is a third larger.
            if invocation.payload.len() > MAX_REQUEST {
                answer.refuse(413, TOO_LARGE);
                return Ok(());
            }
            emulator.invoke_and_show(&invocation, &mut |part| answer.show(part)).map(drop)
        });
        if let Err(error) = run {
            answer.refuse(500, &error.to_string());
        }
        if !answer.finish(&emulator) {
            return;
        }
    }
}

const TOO_LARGE: &str = "The event of this request would be larger than 6 MB";

/// One response on its way to a browser.
struct Answer<'a> {
    connection: &'a mut Connection,
    written: io::Result<()>,
    stage: Stage,
    /// Why the function's response cannot be sent, if it cannot.
    flaw: Option<String>,
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
            Part::Beginning { content_type } => self.begin(Ok(response(200).with("Content-Type", content_type))),
            Part::Chunk(chunk) => self.chunk(chunk),
            // What is still to be written of it depends on the outcome.
            Part::End => {}
            Part::Whole(payload) => match buffered(payload) {
                Ok(response) => self.write(&response),
                Err(flaw) => self.give_up(flaw),
            },
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
    fn begin(&mut self, response: Result<Response, String>) {
        let response = match response {
            Ok(response) => response,
            Err(flaw) => return self.give_up(flaw),
        };
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
        self.write(&plain(status, text));
    }

    /// Answers as Lambda does where a response is none. The log tells why.
    fn give_up(&mut self, flaw: String) {
        self.flaw = Some(flaw);
        self.refuse(502, "Internal Server Error");
    }

    /// A browser that has gone away does not stop the function.
    fn attempt(&mut self, write: impl FnOnce(&mut Connection) -> io::Result<()>) {
        if self.written.is_ok() {
            self.written = write(self.connection);
        }
    }

    /// Ends the response. False when the connection cannot be used again: a body that broke off must not look whole.
    fn finish(mut self, emulator: &Emulator) -> bool {
        if let Some(flaw) = &self.flaw {
            emulator.note(&format!("whipsnake: the Function URL cannot send this response and answers 502: {flaw}"));
        }
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

fn plain(status: u16, text: &str) -> Response {
    Response { body: text.into(), ..response(status) }.with("Content-Type", "text/plain")
}

/// Headers that say how the response is framed. That is not the function's to say, who has sent no bytes.
const OF_FRAMING: [&str; 4] = ["connection", "content-length", "keep-alive", "transfer-encoding"];

/// Status, headers and cookies, as a prelude has them and a returned object; or why they are no head of a response.
fn head(fields: &Value) -> Result<Response, String> {
    let status = match &fields["statusCode"] {
        Value::Null => 200,
        code => code
            .as_u64()
            .or_else(|| code.as_str()?.parse().ok())
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..=999).contains(status))
            .ok_or_else(|| format!("the status code {code} is no number from 100 to 999"))?,
    };
    let mut response = response(status);
    for (name, value) in fields["headers"].as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !OF_FRAMING.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            response = with(response, name, &text)?;
        }
    }
    for cookie in fields["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        response = with(response, "Set-Cookie", cookie)?;
    }
    if !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        response = response.with("Content-Type", "application/octet-stream");
    }
    Ok(response)
}

/// The response with a header of the function's, if HTTP allows it: a line end in it would begin another header, or the body.
fn with(response: Response, name: &str, value: &str) -> Result<Response, String> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_of_token) {
        return Err(format!("{name:?} is no name of a header"));
    }
    if value.chars().any(|character| character != '\t' && character.is_ascii_control()) {
        return Err(format!("the value of the header {name} has a control character in it: {value:?}"));
    }
    Ok(response.with(name, value))
}

/// A response that is not streamed: an object with a status code says what it is, all else is the body.
fn buffered(payload: &[u8]) -> Result<Response, String> {
    let fields: Value = serde_json::from_slice(payload).unwrap_or_default();
    if fields.get("statusCode").is_none() {
        let response = response(200).with("Content-Type", "application/json");
        return Ok(Response { body: payload.to_vec(), ..response });
    }
    let text = fields["body"].as_str().unwrap_or_default();
    let body = match fields["isBase64Encoded"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    };
    Ok(Response { body, ..head(&fields)? })
}

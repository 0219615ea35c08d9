//! The Runtime API of one execution environment, behaving as Lambda's does.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    access::Access,
    extensions::{self, Extensions},
    function::Function,
    http::{self, Connection, Header, Limits, Request, Response},
    invocation::Invocation,
    process::Exit,
    server::Server,
    simulation::Refuse,
};

/// A response's limit: 6 MiB and 100 bytes for the envelope.
pub(crate) const MAX_RESPONSE: usize = 6 * 1024 * 1024 + 100;

/// How long a process may take to end after its connection has.
const EXIT: Duration = Duration::from_millis(500);

const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// How the User-Agent of a process ends that continues from a checkpoint.
const RESTORED: &str = "(restored)";

const INVOCATION: &str = "/2018-06-01/runtime/invocation/";

/// How far the runtime is, by the names Lambda uses when a request does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Started,
    InitError,
    /// Waits in /next, or works on an event.
    Ready,
    ResponseSent,
}

/// What the runtime posted.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Response(Vec<u8>),
    /// A streamed response to its end; the body went by [`State::take_piece`].
    Streamed,
    Error {
        payload: Vec<u8>,
        error_type: String,
    },
    /// A streamed response whose trailers tell that it ended before its time.
    Broken {
        payload: Vec<u8>,
        error_type: String,
    },
}

/// A piece of a streamed response.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The beginning, with its content type.
    Beginning(String),
    Chunk(Vec<u8>),
}

/// Everything the waiting side may look at.
pub(crate) struct State {
    phase: Phase,
    /// Invocations in the order in which they came. One by one: the latest, kept after its answer, to know a second one.
    invocations: Vec<Current>,
    /// What /init/error said.
    pub(crate) init_error: Option<Reply>,
    /// How the process ended.
    pub(crate) exit: Option<Exit>,
    extensions: Extensions,
    /// Whether the process says of itself that it continues from a checkpoint.
    pub(crate) restored: bool,
    /// How often the connections that wait for an event were closed.
    hang_ups: u32,
    /// How many connections are being read from, or are about to be.
    reading: u32,
}

struct Current {
    invocation: Invocation,
    deadline: SystemTime,
    function_arn: String,
    /// Whether /next has given it out.
    delivered: bool,
    /// The answer to it.
    reply: Option<Reply>,
    /// What has come of a streamed response and was not taken yet.
    pieces: VecDeque<Piece>,
    /// Whether the caller has been told that time was up.
    timed_out: bool,
}

impl State {
    /// Whether the runtime and all extensions have asked for their first events.
    pub(crate) fn is_initialised(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::ResponseSent) && self.extensions.all_wait()
    }

    /// Whether the runtime has answered and waits for the next event.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Ready && self.invocations.iter().all(|current| current.reply.is_some())
    }

    /// Whether there is a piece of this invocation's response to take.
    pub(crate) fn has_piece(&self, id: &str) -> bool {
        self.find(id).is_some_and(|current| !current.pieces.is_empty())
    }

    /// Whether the process is to have notice of its end.
    pub(crate) fn has_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// The answer to this invocation.
    pub(crate) fn reply(&self, id: &str) -> Option<&Reply> {
        self.find(id)?.reply.as_ref()
    }

    /// Whether the runtime was given the event.
    pub(crate) fn was_delivered(&self, id: &str) -> bool {
        self.find(id).is_some_and(|current| current.delivered)
    }

    fn find(&self, id: &str) -> Option<&Current> {
        self.invocations.iter().find(|current| current.invocation.request_id == id)
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut Current> {
        self.invocations.iter_mut().find(|current| current.invocation.request_id == id)
    }
}

/// A listening Runtime API. Each process gets its own: a late request of a killed one reaches nobody.
pub(crate) struct RuntimeApi {
    server: Mutex<Option<Server>>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Where the runtime's requests and the caller's invocation meet.
struct Shared {
    function: Function,
    /// Whether invocations come several at once.
    several: bool,
    state: Mutex<State>,
    changed: Condvar,
    /// Why every response is refused, if it is.
    refuse: Option<Refuse>,
}

impl RuntimeApi {
    /// Listens on loopback.
    pub(crate) fn start(function: &Function, several: bool, refuse: Option<Refuse>) -> io::Result<RuntimeApi> {
        let shared = Arc::new(Shared {
            function: function.clone(),
            several,
            state: Mutex::new(State {
                phase: Phase::Started,
                invocations: Vec::new(),
                init_error: None,
                exit: None,
                extensions: Extensions::default(),
                restored: false,
                hang_ups: 0,
                reading: 0,
            }),
            changed: Condvar::new(),
            refuse,
        });
        let served = Arc::clone(&shared);
        // A response above its limit is read to its end, because the runtime hears of that over the same connection.
        let limits = Limits { body: MAX_RESPONSE, ..Limits::RUNTIME };
        let server = Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits, move |connection| {
            served.serve(connection);
        })?;
        Ok(RuntimeApi { address: server.address(), server: Mutex::new(Some(server)), shared })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an event where the next poll finds it.
    pub(crate) fn submit(&self, invocation: Invocation, function_arn: String, deadline: SystemTime) {
        let mut state = self.shared.state();
        if !self.shared.several {
            state.invocations.clear();
        }
        state.invocations.push(Current {
            invocation,
            deadline,
            function_arn,
            delivered: false,
            reply: None,
            pieces: VecDeque::new(),
            timed_out: false,
        });
        drop(state);
        self.shared.changed.notify_all();
    }

    /// The caller knows how it ended. Where there are several, an answer that is still to come is told that it is late.
    pub(crate) fn settle(&self, id: &str) {
        if !self.shared.several {
            return;
        }
        let mut state = self.shared.state();
        state.invocations.retain(|current| current.invocation.request_id != id || current.reply.is_none());
        if let Some(current) = state.find_mut(id) {
            current.timed_out = true;
        }
    }

    /// The process has ended: whoever waits for it stops waiting. Not before all that it has sent was read.
    pub(crate) fn process_ended(&self, exit: Exit) {
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), EXIT, |state| state.reading > 0);
        waited.expect("the lock is not poisoned").0.exit = Some(exit);
        self.shared.changed.notify_all();
    }

    /// Blocks until `done`, at most until `deadline`, and hands the state over.
    pub(crate) fn wait_for(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), limit, |state| !done(state));
        waited.expect("the lock is not poisoned").0
    }

    /// Takes the next piece of a streamed response; the runtime may send another one.
    pub(crate) fn take_piece(&self, id: &str) -> Option<Piece> {
        let piece = self.shared.state().find_mut(id).and_then(|current| current.pieces.pop_front());
        self.shared.changed.notify_all();
        piece
    }

    /// Closes the connections that wait for an event.
    pub(crate) fn hang_up(&self) {
        self.shared.state().hang_ups += 1;
        self.shared.changed.notify_all();
    }

    /// Closes the socket. The connections end with their process.
    pub(crate) fn stop(&self) {
        let server = self.server.lock().expect("the lock is not poisoned").take();
        if let Some(server) = server {
            server.stop(Instant::now() + Duration::from_millis(200));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the lock is not poisoned")
    }

    fn serve(&self, mut connection: Connection) {
        self.state().reading += 1;
        loop {
            let mut streaming = false;
            let read = connection.read_request_and_watch(|request| {
                streaming = streaming || self.begins_stream(request);
                if streaming {
                    // What is streamed goes on to the caller, chunk by chunk.
                    request.limit = usize::MAX;
                    let chunk = std::mem::take(&mut request.body);
                    self.pass_on(answered_id(request), chunk);
                }
                ControlFlow::Continue(())
            });
            self.reads_no_more();
            let Some(request) = read else {
                return;
            };
            if !request.complete {
                // A request that breaks off counts for nothing, as a truncated one does on Lambda. A part of this one is gone.
                if streaming {
                    self.break_off(answered_id(&request));
                }
                return;
            }
            let Some(response) = self.answer(&request) else {
                return;
            };
            // From now on: the process may answer an event, and end, before this thread has come to read again.
            self.state().reading += 1;
            if connection.write(&response.to_bytes()).is_err() {
                self.reads_no_more();
                return;
            }
        }
    }

    fn reads_no_more(&self) {
        self.state().reading -= 1;
        self.changed.notify_all();
    }

    /// Whether a request of which the head has come is a streamed response that is wanted. Then its caller hears of it.
    fn begins_stream(&self, request: &Request) -> bool {
        let id = request.path.strip_prefix(INVOCATION).and_then(|rest| rest.strip_suffix("/response"));
        let (Some(id), true, true) = (id, is_streaming(request), request.chunks.is_empty()) else {
            return false;
        };
        let mut state = self.state();
        if self.refused(&state, id, request, "InvocationResponse").is_some() {
            return false;
        }
        let content_type = request.header("content-type").unwrap_or_default().into_owned();
        if let Some(current) = state.find_mut(id) {
            current.pieces.push_back(Piece::Beginning(content_type));
        }
        self.changed.notify_all();
        true
    }

    /// Hands a chunk to the caller and waits until the one before is taken: a caller who reads slowly slows the runtime.
    fn pass_on(&self, id: &str, chunk: Vec<u8>) {
        if chunk.is_empty() {
            return;
        }
        let waiting = |state: &mut State| {
            let is_chunk = |piece: &Piece| matches!(piece, Piece::Chunk(_));
            state.exit.is_none()
                && state.find(id).is_some_and(|current| !current.timed_out && current.pieces.iter().any(is_chunk))
        };
        let waited = self.changed.wait_while(self.state(), waiting);
        if let Some(current) = waited.expect("the lock is not poisoned").find_mut(id) {
            current.pieces.push_back(Piece::Chunk(chunk));
        }
        self.changed.notify_all();
    }

    /// A streamed response broke off. Where the process has ended as well, that is the news.
    fn break_off(&self, id: &str) {
        let exited = self.changed.wait_timeout_while(self.state(), EXIT, |state| state.exit.is_none());
        let mut state = exited.expect("the lock is not poisoned").0;
        if state.exit.is_none() {
            let error_type = "Runtime.TruncatedResponse".to_owned();
            let message = "The response broke off before its end.";
            let payload = json!({"errorMessage": message, "errorType": error_type}).to_string().into();
            self.close_invocation(&mut state, id, Reply::Broken { payload, error_type });
        }
    }

    /// The answer, or None when the process has ended and nobody reads it.
    fn answer(&self, request: &Request) -> Option<Response> {
        if let Err(why) = Access::default().check(request) {
            return Some(refusal(403, "Forbidden", &why));
        }
        let path = request.path.as_str();
        let answered = path.strip_prefix(INVOCATION).and_then(|rest| rest.split_once('/'));
        Some(match (request.method.as_str(), answered) {
            ("GET", _) if path.strip_prefix(INVOCATION) == Some("next") => {
                let agent = request.header("user-agent").unwrap_or_default();
                self.state().restored |= agent.ends_with(RESTORED);
                return self.next();
            }
            ("POST", Some((id, "response"))) => self.response(id, request),
            ("POST", Some((id, "error"))) => self.error(id, request),
            ("POST", _) if path == "/2018-06-01/runtime/init/error" => self.init_error(request),
            // A function that is told it is `snap-start`: what is restored goes on at once.
            ("GET", _) if path == "/2018-06-01/runtime/restore/next" => Response::json(200, ""),
            ("POST", _) if path == extensions::REGISTER => self.register(request),
            ("GET", _) if path == extensions::NEXT => return self.next_of_extension(request),
            _ => refusal(404, "NotFound", &format!("{} {path} is not in the Runtime API", request.method)),
        })
    }

    fn next(&self) -> Option<Response> {
        let mut state = self.state();
        match state.phase {
            Phase::InitError => return Some(wrong_transition(state.phase, "Ready")),
            // The same event again, when it was given out and not answered.
            Phase::Ready => {}
            Phase::Started | Phase::ResponseSent => {
                state.phase = Phase::Ready;
                self.changed.notify_all();
            }
        }
        let is_next = |current: &Current| current.reply.is_none() && !(self.several && current.delivered);
        let hang_ups = state.hang_ups;
        let waited = self.changed.wait_while(state, |state| {
            state.exit.is_none() && state.hang_ups == hang_ups && !state.invocations.iter().any(is_next)
        });
        let mut state = waited.expect("the lock is not poisoned");
        if state.hang_ups != hang_ups {
            return None;
        }
        let current = state.invocations.iter_mut().find(|current| is_next(current))?;
        current.delivered = true;
        self.changed.notify_all();
        Some(event(current))
    }

    fn response(&self, id: &str, request: &Request) -> Response {
        let mode = request.header(RESPONSE_MODE).unwrap_or_default();
        let streaming = is_streaming(request);
        let mut state = self.state();
        if let Some(refused) = self.refused(&state, id, request, "InvocationResponse") {
            return refused;
        }
        if !streaming && !mode.is_empty() {
            return refusal(400, "InvalidFunctionResponseMode", "Invalid function response mode");
        }
        if self.refuse == Some(Refuse::TooLate) {
            let error_type = "Sandbox.Timedout".to_owned();
            let message = format!("RequestId: {id} Error: Task timed out");
            let payload = json!({"errorType": error_type, "errorMessage": message}).to_string().into();
            self.close_invocation(&mut state, id, Reply::Error { payload, error_type });
            return refusal(410, "InvokeTimeout", "The invocation has timed out");
        }
        let too_large = self.refuse == Some(Refuse::TooLarge) || !streaming && request.too_large;
        let reply = if too_large {
            size_too_large()
        } else if streaming {
            broken_stream(request).unwrap_or(Reply::Streamed)
        } else {
            Reply::Response(request.body.clone())
        };
        self.close_invocation(&mut state, id, reply);
        if too_large {
            let message = format!("Exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
            return refusal(413, "RequestEntityTooLarge", &message);
        }
        accepted()
    }

    fn error(&self, id: &str, request: &Request) -> Response {
        let mut state = self.state();
        if let Some(refused) = self.refused(&state, id, request, "InvocationErrorResponse") {
            return refused;
        }
        self.close_invocation(&mut state, id, reported(request, "Function.Unknown"));
        accepted()
    }

    fn init_error(&self, request: &Request) -> Response {
        let mut state = self.state();
        if state.phase != Phase::Started {
            return wrong_transition(state.phase, "InitError");
        }
        state.phase = Phase::InitError;
        state.init_error = Some(reported(request, "Runtime.Unknown"));
        self.changed.notify_all();
        accepted()
    }

    fn register(&self, request: &Request) -> Response {
        let mut state = self.state();
        if state.phase != Phase::Started {
            return refusal(403, "Extension.RegistrationClosed", "Extension registration closed already");
        }
        match state.extensions.register(request) {
            Ok(identifier) => extensions::registered(&identifier, &self.function.name, &self.function.handler),
            Err((error_type, message)) => refusal(400, error_type, &message),
        }
    }

    /// Holds an extension's poll until the process has ended: there are no events for it.
    fn next_of_extension(&self, request: &Request) -> Option<Response> {
        let mut state = self.state();
        if !state.extensions.wait(request) {
            let message = "Unknown extension: register first, and send its Lambda-Extension-Identifier";
            return Some(refusal(403, "Extension.UnknownExtensionIdentifier", message));
        }
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.exit.is_none()));
        None
    }

    fn close_invocation(&self, state: &mut State, id: &str, reply: Reply) {
        if let Some(current) = state.find_mut(id) {
            current.reply = Some(reply);
        }
        if !self.several {
            state.phase = Phase::ResponseSent;
        }
        self.changed.notify_all();
    }

    /// Why an answer to invocation `id` is not wanted now.
    fn refused(&self, state: &State, id: &str, request: &Request, to: &str) -> Option<Response> {
        let known = state.find(id).filter(|current| {
            let guard = request.header("lambda-runtime-invocation-id");
            // Once it was answered and the runtime has asked for the next one, it is forgotten.
            let is_past = !self.several && current.reply.is_some() && state.phase == Phase::Ready;
            !is_past && guard.is_none_or(|guard| guard == current.invocation.invocation_id)
        });
        let Some(current) = known else {
            return Some(refusal(400, "InvalidRequestID", "Invalid request ID"));
        };
        if self.several && (current.timed_out || current.reply.is_some()) {
            return Some(refusal(410, "InvokeTimeout", "Invoke timeout"));
        }
        (state.phase != Phase::Ready).then(|| wrong_transition(state.phase, to))
    }
}

/// The invocation that a request answers.
fn answered_id(request: &Request) -> &str {
    let path = request.path.strip_prefix(INVOCATION).unwrap_or_default();
    path.split_once('/').map_or(path, |(id, _)| id)
}

fn is_streaming(request: &Request) -> bool {
    request.header(RESPONSE_MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("streaming"))
}

fn size_too_large() -> Reply {
    let error_type = "Function.ResponseSizeTooLarge".to_owned();
    let message = format!("Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
    Reply::Error { payload: json!({"errorMessage": message, "errorType": error_type}).to_string().into(), error_type }
}

/// What the runtime says went wrong. Of error types only Lambda's own shape is believed.
fn reported(request: &Request, unknown: &str) -> Reply {
    if request.too_large {
        return size_too_large();
    }
    let named = |name: &str| name.starts_with("Runtime.") || name.starts_with("Function.");
    let header = request.header("lambda-runtime-function-error-type").map(String::from);
    let body: Option<serde_json::Value> = serde_json::from_slice(&request.body).ok();
    let in_body = body.and_then(|body| body.get("errorType")?.as_str().map(str::to_owned));
    Reply::Error {
        payload: request.body.clone(),
        error_type: [header, in_body]
            .into_iter()
            .flatten()
            .find(|error_type| named(error_type))
            .unwrap_or_else(|| unknown.to_owned()),
    }
}

/// The error that the trailers of a streamed response report, if they do.
fn broken_stream(request: &Request) -> Option<Reply> {
    let error_type = http::find(&request.trailers, "lambda-runtime-function-error-type")?;
    let body = http::find(&request.trailers, "lambda-runtime-function-error-body").unwrap_or_default();
    Some(Reply::Broken {
        payload: BASE64_STANDARD.decode(body).unwrap_or_else(|_| body.to_vec()),
        error_type: String::from_utf8_lossy(error_type).into_owned(),
    })
}

fn event(current: &Current) -> Response {
    let invocation = &current.invocation;
    let deadline = current.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let headers: [(&str, String); 9] = [
        ("Content-Type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id.clone()),
        ("Lambda-Runtime-Deadline-Ms", deadline.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", current.function_arn.clone()),
        ("Lambda-Runtime-Trace-Id", invocation.trace_id.clone()),
        ("Lambda-Runtime-Invocation-Id", invocation.invocation_id.clone()),
        ("Lambda-Runtime-Client-Context", optional(&invocation.client_context)),
        ("Lambda-Runtime-Cognito-Identity", optional(&invocation.identity)),
        ("Lambda-Runtime-Aws-Tenant-Id", optional(&invocation.tenant)),
    ];
    let headers: Vec<Header> = headers
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        // A header has one line, whatever the caller or the configuration has put into it.
        .map(|(name, value)| (name.to_owned(), value.replace(['\r', '\n'], " ").into_bytes()))
        .collect();
    Response { status: 200, reason: None, headers, body: invocation.payload.clone() }
}

fn accepted() -> Response {
    Response::json(202, "{\"status\":\"OK\"}\n")
}

fn wrong_transition(from: Phase, to: &str) -> Response {
    let message =
        format!("State transition from {from:?} to {to} failed for runtime. Error: State transition is not allowed");
    refusal(403, "InvalidStateTransition", &message)
}

fn refusal(status: u16, error_type: &str, message: &str) -> Response {
    let body = json!({"errorMessage": message, "errorType": error_type});
    Response::json(status, format!("{body}\n"))
}

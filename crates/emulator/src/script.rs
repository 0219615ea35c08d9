//! What a script may say. The field names are the JSON's.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bytes::Bytes;

/// One command and the answers its requests get.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The program and its arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// The command's whole environment; `AWS_LAMBDA_RUNTIME_API` is added unless it is here.
    #[serde(default)]
    pub environment: BTreeMap<String, Bytes>,
    /// The command's working directory; ours when absent.
    pub directory: Option<PathBuf>,
    /// After this the command is killed.
    #[serde(default = "thirty_seconds")]
    pub timeout_ms: u64,
    /// For each, a pipe is made whose write end the command inherits, with its number in this variable.
    #[serde(default)]
    pub pipes: Vec<String>,
    /// Answers to successive GETs of /runtime/invocation/next.
    #[serde(default)]
    pub next: Vec<Answer>,
    /// Answers to successive POSTs of /runtime/invocation/ID/response. Used up: 202.
    #[serde(default)]
    pub response: Vec<Answer>,
    /// Answers to successive POSTs of /runtime/invocation/ID/error. Used up: 202.
    #[serde(default)]
    pub error: Vec<Answer>,
    /// Answers to successive POSTs of /runtime/init/error. Used up: 202.
    #[serde(default)]
    pub init_error: Vec<Answer>,
    /// Answers to successive GETs of /runtime/restore/next. Used up: 200.
    #[serde(default)]
    pub restore_next: Vec<Answer>,
    /// Answers to successive POSTs of /runtime/restore/error. Used up: 202.
    #[serde(default)]
    pub restore_error: Vec<Answer>,
    /// Answers to successive POSTs of /extension/register. Used up: 200. Polls of /extension/event/next are held.
    #[serde(default)]
    pub extension_register: Vec<Answer>,
    /// What to do when /next is polled and no step is left.
    #[serde(default)]
    pub end: End,
    /// Wait with `end` until every event was answered: for runtimes that poll several at once.
    #[serde(default)]
    pub end_after_answers: bool,
    /// And this long after that: a runtime may still be reading what it got for its answer.
    #[serde(default)]
    pub end_after_ms: u64,
    /// False for long runs: requests are counted and timed, not kept.
    #[serde(default = "yes")]
    pub record_requests: bool,
}

/// An answer, right or wrong. Those in `next` are its steps and may have the fields of the second half.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// 200 for a GET, 202 for a POST.
    pub status: Option<u16>,
    /// The words after the status.
    pub reason: Option<String>,
    /// All headers. Only a missing Content-Length is added.
    pub headers: Option<Vec<(String, Bytes)>>,
    /// The body.
    pub body: Option<Bytes>,
    /// The whole response, head and body, overriding everything that describes one.
    pub raw: Option<Bytes>,
    /// Waits this long before the answer.
    #[serde(default)]
    pub delay_ms: u64,
    /// Writes this many bytes of the response, then hangs up.
    pub truncate_at: Option<usize>,
    /// Writes the body in pieces.
    pub chunk: Option<Pieces>,
    /// What Content-Length claims.
    pub content_length: Option<u64>,
    /// When to hang up.
    pub close: Option<Close>,
    /// Hang up with a reset.
    #[serde(default)]
    pub reset: bool,
    /// Of a streamed response, reads no more than this many chunks: `delay_ms`, the answer and the hang-up follow on them.
    pub after_chunks: Option<usize>,
    /// The same by bytes, of a body whose length is known.
    pub after_bytes: Option<usize>,

    /// The event: serialised without spaces, its numbers as written here.
    pub event: Option<Box<RawValue>>,
    /// On top of the default headers; null removes.
    #[serde(default)]
    pub set_headers: BTreeMap<String, Option<Bytes>>,
    /// Sent while the handler runs: when the answer is written, or the connection closed without one.
    pub signal: Option<HandlerSignal>,
    /// A step without an answer: a signal while the runtime waits for an event.
    pub idle_signal: Option<IdleSignal>,
    /// A step without an answer: reads how much memory the process has while it waits for an event.
    #[serde(default)]
    pub measure_memory: bool,
    /// Serves the step this many times.
    pub repeat: Option<usize>,
    /// Serves it only when so many requests wait for an event: all of those that serve at once are there.
    pub pollers: Option<usize>,
}

/// A body written slowly.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pieces {
    /// Bytes in a write.
    pub size: usize,
    /// The pause between two writes.
    #[serde(default)]
    pub pause_ms: u64,
}

/// When to hang up.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// Without an answer.
    Before,
    /// After the answer.
    After,
}

/// A signal sent while the handler runs: once the output contains `until_output`, `after_ms` after that.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandlerSignal {
    /// SIGTERM, ...
    pub name: SignalName,
    /// Counted from the answer, or from the output that was waited for.
    #[serde(default)]
    pub after_ms: u64,
    /// Waits until stdout or stderr contains this.
    pub until_output: Option<String>,
}

/// A signal sent `after_ms` after the poll; the poll is then held until the output contains `until_output`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleSignal {
    /// SIGTERM, ...
    pub name: SignalName,
    /// Counted from the poll.
    #[serde(default)]
    pub after_ms: u64,
    /// Holds the poll until stdout or stderr contains this.
    pub until_output: Option<String>,
}

/// A signal by its name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    SigHup,
    SigInt,
    SigQuit,
    SigUsr1,
    SigUsr2,
    SigAlrm,
    SigTerm,
    SigKill,
    SigStop,
    SigCont,
}

impl SignalName {
    pub(crate) fn signal(self) -> Signal {
        match self {
            SignalName::SigHup => Signal::HUP,
            SignalName::SigInt => Signal::INT,
            SignalName::SigQuit => Signal::QUIT,
            SignalName::SigUsr1 => Signal::USR1,
            SignalName::SigUsr2 => Signal::USR2,
            SignalName::SigAlrm => Signal::ALARM,
            SignalName::SigTerm => Signal::TERM,
            SignalName::SigKill => Signal::KILL,
            SignalName::SigStop => Signal::STOP,
            SignalName::SigCont => Signal::CONT,
        }
    }
}

/// What happens to a poll of /next when no step is left.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub enum End {
    #[default]
    #[serde(rename = "SIGKILL")]
    SigKill,
    #[serde(rename = "SIGTERM")]
    SigTerm,
    #[serde(rename = "SIGINT")]
    SigInt,
    /// Hang up.
    #[serde(rename = "close")]
    Close,
    /// Hold the poll until the command exits or its time is up.
    #[serde(rename = "wait")]
    Wait,
}

impl End {
    pub(crate) fn signal(self) -> Option<Signal> {
        match self {
            End::SigKill => Some(Signal::KILL),
            End::SigTerm => Some(Signal::TERM),
            End::SigInt => Some(Signal::INT),
            End::Close | End::Wait => None,
        }
    }
}

/// What a script file holds.
#[derive(Debug)]
pub enum Scripts {
    /// An object.
    One(Box<Script>),
    /// An array of objects, played one after the other.
    Several(Vec<Script>),
}

impl Scripts {
    /// Reads a script, or an array of scripts.
    ///
    /// # Errors
    /// When it is no JSON, or no script.
    pub fn parse(json: &[u8]) -> Result<Scripts, ScriptError> {
        let array = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let scripts = if array {
            Scripts::Several(serde_json::from_slice(json)?)
        } else {
            Scripts::One(serde_json::from_slice(json)?)
        };
        scripts.as_slice().iter().try_for_each(Script::check)?;
        Ok(scripts)
    }

    fn as_slice(&self) -> &[Script] {
        match self {
            Scripts::One(script) => std::slice::from_ref(script),
            Scripts::Several(scripts) => scripts,
        }
    }
}

impl Script {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// What the types do not rule out.
    fn check(&self) -> Result<(), ScriptError> {
        let lists = [
            ("next", &self.next),
            ("response", &self.response),
            ("error", &self.error),
            ("init_error", &self.init_error),
            ("restore_next", &self.restore_next),
            ("restore_error", &self.restore_error),
            ("extension_register", &self.extension_register),
        ];
        for (list, answers) in lists {
            for (index, answer) in answers.iter().enumerate() {
                answer.check(list).map_err(|problem| ScriptError(format!("`{list}[{index}]` {problem}")))?;
            }
        }
        Ok(())
    }
}

impl Answer {
    fn check(&self, list: &str) -> Result<(), String> {
        if let Some(field) = self.field_of_steps().filter(|_| list != "next") {
            return Err(format!("has `{field}`, which only the steps of `next` may have"));
        }
        if self.event.is_some() && self.body.is_some() {
            return Err("has both `event` and `body`: keep one".to_owned());
        }
        if self.chunk.is_some_and(|pieces| pieces.size == 0) {
            return Err("has `chunk` of `size` 0: give the bytes of one write".to_owned());
        }
        if self.reset && self.close.is_none() && self.truncate_at.is_none() {
            return Err("has `reset` but never hangs up: add `close` or `truncate_at`".to_owned());
        }
        let interruption = self.after_chunks.map(|_| "after_chunks").or(self.after_bytes.map(|_| "after_bytes"));
        match interruption {
            Some(field) if list != "response" => {
                Err(format!("has `{field}`, which only the answers of `response` may have"))
            }
            Some(field) if self.close.is_none() && self.truncate_at.is_none() => {
                Err(format!("has `{field}` but never hangs up: add `close` or `truncate_at`"))
            }
            _ if self.after_chunks == Some(0) => {
                Err("has `after_chunks` 0: the first chunk comes with the head".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether an event arrives, so that an answer to it can be waited for.
    pub(crate) fn arrives(&self) -> bool {
        self.raw.is_none()
            && self.truncate_at.is_none()
            && self.content_length.is_none()
            && self.close != Some(Close::Before)
    }

    /// Whether the answer comes before the whole request has been read.
    pub(crate) fn interrupts(&self) -> bool {
        self.after_chunks.is_some() || self.after_bytes.is_some()
    }

    fn field_of_steps(&self) -> Option<&'static str> {
        [
            ("event", self.event.is_some()),
            ("set_headers", !self.set_headers.is_empty()),
            ("signal", self.signal.is_some()),
            ("idle_signal", self.idle_signal.is_some()),
            ("measure_memory", self.measure_memory),
            ("repeat", self.repeat.is_some()),
            ("pollers", self.pollers.is_some()),
        ]
        .into_iter()
        .find_map(|(field, present)| present.then_some(field))
    }
}

/// Why a script cannot be played; names the field.
#[derive(Debug)]
pub struct ScriptError(String);

impl fmt::Display for ScriptError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ScriptError {}

impl From<serde_json::Error> for ScriptError {
    fn from(error: serde_json::Error) -> Self {
        ScriptError(error.to_string())
    }
}

fn thirty_seconds() -> u64 {
    30_000
}

fn yes() -> bool {
    true
}

//! The other end of the wire, for a laptop: a Runtime API that a `bootstrap` can be run against.
//!
//! No Python, no async, and no code shared with `whipsnake-runtime-api`: two independent readings of the protocol check
//! each other. Sockets block and every connection has its thread, so that answering wrongly, byte by byte, stays as easy
//! to write as answering rightly.
//!
//! [`play`] runs a runtime against scripted answers and records what it does: the instrument of the test suites.
//! [`Emulator`] runs a function as Lambda does, [`start_invoke_api`] lets boto3 call it, and [`start_function_url`] a browser.

#![forbid(unsafe_code)]

mod access;
mod bytes;
mod conversation;
mod delivery;
mod deployment;
mod emulator;
mod event_stream;
mod execution_environment;
mod extensions;
mod function;
mod function_url;
mod http;
mod http_event;
mod identifiers;
mod invocation;
mod invoke_api;
mod invoke_request;
mod list;
mod log;
mod play;
mod process;
mod recording;
mod refusal;
mod report;
mod response_stream;
mod runtime_api;
mod script;
mod server;
mod simulation;
mod stage;

pub use access::Access;
pub use bytes::Bytes;
pub use deployment::Deployment;
pub use emulator::{Emulator, Outcome, Part};
pub use execution_environment::{NOT_RESTORED, SHUTDOWN};
pub use function::Function;
pub use function_url::start_function_url;
pub use invocation::Invocation;
pub use invoke_api::start_invoke_api;
pub use play::{PlayError, play};
pub use recording::{Chunk, RecordedRequest, Recording};
pub use report::{Checkpoint, Init, Report, Status};
pub use script::{Script, ScriptError, Scripts};
pub use server::Server;
pub use simulation::{Refuse, Simulation};

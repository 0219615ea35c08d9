//! The wire between a custom runtime and Lambda: the Runtime API, version 2018-06-01.
//!
//! ```text
//! Client::next ──► Invocation { id, deadline, .., payload }
//! Client::respond ◄── Response          Client::fail, Client::fail_init ◄── Fault
//! Client::stream ──► StreamedResponse ◄── chunks, one by one
//! ```
//!
//! Nothing here knows Python. [`invocation`] has the Runtime API's headers, [`fault`] the format of a function's failure, and [`error`] the
//! errors between the runtime and Lambda.
//!
//! HTTP is hyper's. The types of bodies and of streamed responses are AWS's (`lambda_runtime` and `lambda_runtime_api_client`), and no
//! other crate of the workspace imports them. `lambda_runtime::run` itself is not used, because it refuses invocations that the managed
//! Python runtime serves (docs/architecture.md).

#![forbid(unsafe_code)]

pub mod client;
mod connection;
pub mod error;
pub mod extension;
pub mod fault;
pub mod invocation;
pub mod json;
pub mod log_frame;
pub mod prelude;
mod request;
pub mod response;
pub mod streaming;

pub use client::Client;
pub use error::Error;
pub use fault::{Fault, Frame};
pub use invocation::{Invocation, Ticket};
pub use prelude::{IllegalPrelude, Prelude};
pub use response::Response;
pub use streaming::StreamedResponse;

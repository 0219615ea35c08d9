//! The invoke phase: from `/next` to the response, one invocation after the other.

pub mod awslambdaric;
pub mod driver;
pub mod event_loop;
mod injected;
mod snapshot;
mod streaming;
pub mod worker;

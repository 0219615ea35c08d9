//! The invoke phase: from `/next` to the response, one invocation after the other.

mod call;
mod chunks;
pub mod driver;
pub mod event_loop;
mod fault_exception;
pub mod forked_children;
mod injected_exceptions;
mod replaced_names;
pub mod runtime_object;
pub mod serve;
pub mod signal_mask;
mod sigterm;
pub mod slot;
mod snapshot;
pub mod startup;
pub mod worker;

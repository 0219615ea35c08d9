//! Makes checkpoints.
//!
//! The bootstrap describes itself when it is dumped ([`process`]). The `whipsnake` command composes the file from that and from the
//! process's memory ([`compose`]), and reads what it is for ([`describe`]).

#[cfg(feature = "compose")]
mod aligned;
#[cfg(feature = "compose")]
pub mod compose;
#[cfg(feature = "compose")]
pub mod describe;
#[cfg(feature = "compose")]
pub mod private_root;
pub mod process;

//! What the runtime reports, and where it goes: failures, log records, printed text and its own notices.

pub mod log;
pub mod notices;
pub mod stdio;
pub mod traceback;

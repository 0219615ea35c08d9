//! Why a verb could not do its work: one sentence for the user.

use std::{fmt, io};

/// What we were doing, with what, and what went wrong or what to do.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure that is told in `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Failure(sentence.into())
    }

    /// Standard output could not be written to. If its reader has hung up, as `head` does, there is nothing to say.
    #[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls owns its error")]
    pub fn printing(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure(String::new());
        }
        Failure::new(format!("writing to standard output: {error}"))
    }

    /// Whether the command ends without a word.
    pub fn is_silent(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

//! Why a verb could not do its work: one sentence for the user.

use std::fmt;

/// What we were doing, with what, and what went wrong or what to do.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure that is told in `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Failure(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

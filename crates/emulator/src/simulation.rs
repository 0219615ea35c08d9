//! What Lambda does to a function on its bad days.

use std::time::Duration;

/// What is to happen; by default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    /// The process stands still between two invocations, for at least so long.
    pub freeze: Option<Duration>,
    /// The process's connections to the Runtime API are closed between two invocations.
    pub hang_up: bool,
    /// Time is up when the function has its event.
    pub time_out: bool,
    /// How the Runtime API refuses every response.
    pub refuse: Option<Refuse>,
    /// As many bytes of a streamed response are taken in a second.
    pub stream_rate: Option<u32>,
    /// The first process is killed in its init phase.
    pub init_crash: bool,
    /// The process is killed in every invocation whose number can be divided by this.
    pub crash: Option<u32>,
}

/// Why a response is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuse {
    /// 410: the caller was told of a time-out before it came.
    TooLate,
    /// 413: it is over the limit.
    TooLarge,
}

/// What one invocation meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kind,
    TimeOut,
    Crash,
}

impl Simulation {
    /// What the invocation of that number meets, counted from 1.
    pub(crate) fn fate(&self, number: u32) -> Fate {
        if self.crash.is_some_and(|every| number.is_multiple_of(every.max(1))) {
            Fate::Crash
        } else if self.time_out {
            Fate::TimeOut
        } else {
            Fate::Kind
        }
    }
}

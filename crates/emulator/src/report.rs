//! The lines Lambda writes into a function's log, character by character.

use std::{fmt, time::Duration};

/// How a phase that went wrong is called in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its time was up.
    Timeout,
    /// The process ended, or could not be initialised.
    Error {
        /// Lambda's name for what happened.
        error_type: String,
    },
}

impl Status {
    fn text(&self) -> String {
        match self {
            Status::Timeout => "Status: timeout".to_owned(),
            Status::Error { error_type } => format!("Status: error\tError Type: {error_type}"),
        }
    }
}

/// The line before a function's own.
pub(crate) fn start(request_id: &str) -> String {
    format!("START RequestId: {request_id} Version: $LATEST")
}

/// The line after a function's own.
pub(crate) fn end(request_id: &str) -> String {
    format!("END RequestId: {request_id}")
}

/// An init phase that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// From the start of the process to its first request.
    pub duration: Duration,
    /// What became of the function's checkpoint, if it has one and it is turned on.
    pub checkpoint: Option<Checkpoint>,
}

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// The process continued from it.
    Restored,
    /// A check failed, and the function started without it: why.
    NotUsed(String),
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checkpoint::Restored => formatter.write_str("restored"),
            Checkpoint::NotUsed(reason) => write!(formatter, "not used ({reason})"),
        }
    }
}

/// What REPORT reports.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of which invocation.
    pub request_id: String,
    /// From the event to the answer.
    pub duration: Duration,
    /// Megabytes the function may use.
    pub memory: u32,
    /// Megabytes it used at its peak.
    pub memory_used: u64,
    /// Only in an execution environment's first invocation.
    pub init: Option<Init>,
    /// Only when the invocation did not end by an answer.
    pub status: Option<Status>,
}

impl Report {
    /// What is paid for, in milliseconds. OS-only runtimes are billed for their init phase too.
    #[must_use]
    pub fn billed(&self) -> u64 {
        let used = self.duration + self.init.as_ref().map(|init| init.duration).unwrap_or_default();
        u64::try_from(used.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The last line of an invocation.
    pub(crate) fn line(&self) -> String {
        let billed = self.billed();
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {billed} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            self.request_id,
            milliseconds(self.duration),
            self.memory,
            self.memory_used,
        );
        if let Some(init) = &self.init {
            line.push_str(&format!("Init Duration: {:.2} ms\t", milliseconds(init.duration)));
            // Lambda has no such field: it does not know of the checkpoint.
            if let Some(checkpoint) = &init.checkpoint {
                line.push_str(&format!("Checkpoint: {checkpoint}\t"));
            }
        }
        if let Some(status) = &self.status {
            line.push_str(&status.text());
        }
        line
    }
}

/// The line of an init phase that failed.
pub(crate) fn init(duration: Duration, status: &Status) -> String {
    format!("INIT_REPORT Init Duration: {:.2} ms\tPhase: init\t{}", milliseconds(duration), status.text())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Duration, Init, Report, Status, end, init, start};

    fn report() -> Report {
        Report {
            request_id: "id".to_owned(),
            duration: Duration::from_micros(1_530),
            memory: 128,
            memory_used: 36,
            init: None,
            status: None,
        }
    }

    #[test]
    fn start_and_end_frame_an_invocation() {
        assert_eq!(start("id"), "START RequestId: id Version: $LATEST");
        assert_eq!(end("id"), "END RequestId: id");
    }

    #[test]
    fn a_warm_invocation_has_no_init_duration() {
        assert_eq!(
            report().line(),
            "REPORT RequestId: id\tDuration: 1.53 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
        );
    }

    #[test]
    fn a_cold_one_is_billed_for_its_init() {
        let init = Init { duration: Duration::from_micros(12_340), checkpoint: None };
        let report = Report { init: Some(init), ..report() };
        assert_eq!(
            report.line(),
            "REPORT RequestId: id\tDuration: 1.53 ms\tBilled Duration: 14 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 12.34 ms\t"
        );
    }

    #[test]
    fn a_checkpoint_is_reported_behind_the_init_duration() {
        let line = |checkpoint| {
            let init = Init { duration: Duration::from_micros(12_340), checkpoint: Some(checkpoint) };
            Report { init: Some(init), ..report() }.line()
        };
        assert!(line(Checkpoint::Restored).ends_with("Init Duration: 12.34 ms\tCheckpoint: restored\t"));
        let not_used = line(Checkpoint::NotUsed("it is damaged".to_owned()));
        assert!(not_used.ends_with("Init Duration: 12.34 ms\tCheckpoint: not used (it is damaged)\t"));
    }

    #[test]
    fn what_went_wrong_comes_last() {
        let timed_out = Report { status: Some(Status::Timeout), ..report() };
        assert!(timed_out.line().ends_with("Max Memory Used: 36 MB\tStatus: timeout"));
        let status = Status::Error { error_type: "Runtime.ImportModuleError".to_owned() };
        assert_eq!(
            init(Duration::from_micros(12_340), &status),
            "INIT_REPORT Init Duration: 12.34 ms\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"
        );
    }
}

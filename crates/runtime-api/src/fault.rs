//! The report of a function's failure: JSON for the caller, a header for X-Ray.

use crate::json;
use serde::Serialize;

/// The longest X-Ray cause. Lambda crops a longer one, and HTTP stacks on the way refuse a header near 1 MiB.
const LONGEST_CAUSE: usize = 64 * 1024;

/// The longest error type in a header, in bytes. A class may have any name, and the trailers of a stream share 4 KB.
const LONGEST_TYPE: usize = 256;

/// The indentation of stack traces in the log: no-break spaces, which the log viewer keeps.
const INDENTATION: &str = "\u{a0}";

/// The X-Ray type of every fault that is not an exception of the function's own.
const VALIDATION_ERROR: &str = "LambdaValidationError";

/// One frame of a stack, in X-Ray's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// The function's name.
    pub label: String,
    /// Its file.
    pub path: String,
    /// The line in it. `None` if Python knows none.
    pub line: Option<u32>,
}

/// A failure of the function. It is reported to Lambda, and the loop continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The exception's class name, or one of the `Runtime.*` types.
    pub error_type: String,
    /// The exception's message.
    pub message: String,
    /// One string per frame, formatted as Python formats tracebacks.
    pub stack_trace: Vec<String>,
    /// The same frames for X-Ray. `None` for faults of the runtime's own (`Runtime.*`).
    pub frames: Option<Vec<Frame>>,
}

impl Fault {
    /// A fault of the runtime's own (`Runtime.*`): without a stack.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), stack_trace: Vec::new(), frames: None }
    }

    /// The body of `/error` and `/init/error`; `request_id` is empty during init.
    #[must_use]
    pub fn report<'a>(&'a self, request_id: &'a str) -> Report<'a> {
        Report {
            error_message: &self.message,
            error_type: &self.error_type,
            request_id,
            stack_trace: &self.stack_trace,
        }
    }

    /// The report in at most `limit` bytes, which must be some hundreds. Drops the frames farthest from the failure first, then the
    /// message's end.
    #[must_use]
    pub fn report_within(&self, limit: usize, request_id: &str) -> String {
        let mut report = self.report(request_id);
        loop {
            let json = report.to_json();
            if json.len() <= limit {
                return json;
            }
            let Some((_, nearer)) = report.stack_trace.split_first() else { break };
            report.stack_trace = nearer;
        }
        // An escape sequence has up to six bytes for a character.
        let message: String = self.message.chars().take(limit / 12).collect();
        let error_type: String = self.error_type.chars().take(limit / 24).collect();
        Report { error_message: &message, error_type: &error_type, request_id, stack_trace: &[] }.to_json()
    }

    /// The X-Ray cause: JSON for the header `Lambda-Runtime-Function-XRay-Error-Cause`.
    #[must_use]
    pub fn xray_cause(&self, working_directory: &str) -> String {
        let frames = self.frames.as_deref().unwrap_or_default();
        let whole = self.cause_of(working_directory, &self.message, frames);
        if whole.len() <= LONGEST_CAUSE {
            return whole;
        }
        // The message's beginning and the frames nearest to the failure get most of the space. An escape sequence has up to six bytes for a
        // character, so the cut is well inside the limit.
        let message: String = self.message.chars().take(LONGEST_CAUSE / 16).collect();
        let nearest = &frames[frames.len().saturating_sub(32)..];
        let cropped = self.cause_of(working_directory, &message, nearest);
        if cropped.len() <= LONGEST_CAUSE { cropped } else { self.cause_of(working_directory, &message, &[]) }
    }

    /// The lines of a text log. The first one is the headline. A `traceback` replaces the fault's own stack.
    #[must_use]
    pub fn log_lines(&self, traceback: Option<&[String]>) -> Vec<String> {
        let mut headline = String::from("[ERROR]");
        if !self.error_type.is_empty() {
            headline = headline + " " + &self.error_type;
        }
        if !self.message.is_empty() {
            headline = headline + if self.error_type.is_empty() { " " } else { ": " } + &self.message;
        }
        let mut lines = vec![headline];
        if traceback.is_none() {
            lines.push(String::from("Traceback (most recent call last):"));
        }
        for entry in traceback.unwrap_or(&self.stack_trace) {
            lines.extend(split_lines(entry).map(|line| {
                let text = line.trim_start_matches(' ');
                INDENTATION.repeat(line.len() - text.len()) + text
            }));
        }
        lines
    }

    fn cause_of(&self, working_directory: &str, message: &str, stack: &[Frame]) -> String {
        let mut paths: Vec<&str> = Vec::new();
        for frame in stack {
            if !paths.contains(&frame.path.as_str()) {
                paths.push(&frame.path);
            }
        }
        let error_type = if self.frames.is_some() { cropped_type(&self.error_type) } else { VALIDATION_ERROR };
        json::to_string(&Cause { working_directory, exceptions: [Exception { message, error_type, stack }], paths })
    }
}

/// An error type, cropped for a header.
pub(crate) fn cropped_type(error_type: &str) -> &str {
    let mut end = error_type.len().min(LONGEST_TYPE);
    while !error_type.is_char_boundary(end) {
        end -= 1;
    }
    &error_type[..end]
}

/// Splits where Python's `str.splitlines` splits. An empty entry is an empty line.
fn split_lines(entry: &str) -> impl Iterator<Item = &str> {
    let is_end = |character| {
        matches!(character, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut rest = Some(entry);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, end) = text.split_at(text.find(is_end).unwrap_or(text.len()));
        let after = end.strip_prefix("\r\n").or_else(|| end.strip_prefix(is_end)).unwrap_or_default();
        rest = (!after.is_empty()).then_some(after);
        Some(line)
    })
}

/// The JSON of a [`Fault`], with keys in the managed runtime's order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report<'a> {
    error_message: &'a str,
    error_type: &'a str,
    request_id: &'a str,
    stack_trace: &'a [String],
}

impl Report<'_> {
    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::to_string(self)
    }
}

#[derive(Serialize)]
struct Cause<'a> {
    working_directory: &'a str,
    exceptions: [Exception<'a>; 1],
    paths: Vec<&'a str>,
}

#[derive(Serialize)]
struct Exception<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    error_type: &'a str,
    stack: &'a [Frame],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Fault {
        let frame =
            |label: &str, line| Frame { label: label.into(), path: "/var/task/app.py".into(), line: Some(line) };
        Fault {
            error_type: "ZeroDivisionError".into(),
            message: "division by zero".into(),
            stack_trace: vec!["  File \"/var/task/app.py\", line 2, in handler\n    return 1/0\n".into()],
            frames: Some(vec![frame("handler", 2), frame("divide", 5)]),
        }
    }

    #[test]
    fn the_report_is_the_managed_runtimes_to_the_byte() {
        assert_eq!(
            fault().report("rid-1").to_json(),
            r#"{"errorMessage": "division by zero", "errorType": "ZeroDivisionError", "requestId": "rid-1", "stackTrace": ["  File \"/var/task/app.py\", line 2, in handler\n    return 1/0\n"]}"#
        );
    }

    #[test]
    fn a_report_that_is_too_long_keeps_the_frames_nearest_to_the_failure() {
        let mut long = fault();
        let whole = long.report("rid-1").to_json();
        assert_eq!(long.report_within(whole.len(), "rid-1"), whole);
        long.stack_trace = (0..50).map(|number| format!("frame {number}\n")).collect();
        let report = long.report_within(300, "rid-1");
        assert!(report.len() <= 300 && report.len() > 280, "{report}");
        assert!(report.ends_with("frame 48\\n\", \"frame 49\\n\"]}"), "{report}");
        long.message = "\u{1}".repeat(10_000);
        let report = long.report_within(300, "rid-1");
        assert!(report.len() <= 300 && report.starts_with(r#"{"errorMessage": "\u0001"#), "{report}");
    }

    #[test]
    fn the_cause_names_each_file_once() {
        assert_eq!(
            fault().xray_cause("/var/task"),
            r#"{"working_directory": "/var/task", "exceptions": [{"message": "division by zero", "type": "ZeroDivisionError", "stack": [{"label": "handler", "path": "/var/task/app.py", "line": 2}, {"label": "divide", "path": "/var/task/app.py", "line": 5}]}], "paths": ["/var/task/app.py"]}"#
        );
    }

    #[test]
    fn a_fault_that_the_runtime_states_is_a_validation_error_without_a_stack() {
        let fault = Fault::new("Runtime.MarshalError", "Unable to marshal response: x");
        assert_eq!(
            fault.xray_cause("/"),
            r#"{"working_directory": "/", "exceptions": [{"message": "Unable to marshal response: x", "type": "LambdaValidationError", "stack": []}], "paths": []}"#
        );
    }

    #[test]
    fn a_cause_that_no_header_could_carry_is_cropped() {
        let mut long = fault();
        long.message = "\u{1}".repeat(2_000_000);
        long.frames = Some(vec![Frame { label: "f".into(), path: "p".repeat(3_000), line: Some(1) }; 1000]);
        assert!(long.xray_cause("/var/task").len() <= LONGEST_CAUSE);
        long.error_type = "é".repeat(1_000_000);
        let cause = long.xray_cause("/var/task");
        assert!(
            cause.len() <= LONGEST_CAUSE && cause.contains(&format!("\"{}\"", "é".repeat(LONGEST_TYPE / 2))),
            "{cause}"
        );
    }
}

//! `whipsnake invoke --json`: everything an invocation came to as one object on one line.

use serde::Serialize;
use serde_json::value::RawValue;
use whipsnake_emulator::{Bytes, Checkpoint, Emulator, Invocation, Part, Report, Status};

use crate::failure::Failure;

/// The object. What the function answered in JSON stands in it as it was written.
#[derive(Serialize)]
struct Told<'a> {
    response: Option<Payload>,
    fault: Option<Payload>,
    logs: Bytes,
    report: Figures<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Payload {
    Json(Box<RawValue>),
    Bytes(Bytes),
}

/// What REPORT says, in the words of Lambda's `platform.report`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures<'a> {
    request_id: &'a str,
    status: &'static str,
    duration_ms: f64,
    billed_duration_ms: u64,
    #[serde(rename = "memorySizeMB")]
    memory_size: u32,
    #[serde(rename = "maxMemoryUsedMB")]
    memory_used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    init_duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
}

/// Invokes once; the object's line, with what is then taken of the log, and whether the function failed.
pub fn invoke(
    emulator: &Emulator,
    invocation: &Invocation,
    take_log: impl FnOnce() -> Vec<u8>,
) -> Result<(Vec<u8>, bool), Failure> {
    let (mut response, mut fault) = (None, None);
    let mut streamed = None;
    let outcome = emulator
        .invoke_and_show(invocation, &mut |part| match part {
            Part::Beginning { .. } => streamed = Some(Vec::new()),
            Part::Chunk(chunk) => streamed.get_or_insert_default().extend_from_slice(chunk),
            Part::End => {}
            Part::Whole(whole) => response = Some(Payload::of(whole)),
            Part::Fault(what) => fault = Some(Payload::of(what)),
        })
        .map_err(|error| Failure::new(error.to_string()))?;
    let told = Told {
        response: response.or_else(|| streamed.map(|streamed| Payload::Bytes(Bytes(streamed)))),
        fault,
        logs: Bytes(take_log()),
        report: Figures::of(&outcome.report, outcome.fault.is_some()),
    };
    let mut line = serde_json::to_vec(&told).map_err(|error| Failure::new(format!("writing JSON: {error}")))?;
    line.push(b'\n');
    Ok((line, outcome.fault.is_some()))
}

impl Payload {
    fn of(bytes: &[u8]) -> Payload {
        let json = std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str(text).ok());
        json.map_or_else(|| Payload::Bytes(Bytes(bytes.to_vec())), Payload::Json)
    }
}

impl<'a> Figures<'a> {
    fn of(report: &'a Report, has_failed: bool) -> Self {
        let milliseconds = |duration: std::time::Duration| (duration.as_secs_f64() * 100_000.0).round() / 100.0;
        Figures {
            request_id: &report.request_id,
            status: match report.status {
                Some(Status::Timeout) => "timeout",
                _ if has_failed => "error",
                _ => "success",
            },
            duration_ms: milliseconds(report.duration),
            billed_duration_ms: report.billed(),
            memory_size: report.memory,
            memory_used: report.memory_used,
            init_duration_ms: report.init.as_ref().map(|init| milliseconds(init.duration)),
            checkpoint: report.init.as_ref().and_then(|init| init.checkpoint.as_ref()).map(Checkpoint::to_string),
            error_type: match &report.status {
                Some(Status::Error { error_type }) => Some(error_type),
                _ => None,
            },
        }
    }
}

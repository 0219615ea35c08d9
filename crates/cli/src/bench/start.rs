//! Cold starts: from before the process is spawned to its first request for an event, that event's response, and some more.

use std::{fs, process::Command};

use serde_json::json;
use whipsnake_emulator::Recording;

use super::{
    case::Case,
    results::{Measure, Series},
    rotation::Rotation,
    stage::Stage,
    statistics::median,
};
use crate::failure::Failure;

/// Invocations after the first one: what they take is what a warm one takes.
const LATER: usize = 4;

/// Starts every stage `turns` times, in turn. With `cold_disk` nothing of any file is in memory before a start.
pub fn measure(
    case: &Case,
    stages: &[Stage<'_>],
    turns: usize,
    cold_disk: bool,
    rotation: &Rotation<'_>,
) -> Result<Vec<Series>, Failure> {
    let what = format!("cold start, {}{}", case.name, if cold_disk { ", page cache dropped" } else { "" });
    let figures = rotation.measure(&what, stages, turns, |stage| {
        if cold_disk {
            drop_page_cache()?;
        }
        start(case, stage)
    })?;
    let series = |measure, part: fn(&Start) -> Option<f64>| {
        let figures = &figures;
        stages.iter().zip(figures).filter_map(move |(stage, figures)| {
            let turns: Vec<Vec<f64>> = figures.iter().filter_map(part).map(|us| vec![us]).collect();
            (!turns.is_empty()).then(|| Series {
                measure,
                case: case.name.clone(),
                contender: stage.contender.name.clone(),
                turns,
            })
        })
    };
    if cold_disk {
        return Ok(series(Measure::ColdDisk, |start| Some(start.to_first_request)).collect());
    }
    Ok(series(Measure::ColdStart, |start| Some(start.to_first_request))
        .chain(series(Measure::FirstInvocation, |start| start.first_invocation))
        .chain(series(Measure::LaterInvocation, |start| start.later_invocation))
        .chain(series(Measure::FirstResponse, |start| Some(start.to_first_request + start.first_invocation?)))
        .collect())
}

/// One start, in microseconds.
struct Start {
    to_first_request: f64,
    first_invocation: Option<f64>,
    later_invocation: Option<f64>,
}

fn start(case: &Case, stage: &Stage<'_>) -> Result<Start, Failure> {
    if !stage.contender.serves() {
        let to_end = stage.run_to_the_end(&stage.contender.command)?;
        return Ok(Start { to_first_request: to_end, first_invocation: None, later_invocation: None });
    }
    let steps = json!([{"body": case.event, "repeat": 1 + LATER}]);
    let recording = stage.play(&steps, json!({"record_requests": stage.contender.is_restored()}))?;
    let first = recording.spawn_to_first_next_us.ok_or_else(|| stage.unusable(&recording))?;
    if recording.latencies_us.len() != 1 + LATER {
        return Err(stage.unusable(&recording));
    }
    if stage.contender.is_restored() && !is_restored(&recording) {
        return Err(stage.failed(&recording, "it did not start from its checkpoint"));
    }
    Ok(Start {
        to_first_request: first as f64,
        first_invocation: recording.latencies_us.first().copied(),
        later_invocation: recording.latencies_us.get(1..).map(median),
    })
}

/// A process that was restored from a checkpoint says so in its requests.
fn is_restored(recording: &Recording) -> bool {
    let headers = recording.requests.first().map(|request| request.headers.as_slice()).unwrap_or_default();
    headers.iter().any(|(_, value)| value.0.ends_with(b"(restored)"))
}

/// What was written goes to the disk, and what was read is forgotten.
fn drop_page_cache() -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("dropping the page cache, which only root can: {error}"));
    Command::new("sync").status().and_then(|_| fs::write("/proc/sys/vm/drop_caches", "1")).map_err(failed)
}

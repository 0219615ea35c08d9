//! Cold starts: from before the process is spawned to its first request for an event, and that event's answer.

use std::{fs, process::Command};

use serde_json::json;

use super::{
    case::Case,
    results::{Measure, Series},
    rotation::Rotation,
    stage::Stage,
};
use crate::failure::Failure;

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
    let series = |measure, part: fn(&(f64, Option<f64>)) -> Option<f64>| {
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
        return Ok(series(Measure::ColdDisk, |start| Some(start.0)).collect());
    }
    Ok(series(Measure::ColdStart, |start| Some(start.0))
        .chain(series(Measure::FirstInvocation, |start| start.1))
        .collect())
}

/// Microseconds to the first request, and of the first invocation.
fn start(case: &Case, stage: &Stage<'_>) -> Result<(f64, Option<f64>), Failure> {
    if !stage.contender.serves() {
        return Ok((stage.run_to_the_end(&stage.contender.command)?, None));
    }
    let recording = stage.play(&json!([{"body": case.event}]), json!({}))?;
    let first = recording.spawn_to_first_next_us.ok_or_else(|| stage.unusable(&recording))?;
    if recording.request_count < 3 {
        return Err(stage.unusable(&recording));
    }
    Ok((first as f64, recording.latencies_us.first().copied()))
}

/// What was written goes to the disk, and what was read is forgotten.
fn drop_page_cache() -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("dropping the page cache, which only root can: {error}"));
    Command::new("sync").status().and_then(|_| fs::write("/proc/sys/vm/drop_caches", "1")).map_err(failed)
}

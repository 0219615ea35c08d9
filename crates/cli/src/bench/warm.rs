//! Warm invocations: from an event to its response.

use serde_json::json;

use super::{
    events::Event,
    results::{Measure, Series},
    rotation::Rotation,
    stage::Stage,
};
use crate::failure::Failure;

/// Processes of each, so that what one process's memory layout happens to be is averaged out.
pub const PROCESSES: usize = 5;

/// Sends `event` to a function that echoes it, `invocations` times to each stage.
pub fn measure(
    event: &Event,
    stages: &[Stage<'_>],
    invocations: usize,
    rotation: &Rotation<'_>,
) -> Result<Vec<Series>, Failure> {
    let each = (invocations / event.rarity).div_ceil(PROCESSES).max(4);
    let warm_up = each.clamp(2, 50);
    let what = format!("warm, {}", event.name);
    let figures = rotation.measure(&what, stages, PROCESSES, |stage| {
        let recording = stage.play(&json!([{"body": event.payload, "repeat": each + warm_up}]), json!({}))?;
        match recording.latencies_us.get(warm_up..) {
            Some(latencies) if latencies.len() == each => Ok(latencies.to_vec()),
            _ => Err(stage.unusable(&recording)),
        }
    })?;
    Ok(stages
        .iter()
        .zip(figures)
        .map(|(stage, turns)| Series {
            measure: Measure::Warm,
            case: event.name.to_owned(),
            contender: stage.contender.name.clone(),
            turns,
        })
        .collect())
}

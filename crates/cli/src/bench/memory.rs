//! What a process weighs, as the kernel counts it: its own pages, and its part of those it shares.

use serde_json::json;

use super::{
    case::{Case, PIPE},
    results::Memory,
    stage::Stage,
};
use crate::failure::Failure;

/// Asks the process about itself before it has served anything, and each time it has served another `step` events.
pub fn measure(case: &Case, stage: &Stage<'_>, step: usize, times: usize) -> Result<Memory, Failure> {
    let ask = json!({"body": r#"{"measure memory": true}"#});
    let mut steps = vec![ask.clone()];
    for _ in 0..times {
        steps.push(json!({"body": case.event, "repeat": step}));
        steps.push(ask.clone());
    }
    let recording = stage.play(&json!(steps), json!({"pipes": [PIPE]}))?;
    let told =
        recording.pipes.get(PIPE).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default();
    let pss: Vec<u64> = told.lines().filter_map(kilobytes).collect();
    if pss.len() != times + 1 {
        return Err(stage.unusable(&recording));
    }
    Ok(Memory {
        case: case.name.clone(),
        contender: stage.contender.name.clone(),
        pss_kb: pss.into_iter().enumerate().map(|(position, kb)| (position * step, kb)).collect(),
    })
}

/// The figure of a line such as `Pss:     9218 kB`.
fn kilobytes(line: &str) -> Option<u64> {
    line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok()
}

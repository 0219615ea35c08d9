//! How much memory a process has, as the kernel counts it: its own pages, and its part of those it shares.

use serde_json::json;

use super::{case::Case, results::Memory, stage::Stage};
use crate::failure::Failure;

/// Measures the process before it has served anything, and each time it has served another `step` events.
pub fn measure(case: &Case, stage: &Stage<'_>, step: usize, times: usize) -> Result<Memory, Failure> {
    let mut steps = vec![json!({"measure_memory": true})];
    for _ in 0..times {
        steps.push(json!({"body": case.event, "repeat": step}));
        steps.push(json!({"measure_memory": true}));
    }
    let recording = stage.play(&json!(steps), json!({}))?;
    if recording.pss_kb.len() != times + 1 {
        return Err(stage.unusable(&recording));
    }
    Ok(Memory {
        case: case.name.clone(),
        contender: stage.contender.name.clone(),
        pss_kb: recording.pss_kb.into_iter().enumerate().map(|(position, kb)| (position * step, kb)).collect(),
    })
}

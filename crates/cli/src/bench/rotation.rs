//! Measuring in turn.

use super::{progress::Progress, stage::Stage};
use crate::failure::Failure;

/// Lets everybody have a turn before anybody has the next one, so that a machine whose speed drifts slows all alike.
pub struct Rotation<'a>(pub &'a Progress);

impl Rotation<'_> {
    /// What `measure` gives of each stage, turn by turn. Who begins changes from turn to turn: to follow on somebody who used
    /// the caches much is a disadvantage.
    pub fn measure<'a, T>(
        &self,
        what: &str,
        stages: &[Stage<'a>],
        turns: usize,
        mut measure: impl FnMut(&Stage<'a>) -> Result<T, Failure>,
    ) -> Result<Vec<Vec<T>>, Failure> {
        let mut figures: Vec<Vec<T>> = stages.iter().map(|_| Vec::with_capacity(turns)).collect();
        // The first start of each reads its files from the disk: it does not count.
        for (position, stage) in stages.iter().enumerate() {
            self.0.show(&format!("{what}: {} for the first time", stage.contender.name), position, stages.len());
            measure(stage)?;
        }
        for turn in 0..turns {
            for position in 0..stages.len() {
                let position = (position + turn) % stages.len();
                self.0.show(&format!("{what}: {}", stages[position].contender.name), turn, turns);
                figures[position].push(measure(&stages[position])?);
            }
        }
        self.0.clear();
        Ok(figures)
    }
}

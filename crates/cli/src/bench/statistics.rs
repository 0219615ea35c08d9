//! Medians, ratios of what was measured in turn, and how sure they are.

use serde::Serialize;

/// How often a comparison is drawn anew to learn its interval.
const RESAMPLES: usize = 4000;

/// A ratio of two medians that were measured turn by turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median of the turns' ratios.
    pub median: f64,
    /// In 95 of 100 repetitions of the measurement the median would lie between this..
    pub low: f64,
    /// ..and this.
    pub high: f64,
}

impl Ratio {
    /// Compares turn by turn, so that a machine whose speed drifts slows both sides of a ratio alike. The interval is the
    /// percentile bootstrap's. None without turns.
    pub fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        if ratios.is_empty() {
            return None;
        }
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| median(&ratios.iter().map(|_| ratios[random.below(ratios.len())]).collect::<Vec<_>>()))
            .collect();
        Some(Self { median: median(&ratios), low: quantile(&medians, 0.025), high: quantile(&medians, 0.975) })
    }
}

/// The middle of `figures`; not a number without any.
pub fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure below which `part` of all lie, between two neighbours by proportion.
pub fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = last as f64 * part;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "round, and the place of a figure")]
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}

/// SplitMix64: the same draws every time, so that the same figures give the same interval.
struct Random(u64);

impl Random {
    #[expect(clippy::cast_possible_truncation, reason = "it is less than `end`")]
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(mixed ^ (mixed >> 31)) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{Ratio, quantile};

    #[test]
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    fn a_quantile_lies_between_its_neighbours() {
        let figures = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.5, 1.0].map(|part| quantile(&figures, part)), [1.0, 2.5, 4.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_drifting_machine_does_not_blur_a_ratio() {
        let theirs: Vec<f64> = (1..=40).map(f64::from).collect();
        let ours: Vec<f64> = theirs.iter().map(|figure| figure / 4.0).collect();
        assert_eq!(Ratio::of(&ours, &theirs), Some(Ratio { median: 0.25, low: 0.25, high: 0.25 }));
        assert_eq!(Ratio::of(&[], &[]), None);
    }

    #[test]
    fn the_interval_holds_the_median_and_shrinks_with_more_turns() {
        let noisy = |turns: usize| -> Vec<f64> { (0..turns).map(|turn| 1.0 + (turn % 7) as f64 / 10.0).collect() };
        let width = |turns: usize| {
            let ratio = Ratio::of(&noisy(turns), &vec![1.0; turns]).expect("there are turns");
            assert!(ratio.low <= ratio.median && ratio.median <= ratio.high, "{ratio:?}");
            ratio.high - ratio.low
        };
        assert!(width(700) < width(7));
    }
}

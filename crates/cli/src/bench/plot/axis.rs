//! From figures to places on a canvas, and the marks beside them.

/// A range of figures along a range of places.
pub struct Axis {
    figures: (f64, f64),
    places: (f64, f64),
    logarithmic: bool,
}

impl Axis {
    /// From nothing to `end`, or a little more.
    pub fn linear(end: f64, places: (f64, f64)) -> Self {
        Self { figures: (0.0, if end > 0.0 { end } else { 1.0 }), places, logarithmic: false }
    }

    /// From `begin` to `end`, each doubling as long as the next.
    pub fn logarithmic(begin: f64, end: f64, places: (f64, f64)) -> Self {
        let begin = begin.max(1e-6);
        Self { figures: (begin, end.max(begin * 1.1)), places, logarithmic: true }
    }

    /// Where a figure is; what is beyond the end is at the end.
    pub fn place(&self, figure: f64) -> f64 {
        let (begin, end) = self.figures;
        let part = if self.logarithmic {
            (figure.max(begin) / begin).ln() / (end / begin).ln()
        } else {
            (figure - begin) / (end - begin)
        };
        self.places.0 + part.clamp(0.0, 1.0) * (self.places.1 - self.places.0)
    }

    /// The end of the figures.
    pub fn end(&self) -> f64 {
        self.figures.1
    }

    /// Round figures to mark, some five to ten of them.
    pub fn ticks(&self) -> Vec<f64> {
        let (begin, end) = self.figures;
        if self.logarithmic {
            #[expect(clippy::cast_possible_truncation, reason = "round, and small")]
            let powers = begin.log10().floor() as i32..=end.log10().ceil() as i32;
            let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
            return all.filter(|tick| (begin..=end).contains(tick)).collect();
        }
        let rough = end / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|&step| step >= rough).unwrap_or(rough);
        // A step is a sixth of the whole, or more.
        (0..=6).map(|position| f64::from(position) * step).take_while(|&tick| tick <= end * 1.0001).collect()
    }
}

/// A round figure as short as it can be written.
pub fn label(tick: f64) -> String {
    let text = format!("{tick:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if tick >= 10_000.0 { format!("{} 000", (tick / 1000.0).round()) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Axis, label};

    #[test]
    fn ticks_are_round_and_in_range() {
        let labels = |axis: &Axis| axis.ticks().into_iter().map(label).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::linear(47.0, (0.0, 1.0))), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(&Axis::logarithmic(0.018, 0.3, (0.0, 1.0))), ["0.02", "0.05", "0.1", "0.2"]);
        assert_eq!(labels(&Axis::linear(100_000.0, (0.0, 1.0))).last().map(String::as_str), Some("100 000"));
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "round ones")]
    fn places_follow_figures_and_stop_at_the_end() {
        let axis = Axis::linear(10.0, (100.0, 200.0));
        assert_eq!([0.0, 5.0, 99.0].map(|figure| axis.place(figure)), [100.0, 150.0, 200.0]);
    }
}

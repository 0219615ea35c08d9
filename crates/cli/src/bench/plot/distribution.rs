//! Durations of several contenders: a violin for each, and all their cumulative distributions below, on one axis.

use super::{
    Look,
    axis::{Axis, label},
    canvas::Canvas,
};
use crate::bench::{statistics::quantile, table::milliseconds};

const WIDTH: f64 = 880.0;
const NAMES: f64 = 190.0;
const FIGURES: f64 = 90.0;
const ROW: f64 = 34.0;
const TOP: f64 = 30.0;
const CUMULATIVE: f64 = 150.0;

/// Draws milliseconds by contender. Warm latencies have tails: theirs is a logarithmic axis.
pub fn draw(title: &str, series: &[(&str, Vec<f64>)], logarithmic: bool) -> String {
    let rows = TOP + ROW * series.len() as f64;
    let (top, bottom) = (rows + 16.0, rows + 16.0 + CUMULATIVE);
    let mut canvas = Canvas::new(WIDTH, bottom + 40.0, title);
    let places = (NAMES, WIDTH - FIGURES);
    let extreme = |part: f64, pick: fn(f64, f64) -> f64, from: f64| {
        series.iter().map(|(_, figures)| quantile(figures, part)).fold(from, pick)
    };
    // A figure in a hundred may lie beyond the end: one that took ten times as long would leave no room for the others.
    let end = extreme(0.99, f64::max, 0.0) * 1.04;
    let axis = if logarithmic {
        Axis::logarithmic(extreme(0.0, f64::min, f64::MAX) * 0.95, end, places)
    } else {
        Axis::linear(end, places)
    };
    for tick in axis.ticks() {
        let x = axis.place(tick);
        canvas.line("grid", (x, TOP), (x, bottom));
        canvas.text(x, bottom + 16.0, "soft middle", &label(tick));
    }
    canvas.text(f64::midpoint(places.0, places.1), bottom + 34.0, "soft middle", "milliseconds");
    canvas.text(WIDTH, TOP - 6.0, "soft end", "median");
    for (position, (name, figures)) in series.iter().enumerate() {
        let middle = TOP + ROW * (position as f64 + 0.5);
        violin(&mut canvas, &axis, Look::of(name), figures, middle);
        canvas.text(NAMES - 10.0, middle + 4.0, "end", name);
        canvas.text(WIDTH, middle + 4.0, "end", &milliseconds(quantile(figures, 0.5)));
    }
    let share = |part: f64| bottom - part * CUMULATIVE;
    for part in [0.0, 0.5, 1.0] {
        canvas.line(if part == 0.0 { "axis" } else { "grid" }, (places.0, share(part)), (places.1, share(part)));
        canvas.text(NAMES - 10.0, share(part) + 4.0, "soft end", &format!("{:.0} %", part * 100.0));
    }
    canvas.text(0.0, top + CUMULATIVE / 2.0 - 4.0, "soft", "took at most");
    canvas.text(0.0, top + CUMULATIVE / 2.0 + 12.0, "soft", "so long");
    for (name, figures) in series {
        let look = Look::of(name);
        let dashed = if look.dashed { " dashed" } else { "" };
        canvas.path(&format!("{} curve{dashed}", look.colour), &steps(figures, &axis, &share), false);
    }
    canvas.finish()
}

/// How dense the figures lie, to both sides of a line; the median is a mark, the middle half a thick line.
fn violin(canvas: &mut Canvas, axis: &Axis, look: Look, figures: &[f64], middle: f64) {
    let dashed = if look.dashed { " dashed" } else { "" };
    let density = densities(figures, axis);
    let highest = density.iter().map(|&(_, height)| height).fold(f64::MIN_POSITIVE, f64::max);
    let half = ROW * 0.42;
    let side = |sign: f64| density.iter().map(move |&(x, height)| (x, middle + sign * half * height / highest));
    let outline: Vec<(f64, f64)> = side(-1.0).chain(side(1.0).rev()).collect();
    canvas.path(&format!("{} body{dashed}", look.colour), &outline, true);
    let place = |part: f64| axis.place(quantile(figures, part));
    canvas.line(&format!("{} axis", look.colour), (place(0.25), middle), (place(0.75), middle));
    canvas.line(&format!("{} mark", look.colour), (place(0.5), middle - half * 0.6), (place(0.5), middle + half * 0.6));
}

/// Gaussian kernels of Silverman's width over the places of the figures, so that they are as wide at both ends of an axis.
fn densities(figures: &[f64], axis: &Axis) -> Vec<(f64, f64)> {
    let quantiles = (0..200).map(|rank| axis.place(quantile(figures, f64::from(rank) / 199.0)));
    // What lies beyond the end would be a heap there.
    let last = axis.place(axis.end());
    let places: Vec<f64> = quantiles.filter(|&place| place < last).collect();
    let count = places.len().max(1) as f64;
    let mean = places.iter().sum::<f64>() / count;
    let deviation = (places.iter().map(|place| (place - mean).powi(2)).sum::<f64>() / count).sqrt();
    let middle_half = (quantile(&places, 0.75) - quantile(&places, 0.25)) / 1.34;
    let spread = if middle_half > 0.0 { middle_half.min(deviation) } else { deviation };
    let width = (0.9 * spread * (figures.len() as f64).powf(-0.2)).max(1.5);
    let (begin, end) = (quantile(&places, 0.0) - 2.5 * width, quantile(&places, 1.0) + 2.5 * width);
    (0..=120)
        .map(|position| begin + (end - begin) * f64::from(position) / 120.0)
        .map(|at| (at, places.iter().map(|place| (-0.5 * ((at - place) / width).powi(2)).exp()).sum()))
        .filter(|&(at, _)| at <= last)
        .collect()
}

/// The cumulative distribution as steps.
fn steps(figures: &[f64], axis: &Axis, share: &impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    // More steps than can be seen are not drawn.
    let every = (sorted.len() / 400).max(1);
    let drawn = sorted.iter().enumerate().filter(|(position, figure)| position % every == 0 && **figure <= axis.end());
    drawn
        .flat_map(|(position, &figure)| {
            let x = axis.place(figure);
            [(x, share(position as f64 / count)), (x, share((position + 1) as f64 / count))]
        })
        .collect()
}

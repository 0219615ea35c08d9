//! A quantity as another grows.

use super::{
    Look,
    axis::{Axis, label},
    canvas::Canvas,
};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 60.0;
const NAMES: f64 = 180.0;
const TOP: f64 = 34.0;
const HEIGHT: f64 = 220.0;

/// Draws a curve for each contender, its name at the end.
pub fn draw(title: &str, across: &str, up: &str, series: &[(&str, Vec<(f64, f64)>)]) -> String {
    let bottom = TOP + HEIGHT;
    let mut canvas = Canvas::new(WIDTH, bottom + 40.0, title);
    let largest = |part: fn(&(f64, f64)) -> f64| {
        series.iter().flat_map(|(_, points)| points.iter().map(part)).fold(0.0, f64::max)
    };
    let horizontal = Axis::linear(largest(|point| point.0), (LEFT, WIDTH - NAMES));
    let vertical = Axis::linear(largest(|point| point.1) * 1.1, (bottom, TOP));
    for tick in horizontal.ticks() {
        canvas.text(horizontal.place(tick), bottom + 16.0, "soft middle", &label(tick));
    }
    for tick in vertical.ticks() {
        let y = vertical.place(tick);
        canvas.line(if tick == 0.0 { "axis" } else { "grid" }, (LEFT, y), (WIDTH - NAMES, y));
        canvas.text(LEFT - 8.0, y + 4.0, "soft end", &label(tick));
    }
    canvas.text((LEFT + WIDTH - NAMES) / 2.0, bottom + 34.0, "soft middle", across);
    canvas.text(0.0, TOP - 4.0, "soft", up);
    let mut named: Vec<f64> = Vec::new();
    for (name, points) in series {
        let look = Look::of(name);
        let dashed = if look.dashed { " dashed" } else { "" };
        let placed: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (horizontal.place(x), vertical.place(y))).collect();
        canvas.path(&format!("{} curve{dashed}", look.colour), &placed, false);
        if let Some(&(x, y)) = placed.last() {
            // Two that end at the same height have their names one above the other.
            let free = named.iter().fold(y, |y, taken| if (y - taken).abs() < 14.0 { taken - 14.0 } else { y });
            named.push(free);
            canvas.text(x + 8.0, free + 4.0, "", name);
        }
    }
    canvas.finish()
}

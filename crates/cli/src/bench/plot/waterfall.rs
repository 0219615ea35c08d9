//! Where starts spend their time: each phase begins where the one before it ended.

use super::{
    Look,
    axis::{Axis, label},
    canvas::Canvas,
};
use crate::bench::{results::Phases, table::milliseconds};

const WIDTH: f64 = 880.0;
const NAMES: f64 = 190.0;
const FIGURES: f64 = 200.0;
const ROW: f64 = 19.0;
const TOP: f64 = 30.0;
/// Room for a contender's name above its phases.
const HEAD: f64 = 24.0;

/// Draws the phases of every contender on one axis, and under each the modules that took longest.
pub fn draw(title: &str, starts: &[&Phases]) -> String {
    const IMPORTS: usize = 6;
    let rows = |start: &Phases| start.phases.len() + start.imports.len().min(IMPORTS);
    let bottom = TOP + starts.iter().map(|start| HEAD + ROW * rows(start) as f64 + 6.0).sum::<f64>();
    let mut canvas = Canvas::new(WIDTH, bottom + 36.0, title);
    let places = (NAMES, WIDTH - FIGURES);
    let whole = |start: &Phases| start.phases.iter().map(|(_, us)| us / 1000.0).sum::<f64>();
    let axis = Axis::linear(starts.iter().map(|start| whole(start)).fold(0.0, f64::max), places);
    for tick in axis.ticks() {
        let x = axis.place(tick);
        canvas.line("grid", (x, TOP), (x, bottom));
        canvas.text(x, bottom + 14.0, "soft middle", &label(tick));
    }
    canvas.text(
        f64::midpoint(places.0, places.1),
        bottom + 31.0,
        "soft middle",
        "milliseconds since the process was spawned",
    );
    let mut y = TOP;
    for start in starts {
        let look = Look::of(&start.contender);
        canvas.text(0.0, y + 16.0, "title", &start.contender);
        let told = format!("{} in all, {} modules imported", milliseconds(whole(start)), start.modules);
        canvas.text(NAMES, y + 16.0, "soft", &told);
        y += HEAD;
        let mut begin = 0.0;
        for (name, us) in &start.phases {
            let ms = us / 1000.0;
            canvas.text(NAMES - 10.0, y + 13.0, "end", name);
            canvas.bar(look.colour, axis.place(begin), y + 2.0, axis.place(begin + ms) - axis.place(begin), ROW - 5.0);
            canvas.text(axis.place(begin + ms) + 6.0, y + 13.0, "", &milliseconds(ms));
            begin += ms;
            y += ROW;
        }
        for (module, us) in start.imports.iter().take(IMPORTS) {
            let ms = us / 1000.0;
            canvas.text(NAMES - 10.0, y + 13.0, "soft end", &format!("import {}", shortened(module)));
            canvas.line(
                &format!("{} mark", look.colour),
                (axis.place(0.0), y + 9.0),
                (axis.place(ms).max(NAMES + 1.0), y + 9.0),
            );
            canvas.text(axis.place(ms) + 6.0, y + 13.0, "soft", &milliseconds(ms));
            y += ROW;
        }
        y += 6.0;
    }
    canvas.finish()
}

fn shortened(module: &str) -> String {
    let letters: Vec<char> = module.chars().collect();
    match letters.len().checked_sub(20) {
        Some(surplus) if surplus > 0 => format!("..{}", letters[surplus + 2..].iter().collect::<String>()),
        _ => module.to_owned(),
    }
}

//! Figures as SVG, written by hand: they carry their colours for light and for dark pages, and need no script.

mod axis;
mod canvas;
mod curve;
mod distribution;
mod waterfall;

pub use canvas::STYLE;

use super::{
    contender::{AGAIN, INIT, MANAGED, MANAGED_BARE, PYTHON, RUST, SOCKET},
    results::{Measure, Results},
};

/// A figure and the name of its file.
pub struct Figure {
    pub name: String,
    pub svg: String,
}

/// How a contender is drawn.
#[derive(Clone, Copy)]
struct Look {
    /// The class of its colour.
    colour: &'static str,
    dashed: bool,
}

impl Look {
    fn of(contender: &str) -> Self {
        let (colour, dashed) = match contender {
            MANAGED => ("managed", false),
            MANAGED_BARE => ("managed", true),
            PYTHON | RUST | SOCKET => ("floor", contender != PYTHON),
            AGAIN => ("ours", true),
            INIT => ("other", true),
            name if name.ends_with("packed") => ("packed", false),
            name if name.ends_with("no .pyc") => ("ours", true),
            name if name.contains(',') => ("other", false),
            _ => ("ours", false),
        };
        Self { colour, dashed }
    }
}

/// All figures, in the order of the report.
pub fn all(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (measure, name, what) in [
        (Measure::ColdStart, "start", "cold start"),
        (Measure::ColdDisk, "cold-disk", "cold start, page cache dropped"),
        (Measure::Warm, "warm", "warm invocation"),
    ] {
        for case in results.cases(measure) {
            let series: Vec<(&str, Vec<f64>)> =
                results.of(measure, case).map(|series| (series.contender.as_str(), series.milliseconds())).collect();
            let title = format!("{what}: {}", results.title(case));
            let svg = distribution::draw(&title, &series, measure == Measure::Warm);
            figures.push(Figure { name: file_name(name, case), svg });
        }
    }
    for case in results.cases(Measure::ColdStart) {
        let phases: Vec<_> = results.phases.iter().filter(|phases| phases.case == case).collect();
        if !phases.is_empty() {
            let svg = waterfall::draw(&format!("phases of a start: {}", results.title(case)), &phases);
            figures.push(Figure { name: file_name("phases", case), svg });
        }
    }
    let soaked: Vec<(&str, Vec<(f64, f64)>)> = results
        .memory
        .iter()
        .filter(|memory| memory.case == "empty")
        .map(|memory| {
            let points = memory.pss_kb.iter().map(|&(served, kb)| (served as f64, kb as f64 / 1024.0)).collect();
            (memory.contender.as_str(), points)
        })
        .collect();
    if !soaked.is_empty() {
        let svg = curve::draw("memory of one process as it serves", "invocations", "MB (Pss)", &soaked);
        figures.push(Figure { name: "memory".to_owned(), svg });
    }
    figures
}

fn file_name(kind: &str, case: &str) -> String {
    let words: Vec<&str> =
        case.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!("{kind}-{}", words.join("-").to_lowercase())
}

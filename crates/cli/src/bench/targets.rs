//! What whipsnake aims at, each with the measurement that shows it.

mod checkpoint;

use serde::Serialize;

use super::{
    contender::{MANAGED, MANAGED_BARE, PACKED, PYTHON, WHIPSNAKE},
    results::{Measure, Results},
    statistics::{Ratio, quantile},
};

/// A target and what was measured.
#[derive(Serialize)]
pub struct Target {
    pub what: String,
    /// At most this much of the other's.
    pub bound: f64,
    /// None where it was not measured.
    pub measured: Option<Ratio>,
}

impl Target {
    /// Whether it is reached; the median decides.
    pub fn is_reached(&self) -> Option<bool> {
        Some(self.measured?.median <= self.bound)
    }
}

/// All of them.
pub fn of(results: &Results) -> Vec<Target> {
    let start = |what: &str, case: &str, ours: &str, theirs: &str, bound| Target {
        what: what.to_owned(),
        bound,
        measured: results.ratio(Measure::ColdStart, case, ours, theirs),
    };
    // A function that was not packed is measured as it is.
    let packed = match results.series(Measure::ColdStart, "boto3", PACKED) {
        Some(_) => PACKED,
        None => WHIPSNAKE,
    };
    let mut targets = vec![
        start("cold start of an empty handler, to awslambdaric's", "empty", WHIPSNAKE, MANAGED, 0.17),
        Target {
            what: "instructions of that start, to those of `python -I -S -c pass`".to_owned(),
            bound: 0.70,
            measured: instructions(results),
        },
        start("cold start with json, logging and os imported", "imports", WHIPSNAKE, MANAGED, 0.50),
        start(
            "cold start with a boto3 s3 client, packed, to awslambdaric's with .pyc files",
            "boto3",
            packed,
            MANAGED,
            0.72,
        ),
        start(
            "the same, to awslambdaric's as people deploy it, without .pyc files",
            "boto3",
            packed,
            MANAGED_BARE,
            0.35,
        ),
    ];
    for (event, bound) in [("100 B", 0.12), ("2 kB, API Gateway", 0.12), ("1 MB", 0.25), ("5.9 MB", 0.30)] {
        targets.push(Target {
            what: format!("warm invocation of an echo, {event}"),
            bound,
            measured: results.ratio(Measure::Warm, event, WHIPSNAKE, MANAGED),
        });
    }
    targets.push(Target {
        what: "time per byte of an event of 5.9 MB, to that of 1 MB".to_owned(),
        bound: 1.3,
        measured: growth(results),
    });
    targets.push(marshalling(results, "reading the event set, to simplejson's time", "simplejson", true, 1.0 / 3.0));
    targets.push(marshalling(results, "writing it, to simplejson's time", "simplejson", false, 1.0 / 8.0));
    targets.push(marshalling(results, "reading the event set, to orjson's time", "orjson", true, 1.3));
    targets.push(marshalling(results, "writing it, to orjson's time", "orjson", false, 1.3));
    targets.push(Target {
        what: "resident memory (Pss) with an empty handler".to_owned(),
        bound: 0.50,
        measured: memory(results),
    });
    targets.push(Target {
        what: format!("memory after {} invocations, to that after a tenth of them", soaked(results)),
        bound: 1.02,
        measured: flatness(results, WHIPSNAKE),
    });
    targets.extend(checkpoint::of(results));
    targets
}

fn exactly(figure: f64) -> Ratio {
    Ratio { median: figure, low: figure, high: figure }
}

fn instructions(results: &Results) -> Option<Ratio> {
    let of = |name: &str| results.counts.iter().find(|counts| counts.contender == name)?.instructions;
    Some(exactly(of(WHIPSNAKE)? as f64 / of(PYTHON)? as f64))
}

/// How much longer a byte of the largest event takes than one of the second largest: 1 where time grows as the event does.
fn growth(results: &Results) -> Option<Ratio> {
    let ratio = results.series(Measure::Warm, "5.9 MB", WHIPSNAKE)?.ratio(results.series(
        Measure::Warm,
        "1 MB",
        WHIPSNAKE,
    )?)?;
    let per_byte = |ratio: f64| ratio / 5.9;
    Some(Ratio { median: per_byte(ratio.median), low: per_byte(ratio.low), high: per_byte(ratio.high) })
}

fn memory(results: &Results) -> Option<Ratio> {
    let of = |name: &str| {
        let found = results.memory.iter().find(|memory| memory.case == "empty" && memory.contender == name)?;
        found.pss_kb.get(1).map(|&(_, kb)| kb as f64)
    };
    Some(exactly(of(WHIPSNAKE)? / of(MANAGED)?))
}

fn soaked(results: &Results) -> usize {
    results.memory.iter().filter_map(|memory| Some(memory.pss_kb.last()?.0)).max().unwrap_or(0)
}

fn flatness(results: &Results, contender: &str) -> Option<Ratio> {
    let ours = results.memory.iter().find(|memory| memory.case == "empty" && memory.contender == contender)?;
    Some(exactly(ours.pss_kb.last()?.1 as f64 / ours.pss_kb.get(1)?.1 as f64))
}

/// The median of the events' ratios, and the smallest and the largest of them.
fn marshalling(results: &Results, what: &str, other: &str, reading: bool, bound: f64) -> Target {
    let ratios: Vec<f64> = results
        .marshalling
        .iter()
        .filter_map(|event| {
            let figures = if reading { &event.decode_ns } else { &event.encode_ns };
            Some(figures.get(WHIPSNAKE)? / figures.get(other)?)
        })
        .collect();
    let measured = (!ratios.is_empty()).then(|| Ratio {
        median: quantile(&ratios, 0.5),
        low: quantile(&ratios, 0.0),
        high: quantile(&ratios, 1.0),
    });
    Target { what: what.to_owned(), bound, measured }
}

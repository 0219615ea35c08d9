//! Everything that was measured, as it is written to the raw data.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;
use serde_json::Value;

use super::{machine::Machine, statistics::Ratio, statistics::median};

/// What a series of durations is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// From before the process is spawned to its first request for an event; of what serves nobody, to its end.
    ColdStart,
    /// The same with the page cache dropped before.
    ColdDisk,
    /// From the first event to its response.
    FirstInvocation,
    /// The same of the events after it, in the same process.
    LaterInvocation,
    /// From before the process is spawned to the response to its first event.
    FirstResponse,
    /// From an event to its response, in a process that has served some.
    Warm,
}

/// How the measuring was done.
#[derive(Serialize)]
pub struct Method {
    pub starts: usize,
    pub invocations: usize,
    pub processes_a_warm_event: usize,
    /// The processor everything ran on.
    pub processor: usize,
}

/// One contender's figures of one measure of one case: microseconds, turn by turn. A turn of warm invocations is a process.
#[derive(Serialize)]
pub struct Series {
    pub measure: Measure,
    /// Of a warm measure the event.
    pub case: String,
    pub contender: String,
    pub turns: Vec<Vec<f64>>,
}

impl Series {
    /// All figures, in milliseconds.
    pub fn milliseconds(&self) -> Vec<f64> {
        self.turns.iter().flatten().map(|us| us / 1000.0).collect()
    }

    fn medians(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| median(turn)).collect()
    }

    /// This one's time in relation to the other's.
    pub fn ratio(&self, other: &Series) -> Option<Ratio> {
        Ratio::of(&self.medians(), &other.medians())
    }
}

/// What a start costs that can be counted.
#[derive(Serialize)]
pub struct Counts {
    pub case: String,
    pub contender: String,
    /// By callgrind, to the first request for an event.
    pub instructions: Option<u64>,
    pub system_calls: Option<u64>,
    pub opened_files: Option<u64>,
    pub executable_bytes: Option<u64>,
}

/// Where a start's time went, in microseconds.
#[derive(Serialize)]
pub struct Phases {
    pub case: String,
    pub contender: String,
    pub phases: Vec<(&'static str, f64)>,
    /// The modules that took longest themselves, all imports of the process together.
    pub imports: Vec<(String, f64)>,
    pub modules: usize,
}

/// Proportional set size in kilobytes, by how many invocations the process had served.
#[derive(Serialize)]
pub struct Memory {
    pub case: String,
    pub contender: String,
    pub pss_kb: Vec<(usize, u64)>,
}

/// What a checkpoint adds to a function's package.
#[derive(Serialize)]
pub struct Size {
    pub case: String,
    /// Who starts from it.
    pub contender: &'static str,
    pub bytes: u64,
    /// In the zip.
    pub zipped: u64,
}

/// Nanoseconds to read and to write one event, by who does it.
#[derive(Serialize)]
pub struct Marshalling {
    pub event: String,
    pub bytes: usize,
    pub decode_ns: BTreeMap<String, f64>,
    pub encode_ns: BTreeMap<String, f64>,
}

/// All of it.
#[derive(Serialize)]
pub struct Results {
    pub machine: Machine,
    pub method: Method,
    /// The functions, and what each is.
    pub functions: Vec<(String, String)>,
    pub series: Vec<Series>,
    pub counts: Vec<Counts>,
    pub phases: Vec<Phases>,
    pub memory: Vec<Memory>,
    pub sizes: Vec<Size>,
    pub marshalling: Vec<Marshalling>,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
}

impl Results {
    /// The figures of one contender.
    pub fn series(&self, measure: Measure, case: &str, contender: &str) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.measure == measure && series.case == case && series.contender == contender)
    }

    /// Everybody's figures.
    pub fn of<'a>(&'a self, measure: Measure, case: &'a str) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| series.measure == measure && series.case == case)
    }

    /// The cases of a measure, in the order they were measured in.
    pub fn cases(&self, measure: Measure) -> Vec<&str> {
        let mut cases: Vec<&str> = Vec::new();
        for series in self.series.iter().filter(|series| series.measure == measure) {
            if !cases.contains(&series.case.as_str()) {
                cases.push(&series.case);
            }
        }
        cases
    }

    /// A function's name with what it is; anything else as it is.
    pub fn title(&self, case: &str) -> String {
        let about = self.functions.iter().find(|(name, _)| name == case);
        about.map_or(case.to_owned(), |(name, about)| format!("{name}, {about}"))
    }

    /// How `ours` compares with `theirs`.
    pub fn ratio(&self, measure: Measure, case: &str, ours: &str, theirs: &str) -> Option<Ratio> {
        self.series(measure, case, ours)?.ratio(self.series(measure, case, theirs)?)
    }

    /// The raw data: an object with a line for each series, so that two files can be compared by people.
    pub fn json(&self) -> String {
        let mut text = String::from("{\n");
        let whole = serde_json::to_value(self).unwrap_or_default();
        let fields: Vec<String> =
            whole.as_object().into_iter().flatten().map(|(name, value)| field(name, value)).collect();
        let _ = write!(text, "{}\n}}\n", fields.join(",\n"));
        text
    }
}

fn field(name: &str, value: &Value) -> String {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let items: Vec<String> = items.iter().map(|item| format!("    {item}")).collect();
            format!("  \"{name}\": [\n{}\n  ]", items.join(",\n"))
        }
        value => format!("  \"{name}\": {value}"),
    }
}

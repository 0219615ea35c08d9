//! The results in the shape of lambda-perf (github.com/maxday/lambda-perf), so that its page can show them.

use serde_json::{Value, json};

use super::results::{Measure, Results};

/// Of lambda-perf's memory sizes the one that is nearest to a whole processor, which is what was measured on.
const MEMORY_SIZE: u32 = 1024;

/// A record for each function and contender: `i` are init durations, `mu` used memory in megabytes, `ad` and `acd` the average
/// duration of a first invocation and of a cold start, in milliseconds.
pub fn of(results: &Results) -> String {
    let architecture = if results.machine.architecture == "aarch64" { "arm64" } else { results.machine.architecture };
    let mut records = Vec::new();
    for case in results.cases(Measure::ColdStart) {
        for series in results.of(Measure::ColdStart, case) {
            let starts = series.milliseconds();
            let invocations = results.series(Measure::FirstInvocation, case, &series.contender);
            let used = results.memory.iter().find(|memory| memory.case == case && memory.contender == series.contender);
            let used = used.and_then(|memory| memory.pss_kb.get(1)).map_or(0.0, |&(_, kb)| kb as f64 / 1024.0);
            let name: Vec<&str> = series
                .contender
                .split(|letter: char| !letter.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            records.push(json!({
                "r": format!("lambda-perf-{}_{case}-zip-{MEMORY_SIZE}-{architecture}", name.join("_")),
                "p": "zip",
                "d": format!("{}: {case}", series.contender),
                "i": starts.iter().map(|&ms| rounded(ms)).collect::<Vec<_>>(),
                "m": MEMORY_SIZE,
                "a": architecture,
                "mu": rounded(used),
                "ad": rounded(invocations.map_or(0.0, |series| mean(&series.milliseconds()))),
                "acd": rounded(mean(&starts)),
            }));
        }
    }
    format!("{}\n", json!({"metadata": {"generatedAt": results.machine.time()}, "runtimeData": records}))
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}

/// lambda-perf has three decimals.
fn rounded(figure: f64) -> Value {
    json!((figure * 1000.0).round() / 1000.0)
}

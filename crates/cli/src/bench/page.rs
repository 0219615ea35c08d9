//! The part of docs/benchmarks.md that is figures.

use std::fmt::Write;

use super::{
    contender::{AGAIN, MANAGED, WHIPSNAKE},
    results::{Measure, Results},
    statistics::quantile,
    table::milliseconds,
    targets,
};

const BEGIN: &str = "<!-- written by `make bench-report` -->";
const END: &str = "<!-- until here -->";

/// `page` with its figures replaced; None where it has no place for them.
pub fn of(page: &str, results: &Results) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n{END}{after}", figures(results)))
}

fn figures(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Measured on {}: {}, {} ({}), {} processors, {} GB, Linux {}.\n",
        machine.day(),
        machine.python.as_deref().unwrap_or("no reference"),
        machine.processor,
        machine.architecture,
        machine.processors,
        machine.memory_mb.div_ceil(1024),
        machine.kernel,
    );
    text.push_str("| aimed at, as a ratio | at most | measured | between | |\n|---|---|---|---|---|\n");
    for target in targets::of(results) {
        let told = target.measured.map_or("not measured | | ".to_owned(), |ratio| {
            let mark = if target.is_reached() == Some(true) { "reached" } else { "**not reached**" };
            format!("{:.3} | {:.3} to {:.3} | {mark}", ratio.median, ratio.low, ratio.high)
        });
        let _ = writeln!(text, "| {} | {:.3} | {told} |", target.what, target.bound);
    }
    for (measure, title) in [
        (Measure::ColdStart, "Cold start"),
        (Measure::ColdDisk, "Cold start, page cache dropped"),
        (Measure::Warm, "Warm invocation"),
    ] {
        durations(&mut text, results, measure, title);
    }
    counts(&mut text, results);
    noise(&mut text, results);
    text
}

fn durations(text: &mut String, results: &Results, measure: Measure, title: &str) {
    let cases = results.cases(measure);
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n| {title} | median | ratio to {MANAGED} | between |\n|---|---|---|---|");
    for case in cases {
        let _ = writeln!(text, "| **{}** | | | |", results.title(case));
        for series in results.of(measure, case).filter(|series| series.contender != AGAIN) {
            let median = milliseconds(quantile(&series.milliseconds(), 0.5));
            let ratio = results.ratio(measure, case, &series.contender, MANAGED);
            let told = ratio.filter(|_| series.contender != MANAGED).map_or(" | ".to_owned(), |ratio| {
                format!("{:.3} | {:.3} to {:.3}", ratio.median, ratio.low, ratio.high)
            });
            let _ = writeln!(text, "| {} | {median} | {told} |", series.contender);
        }
    }
}

fn counts(text: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    text.push_str(
        "\n| An empty handler's start, counted | instructions | system calls | opened files |\n|---|---|---|---|\n",
    );
    let number = |figure: Option<u64>| figure.map_or(String::new(), |figure| figure.to_string());
    for counts in &results.counts {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            counts.contender,
            number(counts.instructions),
            number(counts.system_calls),
            number(counts.opened_files)
        );
    }
}

fn noise(text: &mut String, results: &Results) {
    let mut spread: Vec<f64> = Vec::new();
    for measure in [Measure::ColdStart, Measure::Warm] {
        for case in results.cases(measure) {
            spread
                .extend(results.ratio(measure, case, AGAIN, WHIPSNAKE).map(|ratio| (ratio.median - 1.0).abs() * 100.0));
        }
    }
    if spread.is_empty() {
        return;
    }
    let others = results.machine.others.map_or(String::new(), |others| {
        format!(" While this was measured, {:.1} % of the processor's time went to others.", others * 100.0)
    });
    let _ = writeln!(
        text,
        "\nWhipsnake beside itself, measured as if it were another runtime, differs by {:.1} % in the median of {} comparisons, at most by \
         {:.1} %: smaller differences than that mean nothing.{others}",
        quantile(&spread, 0.5),
        spread.len(),
        quantile(&spread, 1.0),
    );
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END};

    #[test]
    fn the_page_has_a_place_for_its_figures() {
        let page = include_str!("../../../../docs/benchmarks.md");
        let (_, rest) = page.split_once(BEGIN).expect("a beginning");
        assert!(rest.contains(END));
    }
}

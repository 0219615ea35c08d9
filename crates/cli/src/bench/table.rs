//! The results on a terminal.

use std::fmt::Write;

use super::{
    contender::{AGAIN, MANAGED, WHIPSNAKE},
    results::{Measure, Results, Series},
    statistics::{Ratio, quantile},
    targets,
};

/// All of it, as lines of at most 120 characters.
pub fn of(results: &Results) -> String {
    let mut text = String::new();
    if let Some(python) = &results.machine.python {
        let _ = writeln!(text, "{python}");
    }
    let measures = [
        (Measure::ColdStart, "cold start: spawn to the first request for an event"),
        (Measure::ColdDisk, "cold start, nothing of any file in memory"),
        (Measure::FirstInvocation, "first invocation: event to response"),
        (Measure::LaterInvocation, "the invocations after it: event to response"),
        (Measure::FirstResponse, "cold start and first invocation: spawn to response"),
        (Measure::Warm, "warm invocation: event to response"),
    ];
    for (measure, title) in measures {
        durations(&mut text, results, measure, title);
    }
    phases(&mut text, results);
    memory(&mut text, results);
    sizes(&mut text, results);
    counts(&mut text, results);
    marshalling(&mut text, results);
    aims(&mut text, results);
    noise(&mut text, results);
    for skipped in &results.skipped {
        let _ = writeln!(text, "not measured: {skipped}");
    }
    text
}

fn durations(text: &mut String, results: &Results, measure: Measure, title: &str) {
    let cases = results.cases(measure);
    if cases.is_empty() {
        return;
    }
    let tail = if measure == Measure::Warm { "99 %" } else { "90 %" };
    let _ = writeln!(text, "\n{title:<52} {:>10} {tail:>10}   {:<7} {:<16}", "median", "ratio to awslambdaric", "");
    for case in cases {
        let _ = writeln!(text, "  {}", results.title(case));
        let theirs = results.series(measure, case, MANAGED);
        for series in results.of(measure, case) {
            let figures = series.milliseconds();
            let ratio = theirs.filter(|theirs| theirs.contender != series.contender);
            let _ = writeln!(
                text,
                "    {:<48} {:>10} {:>10}   {}",
                series.contender,
                milliseconds(quantile(&figures, 0.5)),
                tail_of(series, &figures),
                ratio.and_then(|theirs| series.ratio(theirs)).map(told).unwrap_or_default(),
            );
        }
    }
}

/// A tail needs figures beyond it.
fn tail_of(series: &Series, figures: &[f64]) -> String {
    let (part, enough) = if series.measure == Measure::Warm { (0.99, 100) } else { (0.9, 10) };
    if figures.len() < enough { "-".to_owned() } else { milliseconds(quantile(figures, part)) }
}

/// A ratio with its interval, as in `0.163  0.160 to 0.167`.
pub fn told(ratio: Ratio) -> String {
    format!("{:.3}   {:.3} to {:.3}", ratio.median, ratio.low, ratio.high)
}

/// With three digits that count.
pub fn milliseconds(ms: f64) -> String {
    let decimals = if ms >= 100.0 {
        0
    } else if ms >= 10.0 {
        1
    } else if ms >= 1.0 {
        2
    } else {
        3
    };
    format!("{ms:.decimals$} ms")
}

fn phases(text: &mut String, results: &Results) {
    if results.phases.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nphases of a start, in milliseconds");
    for phases in &results.phases {
        let told: Vec<String> = phases.phases.iter().map(|(name, us)| format!("{name} {:.1}", us / 1000.0)).collect();
        let _ = writeln!(text, "  {:<10} {:<24} {}", phases.case, phases.contender, told.join(", "));
    }
}

fn memory(text: &mut String, results: &Results) {
    if results.memory.is_empty() {
        return;
    }
    let _ =
        writeln!(text, "\nresident memory (Pss) in megabytes, before the first invocation, then after more of them");
    for memory in &results.memory {
        let told: Vec<String> = memory.pss_kb.iter().map(|(_, kb)| format!("{:.1}", *kb as f64 / 1024.0)).collect();
        let last = memory.pss_kb.last().map_or(0, |&(served, _)| served);
        let _ = writeln!(text, "  {:<14} {:<36} {} (after {last})", memory.case, memory.contender, told.join(" "));
    }
}

fn sizes(text: &mut String, results: &Results) {
    if results.sizes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nwhat a checkpoint adds to the zip, and to the unpacked function");
    for size in &results.sizes {
        let megabytes = |bytes| format!("{:.1} MB", bytes as f64 / 1e6);
        let (zipped, unpacked) = (megabytes(size.zipped), megabytes(size.bytes));
        let _ = writeln!(text, "  {:<14} {:<36} {zipped:>9} {unpacked:>9}", size.case, size.contender);
    }
}

fn counts(text: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<52} {:>14} {:>13} {:>13} {:>11}",
        "an empty handler's start, counted", "instructions", "system calls", "opened files", "executable"
    );
    for counts in &results.counts {
        let number = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
        let megabytes = counts.executable_bytes.map_or("-".to_owned(), |bytes| format!("{:.2} MB", bytes as f64 / 1e6));
        let _ = writeln!(
            text,
            "    {:<48} {:>14} {:>13} {:>13} {megabytes:>11}",
            counts.contender,
            number(counts.instructions),
            number(counts.system_calls),
            number(counts.opened_files),
        );
    }
}

fn marshalling(text: &mut String, results: &Results) {
    for (title, reading) in [("reading JSON", true), ("writing JSON", false)] {
        let figures = |event: &super::results::Marshalling| {
            if reading { event.decode_ns.clone() } else { event.encode_ns.clone() }
        };
        let Some(first) = results.marshalling.first().map(figures) else { return };
        let names: Vec<&String> = first.keys().collect();
        let _ = writeln!(
            text,
            "\n{:<36}{}",
            format!("{title}, in microseconds"),
            columns(names.iter().map(|name| (*name).clone()))
        );
        for event in &results.marshalling {
            let figures = figures(event);
            let of = |name: &&String| figures.get(*name).map_or("-".to_owned(), |ns| format!("{:.2}", ns / 1000.0));
            let _ = writeln!(text, "  {:<34}{}", event.event, columns(names.iter().map(of)));
        }
    }
}

fn columns(cells: impl Iterator<Item = String>) -> String {
    cells.map(|cell| format!("{cell:>15}")).collect()
}

fn aims(text: &mut String, results: &Results) {
    let targets: Vec<_> = targets::of(results).into_iter().filter(|target| target.measured.is_some()).collect();
    if targets.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:<82} {:>6}   measured", "what is aimed at", "at most");
    for target in targets {
        let mark = if target.is_reached() == Some(true) { "reached" } else { "NOT REACHED" };
        let measured = target.measured.map(told).unwrap_or_default();
        let _ = writeln!(text, "  {:<80} {:>6.3}   {measured}   {mark}", target.what, target.bound);
    }
}

/// How sure all this is: what differs between a runtime and itself, and who else used the machine.
fn noise(text: &mut String, results: &Results) {
    let _ = writeln!(text, "\nnoise");
    for measure in [Measure::ColdStart, Measure::Warm] {
        for case in results.cases(measure) {
            if let Some(ratio) = results.ratio(measure, case, AGAIN, WHIPSNAKE) {
                let name = if measure == Measure::Warm { "warm" } else { "cold start" };
                let _ = writeln!(text, "  whipsnake beside itself, {:<36} {}", format!("{name}, {case}"), told(ratio));
            }
        }
    }
    let machine = &results.machine;
    let others = machine.others.map_or(String::new(), |others| {
        format!("; others had {:.1} % of processor {}", others * 100.0, results.method.processor)
    });
    let _ = writeln!(
        text,
        "  {} processors, {}; load {:.1} before, {:.1} after{others}",
        machine.processors, machine.processor, machine.load[0], machine.load[1]
    );
    if machine.others.is_some_and(|others| others > 0.03) {
        let _ = writeln!(text, "  The machine was not quiet: do not publish these figures.");
    }
}

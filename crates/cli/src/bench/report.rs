//! The results as one page that needs nothing else.

use std::fmt::Write;

use super::{
    contender::{AGAIN, MANAGED, WHIPSNAKE},
    plot::{self, Figure},
    results::{Measure, Results, Series},
    statistics::quantile,
    table::{milliseconds, told},
    targets,
};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d8dee4;--page:#fff;--good:#1a7f37;--bad:#b3261e}\
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--page:#0d1117;--good:#3fb950;--bad:#ff7b72}}\
body{margin:2rem auto;padding:0 1rem;max-width:60rem;font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;\
color:var(--ink);background:var(--page)}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}\
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}th,td{padding:.25rem .5rem;text-align:right;\
border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}\
p.soft,li{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}\
svg{max-width:100%;height:auto;display:block;margin:1.2rem 0}";

/// The page.
pub fn of(results: &Results, figures: &[Figure]) -> String {
    let mut page = String::new();
    let machine = &results.machine;
    let python = machine.python.as_deref().unwrap_or("no reference");
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>whipsnake bench</title><style>{STYLE}{}</style></head><body>\
         <h1>whipsnake beside awslambdaric</h1><p class=\"soft\">{}, {python}, {} ({}), {} processors, {} GB, Linux {}. Fresh \
         processes in turn on one processor; a ratio is the median of the turns' ratios, with the interval in which it would lie \
         in 95 of 100 repetitions.</p>",
        plot::STYLE,
        machine.day(),
        machine.processor,
        machine.architecture,
        machine.processors,
        machine.memory_mb.div_ceil(1024),
        machine.kernel,
    );
    aims(&mut page, results);
    let sections = [
        (
            Measure::ColdStart,
            "start-",
            "Cold start",
            "From before the process is spawned to its first request for an event.",
        ),
        (
            Measure::ColdDisk,
            "cold-disk-",
            "Cold start, nothing in memory",
            "The page cache was dropped before each start.",
        ),
        (
            Measure::Warm,
            "warm-",
            "Warm invocation",
            "From an event to its response, in a process that has served some.",
        ),
    ];
    for (measure, prefix, title, about) in sections {
        if results.cases(measure).is_empty() {
            continue;
        }
        let _ = write!(page, "<h2>{title}</h2><p>{about}</p>");
        durations(&mut page, results, measure);
        drawn(&mut page, figures, prefix);
    }
    if !results.phases.is_empty() {
        page.push_str(
            "<h2>Where a start's time goes</h2><p>Medians of starts that were looked into, which takes a little time itself. \
             Below each the modules that took longest themselves, by CPython's own account.</p>",
        );
        drawn(&mut page, figures, "phases-");
    }
    if !results.memory.is_empty() {
        page.push_str("<h2>Memory</h2>");
        memory(&mut page, results);
        drawn(&mut page, figures, "memory");
    }
    counts(&mut page, results);
    marshalling(&mut page, results);
    noise(&mut page, results);
    page.push_str("</body></html>\n");
    page
}

fn drawn(page: &mut String, figures: &[Figure], prefix: &str) {
    for figure in figures.iter().filter(|figure| figure.name.starts_with(prefix)) {
        page.push_str(&figure.svg);
    }
}

/// A table; the first row is its head.
fn table(page: &mut String, rows: impl IntoIterator<Item = Vec<String>>) {
    page.push_str("<table>");
    for (position, row) in rows.into_iter().enumerate() {
        let tag = if position == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|cell| format!("<{tag}>{cell}</{tag}>")).collect();
        let _ = write!(page, "<tr>{cells}</tr>");
    }
    page.push_str("</table>");
}

fn row<const CELLS: usize>(cells: [&str; CELLS]) -> Vec<String> {
    cells.map(|cell| cell.replace('&', "&amp;").replace('<', "&lt;")).to_vec()
}

fn aims(page: &mut String, results: &Results) {
    let mut rows = vec![row(["aimed at", "at most", "measured", "between", ""])];
    for target in targets::of(results) {
        let Some(measured) = target.measured else { continue };
        let (class, mark) =
            if target.is_reached() == Some(true) { ("good", "reached") } else { ("bad", "not reached") };
        let mut cells = row([
            target.what.trim(),
            &format!("{:.3}", target.bound),
            &format!("{:.3}", measured.median),
            &format!("{:.3} to {:.3}", measured.low, measured.high),
        ]);
        cells.push(format!("<span class=\"{class}\">{mark}</span>"));
        rows.push(cells);
    }
    if rows.len() > 1 {
        table(page, rows);
    }
}

fn durations(page: &mut String, results: &Results, measure: Measure) {
    let (tail, part) = if measure == Measure::Warm { ("99 %", 0.99) } else { ("90 %", 0.9) };
    let mut rows = vec![row(["", "median", tail, "to awslambdaric", "between"])];
    for case in results.cases(measure) {
        rows.push(vec![format!("<b>{}</b>", row([&results.title(case)])[0])]);
        let theirs = results.series(measure, case, MANAGED);
        rows.extend(results.of(measure, case).map(|series| duration(series, theirs, part)));
    }
    table(page, rows);
}

fn duration(series: &Series, theirs: Option<&Series>, part: f64) -> Vec<String> {
    let figures = series.milliseconds();
    let ratio = theirs.filter(|theirs| theirs.contender != series.contender).and_then(|theirs| series.ratio(theirs));
    row([
        &series.contender,
        &milliseconds(quantile(&figures, 0.5)),
        &milliseconds(quantile(&figures, part)),
        &ratio.map_or(String::new(), |ratio| format!("{:.3}", ratio.median)),
        &ratio.map_or(String::new(), |ratio| format!("{:.3} to {:.3}", ratio.low, ratio.high)),
    ])
}

fn memory(page: &mut String, results: &Results) {
    let mut rows = vec![row(["resident memory (Pss)", "function", "before any", "after so many", "it is"])];
    rows.extend(results.memory.iter().filter_map(|memory| {
        let (first, last) = (memory.pss_kb.first()?, memory.pss_kb.last()?);
        let megabytes = |kb: u64| format!("{:.1} MB", kb as f64 / 1024.0);
        Some(row([&memory.contender, &memory.case, &megabytes(first.1), &last.0.to_string(), &megabytes(last.1)]))
    }));
    table(page, rows);
}

fn counts(page: &mut String, results: &Results) {
    if results.counts.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Counted</h2><p>An empty handler's start, to the first request for an event: the same every time, however busy the \
         machine.</p>",
    );
    let number = |figure: Option<u64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
    let mut rows = vec![row(["", "instructions", "system calls", "opened files", "executable, bytes"])];
    rows.extend(results.counts.iter().map(|counts| {
        row([
            &counts.contender,
            &number(counts.instructions),
            &number(counts.system_calls),
            &number(counts.opened_files),
            &number(counts.executable_bytes),
        ])
    }));
    table(page, rows);
}

fn marshalling(page: &mut String, results: &Results) {
    let Some(first) = results.marshalling.first() else { return };
    page.push_str("<h2>JSON</h2><p>Microseconds to read an event into Python's objects, and to write it.</p>");
    let names: Vec<&str> = first.decode_ns.keys().map(String::as_str).collect();
    for (title, reading) in [("read", true), ("write", false)] {
        let head = [title].into_iter().chain(names.iter().copied()).map(str::to_owned).collect();
        let mut rows = vec![head];
        for event in &results.marshalling {
            let figures = if reading { &event.decode_ns } else { &event.encode_ns };
            let cell = |name: &&str| figures.get(*name).map_or("-".to_owned(), |ns| format!("{:.2}", ns / 1000.0));
            rows.push([event.event.clone()].into_iter().chain(names.iter().map(cell)).collect());
        }
        table(page, rows);
    }
}

fn noise(page: &mut String, results: &Results) {
    page.push_str("<h2>Noise</h2><p>The same runtime twice in the rotation: what is not 1 here is noise there.</p>");
    let mut rows = vec![row(["whipsnake beside itself", "ratio and interval"])];
    for measure in [Measure::ColdStart, Measure::Warm] {
        for case in results.cases(measure) {
            if let Some(ratio) = results.ratio(measure, case, AGAIN, WHIPSNAKE) {
                let name = if measure == Measure::Warm { "warm" } else { "cold start" };
                rows.push(row([&format!("{name}, {case}"), &told(ratio)]));
            }
        }
    }
    table(page, rows);
    let machine = &results.machine;
    let others = machine.others.map_or("-".to_owned(), |others| format!("{:.1} %", others * 100.0));
    let _ = write!(
        page,
        "<p>Load {:.1} before and {:.1} after; of the processor's time {others} went to others.</p><ul>",
        machine.load[0], machine.load[1]
    );
    for skipped in &results.skipped {
        let _ = write!(page, "<li>not measured: {}</li>", row([skipped])[0]);
    }
    page.push_str("</ul>");
}

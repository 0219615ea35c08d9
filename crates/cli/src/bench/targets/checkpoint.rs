//! What starts from checkpoints aim at.

use super::{Target, exactly};
use crate::bench::{
    contender::{IMPORTS, INIT, MANAGED, OFF, UNRESTORED},
    results::{Measure, Results},
    statistics::{Ratio, median},
};

/// Cold starts, to awslambdaric's with .pyc files.
const STARTS: &[(&str, &str, &str, f64)] = &[
    ("an empty handler", "empty", IMPORTS, 0.06),
    ("json, logging and os", "imports", IMPORTS, 0.08),
    ("a boto3 s3 client, `imports`", "boto3", IMPORTS, 0.12),
    ("the same, `init`", "boto3", INIT, 0.03),
    ("pydantic models, `imports`", "pydantic", IMPORTS, 0.10),
    ("numpy, `imports`", "numpy", IMPORTS, 0.08),
    ("a FastAPI application, `imports`", "fastapi", IMPORTS, 0.10),
    ("the same, `init`", "fastapi", INIT, 0.03),
    ("pandas, `imports`", "pandas", IMPORTS, 0.06),
    ("the same, `init`", "pandas", INIT, 0.03),
    ("a fitted scikit-learn model, `init`", "scikit-learn", INIT, 0.02),
];

/// The same with one request answered.
const RESPONSES: &[(&str, &str, f64)] = &[
    ("FastAPI, Pydantic and httpx, one request answered, `imports`", IMPORTS, 0.12),
    ("the same, `init`", INIT, 0.04),
];

/// Functions whose first invocation after a restore is compared with a warm one.
const INVOKED: &[&str] = &["boto3", "pydantic", "numpy"];

/// All of them.
pub fn of(results: &Results) -> Vec<Target> {
    let target = |what: String, bound, measured| Target { what, bound, measured };
    let mut targets: Vec<Target> = STARTS
        .iter()
        .map(|&(what, case, kind, bound)| {
            target(format!("checkpoint: {what}"), bound, results.ratio(Measure::ColdStart, case, kind, MANAGED))
        })
        .collect();
    targets.extend(RESPONSES.iter().map(|&(what, kind, bound)| {
        target(format!("checkpoint: {what}"), bound, results.ratio(Measure::FirstResponse, "trio", kind, MANAGED))
    }));
    for (kind, name) in [(IMPORTS, "imports"), (INIT, "init")] {
        let measured = results.ratio(Measure::ColdDisk, "boto3", kind, MANAGED);
        targets.push(target(format!("checkpoint: boto3 client, page cache dropped, `{name}`"), 0.15, measured));
    }
    for (kind, name) in [(IMPORTS, "imports"), (INIT, "init")] {
        let measured = memory(results, kind);
        targets.push(target(
            format!("checkpoint: memory (Pss) after one invocation, boto3 client, `{name}`"),
            0.40,
            measured,
        ));
    }
    targets.push(target(
        "ordinary start through the restorer, to the bootstrap's own".to_owned(),
        1.03,
        results.ratio(Measure::ColdStart, "empty", OFF, UNRESTORED),
    ));
    for case in INVOKED {
        let what = format!("checkpoint: first invocation after a restore, less a later one, {case}, in ms");
        targets.push(target(what, 1.0, first_invocation(results, case)));
    }
    let size = results.sizes.iter().find(|size| size.case == "boto3" && size.contender == IMPORTS);
    targets.push(target(
        "checkpoint: what the zip grows by, boto3 client, in MB".to_owned(),
        12.0,
        size.map(|size| exactly(size.zipped as f64 / 1e6)),
    ));
    targets.push(target(
        "checkpoint: memory after all invocations, to that after a tenth of them".to_owned(),
        1.02,
        super::flatness(results, IMPORTS),
    ));
    targets
}

fn memory(results: &Results, kind: &str) -> Option<Ratio> {
    let of = |name: &str| {
        let found = results.memory.iter().find(|memory| memory.case == "boto3" && memory.contender == name)?;
        found.pss_kb.get(1).map(|&(_, kb)| kb as f64)
    };
    Some(exactly(of(kind)? / of(MANAGED)?))
}

/// The larger difference of both kinds, in milliseconds.
fn first_invocation(results: &Results, case: &str) -> Option<Ratio> {
    let difference = |kind: &str| {
        let of = |measure| Some(median(&results.series(measure, case, kind)?.milliseconds()));
        Some(of(Measure::FirstInvocation)? - of(Measure::LaterInvocation)?)
    };
    let (imports, init): (Option<f64>, Option<f64>) = (difference(IMPORTS), difference(INIT));
    imports.into_iter().chain(init).max_by(f64::total_cmp).map(exactly)
}

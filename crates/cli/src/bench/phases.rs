//! Where a start's time goes: the process, the interpreter, the runtime, the function's imports, the first request.

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use whipsnake_emulator::Recording;

use super::{
    case::{Case, MEASURED, PIPE},
    contender::Contender,
    results::Phases,
    rotation::Rotation,
    stage::Stage,
    statistics::median,
};
use crate::failure::Failure;

/// Starts awslambdaric as `python -m awslambdaric` does, and says when the interpreter is there.
const MARKED: &str = "import posix, time\n\
     posix.write(int(posix.environ[b'MEASURED']), b'interpreter %d\\n' % time.monotonic_ns())\n\
     import runpy\n\
     runpy._run_module_as_main('awslambdaric')";
const DAY: u64 = 86_400_000_000;

/// Looks into `turns` starts of each stage. Its handler has to be that of [`Case::measured`].
pub fn measure(
    case: &Case,
    stages: &[Stage<'_>],
    turns: usize,
    rotation: &Rotation<'_>,
) -> Result<Vec<Phases>, Failure> {
    let what = format!("phases, {}", case.name);
    let figures = rotation.measure(&what, stages, turns, |stage| look(stage))?;
    stages
        .iter()
        .zip(figures)
        .map(|(stage, figures)| {
            let imports = imports(stage)?;
            let names: Vec<&'static str> = figures.first().into_iter().flatten().map(|&(name, _)| name).collect();
            let phases = names
                .into_iter()
                .enumerate()
                .map(|(position, name)| {
                    let of_all: Vec<f64> = figures.iter().filter_map(|turn| Some(turn.get(position)?.1)).collect();
                    (name, median(&of_all))
                })
                .collect();
            let modules = imports.len();
            let mut slowest = imports;
            slowest.sort_by(|(_, ours), (_, others)| others.total_cmp(ours));
            slowest.truncate(12);
            Ok(Phases {
                case: case.name.clone(),
                contender: stage.contender.name.clone(),
                phases,
                imports: slowest,
                modules,
            })
        })
        .collect()
}

/// The phases of one start, in microseconds.
fn look(stage: &Stage<'_>) -> Result<Vec<(&'static str, f64)>, Failure> {
    let marked = marked(stage.contender);
    let stage = Stage { contender: &marked, ..*stage };
    // What a start costs that goes no further than the program's own first lines.
    let process = if stage.contender.is_managed() {
        stage.run_to_the_end(&[marked.command[0].clone(), "--version".to_owned()])?
    } else {
        stage.run_to_the_end(&marked.command)?
    };
    let variables = [("WHIPSNAKE_LOG", "debug")];
    let recording = stage.play_as(&[], &variables, &json!([]), json!({"pipes": [PIPE]}))?;
    let marks =
        recording.pipes.get(PIPE).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default();
    let mark = |name: &str| -> Option<f64> {
        let line = marks.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())?;
        Some(line / 1000.0 - recording.spawned_at_us as f64)
    };
    let (Some(begin), Some(end), Some(first_next)) = (mark("begin"), mark("end"), recording.spawn_to_first_next_us)
    else {
        return Err(stage.unusable(&recording));
    };
    let interpreter = mark("interpreter").or_else(|| interpreter_runs(&recording)).unwrap_or(process).max(process);
    Ok(vec![
        ("process", process),
        ("interpreter", interpreter - process),
        ("runtime", begin - interpreter),
        ("the function's imports", end - begin),
        ("first request", first_next as f64 - end),
    ])
}

/// The contender with a mark where the interpreter is ready; the bootstrap makes one itself.
fn marked(contender: &Contender) -> Contender {
    let mut marked = contender.clone();
    if marked.is_managed() {
        marked.command = vec![marked.command[0].clone(), "-c".to_owned(), MARKED.to_owned()];
    }
    marked
}

/// When the bootstrap's own diagnosis says that CPython runs, in microseconds since the spawn.
fn interpreter_runs(recording: &Recording) -> Option<f64> {
    let said = String::from_utf8_lossy(&recording.stderr.0);
    let line = said.lines().find(|line| line.contains("CPython runs"))?;
    let time = line.split_once('T')?.1.split_once('Z')?.0;
    let mut parts = time.split(':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let logged = ((next()? * 60.0 + next()?) * 60.0 + next()?) * 1e6;
    // The line has the time of day, the recording the other clock's: how far apart they are is asked now.
    let (wall, monotonic) = (microseconds(ClockId::Realtime) % DAY, microseconds(ClockId::Monotonic));
    let spawned = (wall + DAY).checked_sub(monotonic.checked_sub(recording.spawned_at_us)? % DAY)? % DAY;
    let since = logged - spawned as f64;
    Some(if since < 0.0 { since + DAY as f64 } else { since })
}

fn microseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

/// Microseconds that each module took itself, by CPython's own account.
fn imports(stage: &Stage<'_>) -> Result<Vec<(String, f64)>, Failure> {
    let recording = stage.play_as(&[], &[("PYTHONPROFILEIMPORTTIME", "1")], &json!([]), json!({"pipes": [PIPE]}))?;
    let said = String::from_utf8_lossy(&recording.stderr.0);
    Ok(said.lines().filter_map(import).collect())
}

/// A line such as `import time:       104 |       2092 |   json.decoder`.
fn import(line: &str) -> Option<(String, f64)> {
    let mut fields = line.strip_prefix("import time:")?.split('|').map(str::trim);
    let own = fields.next()?.parse().ok()?;
    Some((fields.nth(1)?.to_owned(), own))
}

/// The handler that [`measure`] looks into.
pub fn stage<'a>(stage: &Stage<'a>) -> Stage<'a> {
    Stage { handler: MEASURED, ..*stage }
}

#[cfg(test)]
mod tests {
    use super::import;

    #[test]
    fn imports_are_read_off_cpythons_account() {
        let line = "import time:       104 |       2092 |   json.decoder";
        assert_eq!(import(line), Some(("json.decoder".to_owned(), 104.0)));
        assert_eq!(import("import time: self [us] | cumulative | imported package"), None);
        assert_eq!(import("[INFO] something else"), None);
    }
}

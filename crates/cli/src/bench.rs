//! `whipsnake bench`: cold start and warm latency beside the managed runtime's.

use std::{
    env, fs,
    path::{self, Path, PathBuf},
    process::ExitCode,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use whipsnake_emulator::{Recording, Scripts, play};

use crate::{failure::Failure, function, python::Interpreter};

/// The function that costs nothing itself.
const ECHO: &str = "def handler(event, context):\n    return event\n";
const API_GATEWAY_EVENT: &str = include_str!("../events/apigateway-v2.json");

/// Invocations at the beginning of a process that are not counted.
const WARM_UP: usize = 50;

/// Measures whipsnake beside awslambdaric, on the same CPython.
///
/// Every figure comes from fresh processes, the two runtimes taking turns, so that a machine whose speed drifts slows both
/// alike: read the ratios. The cold start is the time from the start of the process to its first request for an event, the
/// warm latency that from an event to its response.
#[derive(clap::Args)]
pub struct Bench {
    /// A Python that has awslambdaric, of the version the bootstrap embeds
    #[arg(long, value_name = "PYTHON")]
    reference: PathBuf,
    /// The bootstrap to measure [default: the one beside this command]
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
    /// Cold starts of each runtime
    #[arg(long, value_name = "N", default_value_t = 60)]
    starts: usize,
    /// Warm invocations of each runtime and event, in five processes
    #[arg(long, value_name = "N", default_value_t = 2000)]
    invocations: usize,
}

impl Bench {
    /// Measures and prints.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let interpreter = Interpreter::ask(&self.reference).map_err(Failure::new)?;
        // Absolute, and a virtual environment's link not followed: the links are what makes it one.
        let reference = path::absolute(&self.reference).map_err(|error| {
            Failure::new(format!("looking for the reference {}: {error}", self.reference.display()))
        })?;
        let task = TaskFolder::new()?;
        let bootstrap = function::find_bootstrap(self.bootstrap)?;
        let runtimes = [
            Runtime { command: vec![text(&bootstrap)], task: &task, version: interpreter.minor_version() },
            Runtime {
                command: ["-m", "awslambdaric", "function.handler"].map(String::from).to_vec(),
                task: &task,
                version: interpreter.minor_version(),
            }
            .under(&reference),
        ];
        let processor = pin()?;
        println!("whipsnake beside awslambdaric, {interpreter}");
        println!("\n{:32} {:>10} {:>13} {:>7}   middle half", "", "whipsnake", "awslambdaric", "ratio");
        let cold = compare(self.starts, &runtimes, |runtime| runtime.cold_start().map(|start| vec![start]))?;
        cold.print("cold start, empty handler");
        let small = json!({"message": "x".repeat(80)}).to_string();
        for (name, event) in [("warm, 100 bytes", small.as_str()), ("warm, API Gateway event", API_GATEWAY_EVENT)] {
            let each = self.invocations.div_ceil(5);
            compare(5, &runtimes, |runtime| runtime.warm_latencies(event, each))?.print(name);
        }
        println!(
            "\nMedians; {} cold starts and {} warm invocations of each, taking turns on processor {processor}.",
            self.starts, self.invocations
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Keeps this process and its children on one processor: how long a sleeping one takes to wake differs between machines by
/// more than what is measured. Returns its number.
fn pin() -> Result<usize, Failure> {
    let failed = |error| Failure::new(format!("keeping to one processor: {error}"));
    let allowed = sched_getaffinity(None).map_err(failed)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&processor| allowed.is_set(processor)).unwrap_or_default();
    let mut only = CpuSet::new();
    only.set(last);
    sched_setaffinity(None, &only).map_err(failed)?;
    Ok(last)
}

struct Runtime<'a> {
    command: Vec<String>,
    task: &'a TaskFolder,
    version: String,
}

impl Runtime<'_> {
    fn under(mut self, interpreter: &Path) -> Self {
        self.command.insert(0, text(interpreter));
        self
    }

    /// Microseconds from the start to the first /next.
    fn cold_start(&self) -> Result<u64, Failure> {
        let recording = self.play(json!([]))?;
        recording.spawn_to_first_next_us.ok_or_else(|| self.never_asked(&recording))
    }

    /// Microseconds from an event to its response, of each invocation.
    fn warm_latencies(&self, event: &str, count: usize) -> Result<Vec<u64>, Failure> {
        let recording = self.play(json!([{"body": event, "repeat": count + WARM_UP}]))?;
        let latencies = recording.latencies_us.get(WARM_UP..).unwrap_or_default();
        if latencies.len() < count { Err(self.never_asked(&recording)) } else { Ok(latencies.to_vec()) }
    }

    fn play(&self, steps: Value) -> Result<Recording, Failure> {
        let task = text(&self.task.0);
        let script = json!({
            "command": self.command,
            "directory": task,
            "environment": {
                "_HANDLER": "function.handler",
                "LAMBDA_TASK_ROOT": task,
                "LAMBDA_RUNTIME_DIR": "/var/runtime",
                "AWS_EXECUTION_ENV": format!("AWS_Lambda_python{}", self.version),
                "AWS_LAMBDA_FUNCTION_NAME": "function",
                "LANG": "en_US.UTF-8",
                "LC_CTYPE": "C.UTF-8",
                "TZ": ":UTC",
                "PATH": "/usr/local/bin:/usr/bin:/bin",
            },
            "next": steps,
            "record_requests": false,
        });
        let failed = |error: String| Failure::new(format!("measuring {}: {error}", self.command[0]));
        let script = Scripts::parse(script.to_string().as_bytes()).map_err(|error| failed(error.to_string()))?;
        match script {
            Scripts::One(script) => play(*script).map_err(|error| failed(error.to_string())),
            Scripts::Several(_) => Err(failed(String::from("one script became several"))),
        }
    }

    fn never_asked(&self, recording: &Recording) -> Failure {
        let said = String::from_utf8_lossy(&recording.stderr.0);
        Failure::new(format!("measuring {}: it stopped asking for events: {}", self.command.join(" "), said.trim()))
    }
}

/// The same measurement of both runtimes.
struct Comparison {
    medians: [f64; 2],
    /// First quartile, median and third quartile of the ratios, turn by turn.
    ratios: [f64; 3],
}

/// Measures both in turn, `turns` times; a turn's figure is the median of what `measure` gives.
fn compare(
    turns: usize,
    runtimes: &[Runtime<'_>; 2],
    measure: impl Fn(&Runtime<'_>) -> Result<Vec<u64>, Failure>,
) -> Result<Comparison, Failure> {
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..turns {
        for (runtime, figures) in runtimes.iter().zip(&mut figures) {
            #[allow(clippy::cast_precision_loss, reason = "microseconds of a benchmark")]
            let measured = measure(runtime)?.into_iter().map(|us| us as f64).collect();
            figures.push(quantile(measured, 0.5));
        }
    }
    let [ours, theirs] = figures;
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    Ok(Comparison {
        ratios: [0.25, 0.5, 0.75].map(|part| quantile(ratios.clone(), part)),
        medians: [quantile(ours, 0.5), quantile(theirs, 0.5)],
    })
}

impl Comparison {
    fn print(&self, what: &str) {
        let [ours, theirs] = self.medians.map(|us| format!("{:.3} ms", us / 1000.0));
        let [first, median, third] = self.ratios;
        println!("{what:32} {ours:>10} {theirs:>13} {median:>7.3}   {first:.3} to {third:.3}");
    }
}

fn quantile(mut figures: Vec<f64>, part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (figures.len().saturating_sub(1) as f64 * part).round() as usize;
    figures.get(index).copied().unwrap_or(f64::NAN)
}

/// A folder with the function, removed at the end.
struct TaskFolder(PathBuf);

impl TaskFolder {
    fn new() -> Result<Self, Failure> {
        let folder = env::temp_dir().join(format!("whipsnake-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("function.py"), ECHO))
            .map_err(|error| Failure::new(format!("writing a function to {}: {error}", folder.display())))?;
        Ok(Self(folder))
    }
}

impl Drop for TaskFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

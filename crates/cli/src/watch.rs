//! `whipsnake watch`: a function that is served while its code is written.

mod changes;
mod recorded;
mod saves;

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use whipsnake_emulator::{Deployment, Emulator, SHUTDOWN};

use crate::{
    debugpy::Debugpy,
    display,
    endpoints::{self, AccessArguments},
    failure::Failure,
    function::FunctionArguments,
    progress::Progress,
    signals,
    simulate::SimulationArguments,
};
use changes::{Changes, Saved};
use recorded::{Recorder, Replay};

/// Serves a function like `emulate`, and starts it anew when a file of its folder is saved
///
/// Invocations that run go on with the code that they began with; those that come after the save wait for the new one. Ctrl-C sends
/// the function's process SIGTERM, so that what it does then can be tried.
#[derive(clap::Args)]
pub struct Watch {
    /// Where to listen for boto3 and `aws lambda invoke`; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Where to listen for the Function URL
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    function_url: SocketAddr,
    /// Files and folders whose saves mean nothing, by name; * stands for anything; may be repeated
    #[arg(long, value_name = "NAME")]
    ignore: Vec<String>,
    /// Has debugpy listen in the function's process, for an editor to attach; needs the package debugpy
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "5678")]
    debugpy: Option<u16>,
    /// Imports the function when an editor has attached to debugpy, after each save anew
    #[arg(long, requires = "debugpy")]
    wait_for_client: bool,
    /// How many invocations the function gets at once, as on Lambda Managed Instances
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "debugpy")]
    concurrency: Option<u16>,
    /// Writes every event that comes into this folder, as files for --replay and for `whipsnake invoke --event`
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Sends the function this event, or those in this folder, whenever it is ready; the responses go to standard output
    #[arg(long, value_name = "FILE|DIR")]
    replay: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArguments,
    #[command(flatten)]
    function: FunctionArguments,
    #[command(flatten)]
    simulation: SimulationArguments,
}

/// What is served and how it is started anew.
struct Watched {
    function: FunctionArguments,
    simulation: SimulationArguments,
    debugpy: Option<Debugpy>,
    concurrency: Option<u16>,
    recorder: Option<Arc<Recorder>>,
    replay: Option<Replay>,
    /// Older versions that may still run an invocation.
    retiring: Mutex<Vec<Weak<Emulator>>>,
}

/// A version of the function, and whether its log is still of interest.
struct Version {
    emulator: Arc<Emulator>,
    is_ready: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
}

impl Watch {
    /// Serves until a signal ends the process.
    pub fn run(mut self) -> Result<ExitCode, Failure> {
        let task = fs::canonicalize(self.function.configuration.task()).unwrap_or_default();
        for folder in self.record.iter().chain(&self.replay) {
            // What is recorded in the function's folder is no change of the function.
            self.ignore.extend(folder.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        let watched = Arc::new(Watched {
            debugpy: self
                .debugpy
                .map(|port| Debugpy::prepare(port, self.wait_for_client, &self.function))
                .transpose()?,
            concurrency: self.concurrency,
            recorder: self.record.map(Recorder::into_folder).transpose()?.map(Arc::new),
            replay: self.replay.map(Replay::of).transpose()?,
            function: self.function,
            simulation: self.simulation,
            retiring: Mutex::default(),
        });
        let begun = Instant::now();
        let mut version = watched.version()?;
        let mut changes = Changes::watch(&task, watched.function.configuration.env_file(), self.ignore)?;
        let saves = changes.saves();
        let deployment = Deployment::after(Arc::clone(&version.emulator), move || saves.wait_until_deployed());
        let (served, ended) = (Arc::clone(&deployment), Arc::clone(&watched));
        signals::on_end(move || ended.end(&served.current()))?;
        let _endpoints = endpoints::open(&deployment, self.listen, Some(self.function_url), &self.access)?;
        watched.start(&deployment, &version, begun, format!("watching {}", task.display()));
        loop {
            let saved = changes.next().map_err(|error| Failure::new(format!("watching for saves: {error}")))?;
            match watched.version() {
                Ok(new) => {
                    watched.deploy(&deployment, &version, &new, &saved, &task);
                    version = new;
                }
                Err(failure) => display::complain(&format!("{failure}; the code before goes on")),
            }
        }
    }
}

impl Watched {
    /// The function as it is configured and written now, its process not yet started.
    fn version(&self) -> Result<Version, Failure> {
        let mut function = self.function.function()?;
        if let Some(debugpy) = &self.debugpy {
            debugpy.attach_to(&mut function);
        }
        let is_silent = Arc::new(AtomicBool::new(false));
        let log = VersionLog { log: display::log(), is_silent: Arc::clone(&is_silent) };
        let emulator = Emulator::new(function, Box::new(log)).simulating(self.simulation.simulation());
        // Shutdown hooks are there to be tried.
        let mut emulator = emulator.giving_notice().during_init(Progress::of_start);
        if let Some(concurrency) = self.concurrency {
            emulator = emulator.with_concurrency(concurrency);
        }
        if let Some(recorder) = self.recorder.clone() {
            emulator = emulator.observed(move |invocation| recorder.record(invocation));
        }
        Ok(Version { emulator: Arc::new(emulator), is_ready: Arc::default(), is_silent })
    }

    /// Puts a version in the place of the one before, whose process ends with its last invocation.
    fn deploy(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        old: &Version,
        new: &Version,
        saved: &Saved,
        task: &Path,
    ) {
        for file in &saved.files {
            forget_bytecode(file);
        }
        let replaced = deployment.replace(Arc::clone(&new.emulator));
        if !old.is_ready.load(Ordering::Acquire) {
            // Its init phase has nothing to tell that is still true.
            old.is_silent.store(true, Ordering::Release);
            replaced.shut_down();
        } else if self.debugpy.is_some() {
            // It holds the debugger's port.
            replaced.shut_down();
        } else {
            self.retiring().push(Arc::downgrade(&replaced));
            thread::spawn(move || replaced.retire());
        }
        let name = |file: &PathBuf| file.strip_prefix(task).unwrap_or(file).display().to_string();
        let first = saved.files.first().map(name).map(|name| display::visible(&name).into_owned());
        let others = saved.files.len().saturating_sub(1);
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        self.start(deployment, new, saved.at, format!("{}{others} changed", first.unwrap_or_default()));
    }

    /// Starts the process of a version and tells how that went, unless there is a newer one by then.
    fn start(self: &Arc<Self>, deployment: &Arc<Deployment>, version: &Version, since: Instant, why: String) {
        let (watched, deployment) = (Arc::clone(self), Arc::clone(deployment));
        let (emulator, is_ready) = (Arc::clone(&version.emulator), Arc::clone(&version.is_ready));
        thread::spawn(move || {
            let started = emulator.start();
            is_ready.store(true, Ordering::Release);
            if !Arc::ptr_eq(&emulator, &deployment.current()) {
                return;
            }
            match started {
                Ok(None) => {
                    display::say(&format!("{why}; ready after {} ms", since.elapsed().as_millis()));
                    if let Some(replay) = &watched.replay {
                        replay.to(&emulator);
                    }
                }
                Ok(Some(fault)) => {
                    display::complain(&format!(
                        "{why}, and the function does not start: {}",
                        display::headline(&fault)
                    ));
                }
                Err(error) => display::complain(&format!("{why}, and the function does not start: {error}")),
            }
        });
    }

    fn retiring(&self) -> MutexGuard<'_, Vec<Weak<Emulator>>> {
        self.retiring.lock().expect("nobody panics while retiring")
    }

    /// Ends the process as Lambda does where an extension is registered.
    fn end(&self, emulator: &Emulator) {
        let (begun, was_running) = (Instant::now(), emulator.is_running());
        let limit = SHUTDOWN.as_millis();
        if was_running {
            display::say(&format!("SIGTERM to the function, which has {limit} ms, as on Lambda with an extension"));
        }
        emulator.shut_down();
        let took = begun.elapsed();
        for older in self.retiring().iter().filter_map(Weak::upgrade) {
            older.shut_down();
        }
        if !was_running {
            display::say("the function has no process that could be told: it has crashed, or did not start");
        } else if took < SHUTDOWN {
            display::say(&format!("it ended after {} ms", took.as_millis()));
        } else {
            display::complain("it did not end, and was killed");
        }
        if let Some(debugpy) = &self.debugpy {
            debugpy.tidy_up();
        }
    }
}

/// CPython knows a source by its time in seconds and its size: a second save within one would not be seen.
fn forget_bytecode(source: &Path) {
    let (Some(folder), Some(stem)) = (source.parent(), source.file_stem()) else { return };
    if source.extension().is_none_or(|extension| extension != "py") {
        return;
    }
    let stem = format!("{}.", stem.to_string_lossy());
    for entry in fs::read_dir(folder.join("__pycache__")).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&stem) {
            // Where it cannot be removed, it could not have been written.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The log of one version.
struct VersionLog {
    log: Box<dyn Write + Send>,
    is_silent: Arc<AtomicBool>,
}

impl Write for VersionLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_silent.load(Ordering::Acquire) { Ok(bytes.len()) } else { self.log.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.flush()
    }
}

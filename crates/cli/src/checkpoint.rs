//! Makes the checkpoint of a packed function: dumps the initialized process, composes the file, trains it, and measures what it gains.

mod arguments;
mod enter;
mod files;
mod now;
mod package;
mod place;
mod processors;
mod refusal;
mod report;
mod start;

pub use arguments::{CheckpointArguments, Wanted};
pub use enter::Enter;
pub use files::RESTORER;
pub use now::FromNow;
pub use package::add;
pub use place::Place;
pub use processors::Processors;
pub use report::{contents, is_read_always};
pub use start::Start;

use std::{
    env,
    ffi::OsString,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Output,
};

use whipsnake_checkpoint::{
    compose::{self, Dump, Options},
    process::{DUMP_ONLY, EXPLAIN, Kind},
};
use whipsnake_checkpoint_format::{FILE, FOLDER, TRAINING};
use whipsnake_emulator::Function;

use crate::failure::Failure;
use files::File;
use refusal::Refusal;
use report::Report;
use start::Pages;

/// Where the Runtime API is on Lambda. The dumped process does not ask it for anything.
const RUNTIME_API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);

/// How often each kind of start is measured.
const MEASURED: usize = 5;

/// Values of variables that are shorter than this are in every process: they are no secrets. In bytes.
const SHORTEST_SECRET: usize = 8;

/// A function whose checkpoint is to be made.
pub struct Maker<'a> {
    /// Where the process runs.
    pub place: Place,
    /// What was asked for.
    pub wanted: Wanted,
    /// Which processors it is to run on.
    pub processors: Processors,
    /// How the function is configured.
    pub function: &'a Function,
}

impl Maker<'_> {
    /// Makes the checkpoint. Returns the files that belong into the function's package.
    pub fn make(&self) -> Result<(Vec<File>, Report), Failure> {
        let mut files = files::programs(self.place.named_bootstrap())?;
        let dump = self.dump()?;
        self.refuse_secrets(&dump)?;
        files::install(self.place.staged(), &files)?;
        let checkpoint = self.place.staged().join(FOLDER).join(FILE);
        let mut options = self.options();
        dump.compose(&options, &checkpoint).map_err(|error| self.not_composed(&error))?;
        let Pages { touched, written } = self.train()?;
        (options.touched, options.written) = (touched, written);
        dump.compose(&options, &checkpoint).map_err(|error| self.not_composed(&error))?;
        let (restored, ordinary) = self.measure()?;
        let bytes = fs::read(&checkpoint).map_err(|error| Failure::new(format!("reading the checkpoint: {error}")))?;
        files.push(File { path: format!("{FOLDER}/{FILE}"), bytes, is_program: false });
        let (kind, processors) = (self.wanted.kind(), self.processors.describe(&dump.process.cpu));
        Ok((files, Report { kind, processors, process: dump.process, restored, ordinary }))
    }

    /// Makes the checkpoint, and keeps nothing of it.
    pub fn try_out(&self) -> Result<(), Failure> {
        let dump = self.dump()?;
        self.refuse_secrets(&dump)?;
        let composed = dump.compose(&self.options(), &self.place.scratch("none"));
        composed.map(|_| ()).map_err(|error| self.not_composed(&error))
    }

    /// Runs the function's init phase in the bootstrap, which writes its memory out.
    fn dump(&self) -> Result<Dump, Failure> {
        let folder = self.place.scratch("dump");
        let mut program = self.place.bootstrap().to_owned();
        let mut arguments = dump_arguments(self.wanted, &self.place.inside(&folder));
        if let Some(emulator) = self.processors.emulator()? {
            (program, arguments) = emulator.command(&self.place, program, arguments)?;
        }
        let Output { status, stdout, stderr } = self
            .place
            .command(&program, &arguments, &self.dump_environment())
            .output()
            .map_err(|error| Failure::new(format!("starting {}: {error}", program.display())))?;
        if !status.success() {
            let refusal = Refusal::read(&String::from_utf8_lossy(&[stdout, stderr].concat()), status);
            return Err(self.explain(refusal).failure(self.wanted));
        }
        Dump::read(&folder).map_err(|error| Failure::new(format!("reading the dump: {error}")))
    }

    /// The loader resolves every symbol at once: what it would resolve later depends on the processor's registers.
    fn dump_environment(&self) -> Vec<(OsString, OsString)> {
        let mut environment = self.environment();
        environment.extend(DUMP_ONLY.iter().map(|name| ((*name).into(), "1".into())));
        environment
    }

    /// Runs the init phase again in a process that notes where everything comes from. Nothing of that process is kept, so no emulator needs
    /// to run it.
    fn explain(&self, refusal: Refusal) -> Refusal {
        let folder = self.place.scratch("explained");
        let mut arguments = dump_arguments(self.wanted, &self.place.inside(&folder));
        arguments.push(EXPLAIN.into());
        let command = self.place.command(self.place.bootstrap(), &arguments, &self.dump_environment());
        let Some((output, status)) = refusal::run(command, &self.place.scratch("explained.log")) else {
            return refusal;
        };
        if status.success() {
            // The process is no obstacle to itself. Its memory is.
            let options = self.options();
            let composed = Dump::read(&folder).and_then(|dump| dump.compose(&options, &self.place.scratch("none")));
            return composed.err().map_or(refusal.clone(), |error| refusal.explained(error.to_string()));
        }
        let explained = Refusal::read(&output, status).reason;
        refusal.explained(explained)
    }

    /// Why the file could not be composed, with the code that is to blame where the reason is the process.
    fn not_composed(&self, error: &compose::Error) -> Failure {
        match error {
            compose::Error::File(..) => Failure::new(format!("making the checkpoint: {error}")),
            compose::Error::Dump(reason) => self.explain(Refusal::because(reason)).failure(self.wanted),
        }
    }

    fn options(&self) -> Options {
        Options { root: self.place.root().to_owned(), referenced: self.place.referenced(), ..Options::default() }
    }

    /// The function's variables, as at a cold start, with credentials that are none.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let variables = self.function.environment_of_process(Some(RUNTIME_API));
        variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    /// Searches the memory for what only this command's environment has. A word that the function's code has as well proves nothing, and
    /// neither does the path of something on this machine.
    fn refuse_secrets(&self, dump: &Dump) -> Result<(), Failure> {
        let given: Vec<OsString> = self.environment().into_iter().map(|(_, value)| value).collect();
        let is_path = |value: &OsString| env::split_paths(value).all(|path| path.is_absolute() && path.exists());
        for (name, value) in env::vars_os() {
            let bytes = value.as_encoded_bytes();
            let is_given = given.iter().any(|known| contains(known.as_encoded_bytes(), bytes));
            let is_candidate = bytes.len() >= SHORTEST_SECRET && !is_given && !is_path(&value);
            if is_candidate && dump.contains(bytes) && !self.is_in_code(dump, bytes) {
                return Err(Failure::new(format!(
                    "no checkpoint was made: the value of this command's variable {} is in the process's memory. Run the command \
                     without the variable, or pass it with --env if the function may have it",
                    name.display()
                )));
            }
        }
        Ok(())
    }

    fn is_in_code(&self, dump: &Dump, text: &[u8]) -> bool {
        dump.files().any(|file| fs::read(self.place.outside(file)).is_ok_and(|contents| contains(&contents, text)))
    }

    /// The pages that a start touches, from one in which the kernel maps each page by itself.
    fn train(&self) -> Result<Pages, Failure> {
        let training = [(TRAINING.into(), "1".into())];
        let start = Start::of(&self.place, &self.program(), self.function, &training)?;
        // The function's own code has run already in a checkpoint of `init`. Where its import fails in this environment, it may not on Lambda.
        if self.wanted.kind() == Kind::Init && !start.has_succeeded() {
            return Err(Failure::new(format!("the function failed in its init phase: {}", start.output())));
        }
        if !start.is_restored() {
            return Err(Failure::new(format!(
                "the checkpoint could not be restored on this machine: {}",
                start.output()
            )));
        }
        start.pages().map_err(|error| Failure::new(format!("reading which pages a start touches: {error}")))
    }

    /// Times from the start of the process to its first request, in milliseconds: restored and ordinary.
    fn measure(&self) -> Result<(f64, f64), Failure> {
        let off = [("WHIPSNAKE_CHECKPOINT".into(), "off".into())];
        let (mut restored, mut ordinary) = (Vec::new(), Vec::new());
        for _ in 0..MEASURED {
            restored.push(Start::of(&self.place, &self.program(), self.function, &[])?.milliseconds());
            ordinary.push(Start::of(&self.place, &self.program(), self.function, &off)?.milliseconds());
        }
        Ok((median(restored), median(ordinary)))
    }

    /// The restorer, where the process finds it.
    fn program(&self) -> PathBuf {
        self.place.task().join(RESTORER)
    }
}

/// `--checkpoint KIND FOLDER`, as the bootstrap takes it. `folder` is where the process sees it.
fn dump_arguments(wanted: Wanted, folder: &Path) -> Vec<OsString> {
    let kind = match wanted.kind() {
        Kind::Imports => "imports",
        Kind::Init => "init",
    };
    vec!["--checkpoint".into(), kind.into(), folder.into()]
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

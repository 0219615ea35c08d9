//! The arguments that describe a function.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use whipsnake_checkpoint_format::{FILE, FOLDER};
use whipsnake_emulator::Function;

use crate::{failure::Failure, python};

/// Longer than anything that is tried on a laptop, unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A function, and how it is configured.
#[derive(clap::Args)]
pub struct FunctionArguments {
    /// The handler, as in Lambda's configuration: module.function
    #[arg(help_heading = None)]
    handler: String,
    #[command(flatten)]
    pub configuration: Configuration,
}

/// How a function is configured.
#[derive(clap::Args)]
#[command(next_help_heading = "Function")]
pub struct Configuration {
    /// The directory with the function's code
    #[arg(long, value_name = "DIR", default_value = ".")]
    task: PathBuf,
    /// The bootstrap to run [default: the one beside this command]
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
    /// A virtual environment whose packages the function may import [default: $VIRTUAL_ENV]
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,
    /// The function's memory in megabytes: told and reported, not enforced
    #[arg(long, value_name = "MEGABYTES", default_value_t = 128)]
    memory: u32,
    /// The function's time-out [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<f64>,
    /// A variable of the function's; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// A file of NAME=VALUE lines; --env wins over it
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The region the function believes to be in
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    region: String,
    /// The function's name
    #[arg(long, value_name = "NAME", default_value = "function")]
    function_name: String,
}

impl FunctionArguments {
    /// The function, with all its paths known to exist.
    pub fn function(&self) -> Result<Function, Failure> {
        self.configuration.function(self.handler.clone())
    }
}

impl Configuration {
    /// The function with that handler, all its paths known to exist.
    pub fn function(&self, handler: String) -> Result<Function, Failure> {
        let task = fs::canonicalize(&self.task).ok().filter(|task| task.is_dir()).ok_or_else(|| {
            Failure::new(format!(
                "there is no directory {}: name the one with the function's code with --task",
                self.task.display()
            ))
        })?;
        self.function_at(handler, task, self.bootstrap()?)
    }

    /// The function with its code and its bootstrap where a process finds them, which need not be on this machine.
    pub fn function_at(&self, handler: String, task: PathBuf, bootstrap: PathBuf) -> Result<Function, Failure> {
        let mut environment = match &self.env_file {
            Some(file) => read_variables(file)?,
            None => BTreeMap::new(),
        };
        environment.extend(self.environment.iter().cloned());
        if let Some(packages) = self.packages()? {
            // Behind what the function says itself.
            let path = environment.entry("PYTHONPATH".to_owned()).or_default();
            let separator = if path.is_empty() { "" } else { ":" };
            path.push_str(&format!("{separator}{}", packages.display()));
        }
        let (python, library_folder) = self.python_of_wheel()?.unzip();
        environment.extend(python.map(|python| ("WHIPSNAKE_PYTHON".to_owned(), python)));
        Ok(Function {
            name: self.function_name.clone(),
            handler,
            task,
            bootstrap,
            memory: self.memory,
            init_timeout: None,
            timeout: self.timeout.map_or(TIMEOUT, Duration::from_secs_f64),
            region: self.region.clone(),
            environment,
            library_folder,
        })
    }
}

impl Configuration {
    /// The bootstrap, known to exist. As on Lambda, that of a function with a checkpoint comes first.
    pub fn bootstrap(&self) -> Result<PathBuf, Failure> {
        let own = self.task.join("bootstrap");
        let has_checkpoint = self.bootstrap.is_none() && own.is_file() && self.checkpoint().is_some();
        find_bootstrap(if has_checkpoint { Some(own) } else { self.bootstrap.clone() })
    }

    /// The bootstrap that starts the function without a checkpoint.
    pub fn ordinary_bootstrap(&self) -> Result<PathBuf, Failure> {
        let named = self.task.join(FOLDER).join(whipsnake_checkpoint_format::BOOTSTRAP);
        let beside_checkpoint = || fs::read_to_string(named).ok().map(PathBuf::from);
        find_bootstrap(self.bootstrap.clone().or_else(beside_checkpoint))
    }

    /// The checkpoint of the function, if it has one.
    pub fn checkpoint(&self) -> Option<PathBuf> {
        Some(self.task.join(FOLDER).join(FILE)).filter(|file| file.is_file())
    }

    /// The Python of a wheel's bootstrap, which has none of its own, and the folder of its library. One that was named has its own.
    pub fn python_of_wheel(&self) -> Result<Option<(String, PathBuf)>, Failure> {
        let python = env::var("WHIPSNAKE_PYTHON").ok().filter(|_| self.bootstrap.is_none());
        python.map(|python| python::shared_library_folder(&python).map(|folder| (python, folder))).transpose()
    }

    /// The folder with the function's code, as it was named.
    pub fn task(&self) -> &Path {
        &self.task
    }

    /// Whether a time-out was named.
    pub fn has_timeout(&self) -> bool {
        self.timeout.is_some()
    }

    /// The file with the function's variables.
    pub fn env_file(&self) -> Option<&Path> {
        self.env_file.as_deref()
    }

    /// Where the virtual environment has its packages. The active one may be of something else; one that was named has to be there.
    fn packages(&self) -> Result<Option<PathBuf>, Failure> {
        let active = env::var_os("VIRTUAL_ENV").filter(|active| !active.is_empty()).map(PathBuf::from);
        let Some(venv) = self.venv.clone().or(active) else { return Ok(None) };
        let found = fs::read_dir(venv.join("lib")).ok().and_then(|mut pythons| {
            pythons.find_map(|python| Some(python.ok()?.path().join("site-packages")).filter(|path| path.is_dir()))
        });
        match (found.and_then(|found| fs::canonicalize(found).ok()), &self.venv) {
            (None, Some(named)) => {
                let named = named.display();
                Err(Failure::new(format!("{named} is no virtual environment: it has no lib/python3.X/site-packages")))
            }
            (found, _) => Ok(found),
        }
    }
}

/// The bootstrap that was named, or else the one beside this command.
pub fn find_bootstrap(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return fs::canonicalize(&named)
            .map_err(|error| Failure::new(format!("looking for the bootstrap {}: {error}", named.display())));
    }
    let ours = env::current_exe()
        .and_then(fs::canonicalize)
        .map_err(|error| Failure::new(format!("looking for the bootstrap beside this command: {error}")))?;
    let beside = ours.with_file_name("bootstrap");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Failure::new(format!(
        "there is no bootstrap at {}: run `make build`, or name one with --bootstrap",
        beside.display()
    )))
}

/// Reads a file of `NAME=VALUE` lines.
pub fn read_variables(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let name = file.display();
    let text =
        fs::read_to_string(file).map_err(|error| Failure::new(format!("reading the variables in {name}: {error}")))?;
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            variable(line)
                .map_err(|problem| Failure::new(format!("reading the variables in {name}, line {number}: {problem}")))
        })
        .collect()
}

/// Reads `NAME=VALUE`.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of seconds")).and_then(check_seconds)
}

/// Whether an invocation may take that long.
pub fn check_seconds(seconds: f64) -> Result<f64, String> {
    let allowed = (0.001..=86_400.0).contains(&seconds);
    allowed.then_some(seconds).ok_or_else(|| format!("{seconds} is not a number of seconds above 0 and up to 86400"))
}

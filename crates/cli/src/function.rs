//! The arguments that describe a function.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use whipsnake_emulator::Function;

use crate::failure::Failure;

/// What is run, and how it is configured.
#[derive(clap::Args)]
#[command(next_help_heading = "Function")]
pub struct FunctionArguments {
    /// The handler, as in Lambda's configuration: module.function
    #[arg(help_heading = None)]
    handler: String,
    /// The directory with the function's code
    #[arg(long, value_name = "DIR", default_value = ".")]
    task: PathBuf,
    /// The bootstrap to run [default: the one beside this command]
    #[arg(long, value_name = "PATH")]
    bootstrap: Option<PathBuf>,
    /// The function's memory in megabytes: told and reported, not enforced
    #[arg(long, value_name = "MEGABYTES", default_value_t = 128)]
    memory: u32,
    /// The function's time-out
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0, value_parser = seconds)]
    timeout: f64,
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
    pub fn function(self) -> Result<Function, Failure> {
        let task = fs::canonicalize(&self.task).ok().filter(|task| task.is_dir()).ok_or_else(|| {
            Failure::new(format!(
                "there is no directory {}: name the one with the function's code with --task",
                self.task.display()
            ))
        })?;
        let mut environment = match &self.env_file {
            Some(file) => read_variables(file)?,
            None => BTreeMap::new(),
        };
        environment.extend(self.environment);
        Ok(Function {
            name: self.function_name,
            handler: self.handler,
            task,
            bootstrap: find_bootstrap(self.bootstrap)?,
            memory: self.memory,
            timeout: Duration::from_secs_f64(self.timeout),
            region: self.region,
            environment,
        })
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

fn read_variables(file: &Path) -> Result<BTreeMap<String, String>, Failure> {
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

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds))
        .ok_or_else(|| format!("{text:?} is not a number of seconds above 0 and up to 86400"))
}

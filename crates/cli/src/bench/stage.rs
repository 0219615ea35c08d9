//! One play of a function under one contender, against the scripted Runtime API.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Map, Value, json};
use whipsnake_emulator::{Recording, Scripts, play};

use super::{
    contender::{Contender, text},
    folder::Form,
};
use crate::failure::Failure;

/// Longer than anything that is measured takes.
const SECONDS: u64 = 300;

/// A function in its folder, and who runs it.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    pub contender: &'a Contender,
    pub folder: &'a Path,
    pub handler: &'a str,
}

impl Stage<'_> {
    /// Plays `steps`; `script` has further fields of a script.
    pub fn play(&self, steps: &Value, script: Value) -> Result<Recording, Failure> {
        self.play_as(&[], &[], steps, script)
    }

    /// The same with `prefix` before the command and more variables.
    pub fn play_as(
        &self,
        prefix: &[String],
        variables: &[(&str, &str)],
        steps: &Value,
        script: Value,
    ) -> Result<Recording, Failure> {
        let mut command = [prefix, &self.contender.command].concat();
        // The restorer is in the function's folder; every other program has its whole path.
        command[prefix.len()] = text(&self.folder.join(&command[prefix.len()]));
        if self.contender.is_managed() {
            command.push(self.handler.to_owned());
        }
        let mut environment = self.environment();
        environment.extend(variables.iter().map(|&(name, value)| (name.to_owned(), json!(value))));
        let mut whole = json!({
            "command": command,
            "directory": text(self.folder),
            "environment": environment,
            "next": steps,
            "record_requests": false,
            "timeout_ms": SECONDS * 1000,
        });
        if let (Value::Object(whole), Value::Object(more)) = (&mut whole, script) {
            whole.extend(more);
        }
        let failed = |error: String| Failure::new(format!("measuring {}: {error}", self.contender.name));
        match Scripts::parse(whole.to_string().as_bytes()).map_err(|error| failed(error.to_string()))? {
            Scripts::One(script) => play(*script).map_err(|error| failed(error.to_string())),
            Scripts::Several(_) => Err(failed(String::from("one script became several"))),
        }
    }

    /// Microseconds from the start of a process that speaks to nobody to its end.
    pub fn run_to_the_end(&self, command: &[String]) -> Result<f64, Failure> {
        let failed = |error| Failure::new(format!("starting {}: {error}", command.join(" ")));
        let mut process = Command::new(&command[0]);
        process.args(&command[1..]).env_clear().current_dir(self.folder);
        for (name, value) in self.environment() {
            process.env(name, value.as_str().unwrap_or_default());
        }
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut child = process.spawn().map_err(failed)?;
        child.wait().map_err(failed)?;
        Ok(begun.elapsed().as_secs_f64() * 1e6)
    }

    /// Why a recording is not what was to be measured.
    pub fn unusable(&self, recording: &Recording) -> Failure {
        self.failed(recording, "it stopped asking for events")
    }

    /// The same, with the reason and the end of its log.
    pub fn failed(&self, recording: &Recording, reason: &str) -> Failure {
        let said = String::from_utf8_lossy(&recording.stderr.0);
        let said: Vec<&str> = said.trim().lines().collect();
        let last = said[said.len().saturating_sub(5)..].join(" | ");
        Failure::new(format!("measuring {}: {reason}: {last}", self.contender.name))
    }

    /// What Lambda sets, and the contender's own variables.
    fn environment(&self) -> Map<String, Value> {
        environment(self.folder, self.handler, self.contender.form)
            .into_iter()
            .chain(self.contender.environment.iter().cloned())
            .map(|(name, value)| (name, json!(value)))
            .collect()
    }
}

/// What Lambda sets.
pub fn environment(folder: &Path, handler: &str, form: Form) -> Vec<(String, String)> {
    let folder = text(folder);
    let set = [
        ("_HANDLER", handler),
        ("LAMBDA_TASK_ROOT", folder.as_str()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "function"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef"),
        ("LANG", "en_US.UTF-8"),
        ("LC_CTYPE", "C.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        // On Lambda nothing can be written beside a function either.
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    // A checkpoint is made with these: a start without them would not use it.
    let of_checkpoints = [("LD_LIBRARY_PATH", "/opt/lib"), ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR")];
    let further = of_checkpoints.into_iter().filter(|_| form.checkpoint().is_some());
    set.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

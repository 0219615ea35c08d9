//! Why a function cannot have a checkpoint: the reason, the code that it is about, and what to do.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use super::Wanted;
use crate::failure::Failure;

/// How long a process may take to explain itself. It is slower than an ordinary one: it looks around after each call.
const LIMIT: Duration = Duration::from_secs(60);

/// How often that process is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// How the bootstrap's own lines begin.
const NOTICE: &str = "whipsnake: ";

/// How lines of code begin below a reason.
const INDENT: &str = "  ";

/// The bootstrap has refused to dump itself, or the dump cannot become a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// On one line; the code that it is about follows on indented ones.
    pub reason: String,
    /// What the process has printed besides.
    log: Vec<String>,
}

impl Refusal {
    /// Of a dump that was read.
    pub fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), log: Vec::new() }
    }

    /// Of a process that has ended. Its last notice is the reason.
    pub fn read(output: &str, status: ExitStatus) -> Self {
        let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
        let last = lines.iter().rposition(|line| line.starts_with(NOTICE));
        let code = |at: usize| lines[at + 1..].iter().take_while(|line| line.starts_with(INDENT)).count();
        let reason = last.map(|at| at..=at + code(at));
        let is_log = |index: usize| reason.as_ref().is_none_or(|lines| !lines.contains(&index));
        let log = lines.iter().enumerate().filter(|(index, line)| is_log(*index) && !line.starts_with(NOTICE));
        Self {
            log: log.map(|(_, line)| (*line).to_owned()).collect(),
            reason: match reason {
                Some(of_reason) => lines[of_reason].join("\n").trim_start_matches(NOTICE).to_owned(),
                None => format!("the process ended with {status}"),
            },
        }
    }

    /// The same, with the reason that another run has found if it names code.
    pub fn explained(self, reason: String) -> Self {
        if reason.contains('\n') { Self { reason, ..self } } else { self }
    }

    /// For the user who has asked for this kind.
    pub fn failure(&self, wanted: Wanted) -> Failure {
        let log: String = self.log.iter().flat_map(|line| ["\n  ", line]).collect();
        let said = if self.log.is_empty() { String::new() } else { format!("\nThe function has printed:{log}") };
        Failure::new(format!("no checkpoint can be made: {}{said}{}", self.reason, self.advice(wanted)))
    }

    fn advice(&self, wanted: Wanted) -> &'static str {
        match wanted {
            // The bootstrap has said it all.
            _ if self.reason.starts_with("AWS_LAMBDA_EXEC_WRAPPER") => "",
            Wanted::Init if self.reason.starts_with("the function could not be imported") => {
                "\nIf it needs variables, pass them with --env. Or use --checkpoint=imports, which imports the function's own modules \
                 after the restore."
            }
            Wanted::Init => {
                "\nMove that into the handler, or use --checkpoint=imports, which runs the function's own code after the restore."
            }
            Wanted::Imports => "\nUse --checkpoint=try to pack without a checkpoint where none can be made.",
            Wanted::Try => "\nThe function is packed without a checkpoint.",
        }
    }
}

/// Runs a process to its end. Returns what it has printed; `None` if it could not be run or has taken too long.
pub fn run(mut command: Command, log: &Path) -> Option<(String, ExitStatus)> {
    let output = File::create(log).ok()?;
    let mut child = command.stdout(output.try_clone().ok()?).stderr(output).spawn().ok()?;
    let limit = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().ok()? {
            break status;
        }
        if Instant::now() >= limit {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(PAUSE);
    };
    Some((String::from_utf8_lossy(&fs::read(log).ok()?).into_owned(), status))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::{Refusal, Wanted};

    fn read(output: &str) -> Refusal {
        Refusal::read(output, ExitStatus::from_raw(256))
    }

    #[test]
    fn the_last_notice_and_the_code_below_it_are_the_reason() {
        let refusal =
            read("hello\nwhipsnake: earlier\nwhipsnake: threads are running: a (1)\n  app.py:1: start()\nbye\n");
        assert_eq!(refusal.reason, "threads are running: a (1)\n  app.py:1: start()");
        assert_eq!(refusal.log, ["hello", "bye"]);
    }

    #[test]
    fn a_process_that_has_only_ended_has_its_status_for_a_reason() {
        assert_eq!(read("hello\n").reason, "the process ended with exit status: 1");
    }

    #[test]
    fn another_run_explains_it_only_if_that_names_code() {
        let refusal = read("whipsnake: descriptor 3 is open for writing\n");
        assert_eq!(refusal.clone().explained("something else".to_owned()), refusal);
        let explained = refusal.explained("descriptor 4 is open for writing\n  app.py:1: open()".to_owned());
        assert_eq!(
            explained.failure(Wanted::Try).to_string(),
            "no checkpoint can be made: descriptor 4 is open for writing\n  app.py:1: open()\nThe function is packed without a checkpoint."
        );
    }
}

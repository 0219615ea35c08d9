//! What a start costs that can be counted and is the same every time: instructions, system calls, opened files.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use whipsnake_emulator::Recording;

use super::{case::Case, contender::text, folder::Folders, results::Counts, stage::Stage};
use crate::failure::Failure;

/// Ends the process while it waits for its first event. Neither runtime catches this signal, so nothing of an orderly end is
/// counted, and callgrind and strace write down what they have.
fn at_the_first_request() -> (Value, Value) {
    (json!([{"idle_signal": {"name": "SIGALRM", "after_ms": 100}}]), json!({"end": "wait"}))
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Counts with what is there: valgrind for instructions, strace for the rest.
pub fn measure(case: &Case, stage: &Stage<'_>, folders: &Folders) -> Result<Counts, Failure> {
    let (system_calls, opened_files) = if has("strace") {
        let calls = system_calls(stage, &folders.file("strace"))?;
        (Some(calls.0), Some(calls.1))
    } else {
        (None, None)
    };
    Ok(Counts {
        case: case.name.clone(),
        contender: stage.contender.name.clone(),
        instructions: if has("valgrind") { Some(instructions(stage)?) } else { None },
        system_calls,
        opened_files,
        executable_bytes: executable_bytes(stage),
    })
}

/// Of a runtime that is one file; what `python` is says nothing, most of it lies in a library.
fn executable_bytes(stage: &Stage<'_>) -> Option<u64> {
    let whole = !stage.contender.is_managed() && stage.contender.serves();
    fs::metadata(&stage.contender.command[0]).ok().filter(|_| whole).map(|executable| executable.len())
}

fn instructions(stage: &Stage<'_>) -> Result<u64, Failure> {
    let said = under(stage, &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"])?;
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.ok_or_else(|| {
        Failure::new(format!("counting the instructions of {}: valgrind said {}", stage.contender.name, said.trim()))
    })
}

/// System calls, and files among them that were opened.
fn system_calls(stage: &Stage<'_>, file: &Path) -> Result<(u64, u64), Failure> {
    let _ = fs::remove_file(file);
    // The process is to be our own child, with strace beside it: we send it a signal.
    under(stage, &["strace", "-DD", "-f", "-o", &text(file)])?;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let traced = fs::read_to_string(file).unwrap_or_default();
        if traced.lines().last().is_some_and(|line| line.contains("+++ ")) {
            return Ok(count(&traced));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!(
                "counting the system calls of {}: strace did not end",
                stage.contender.name
            )));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn count(traced: &str) -> (u64, u64) {
    let calls = traced.lines().filter(|line| {
        let call = line.split_once(' ').map_or(*line, |(_, call)| call.trim_start());
        call.starts_with(|first: char| first.is_ascii_lowercase())
    });
    let opened = |line: &&str| {
        (line.contains(" openat(") || line.contains(" open("))
            && line
                .rsplit_once(" = ")
                .is_some_and(|(_, result)| result.starts_with(|first: char| first.is_ascii_digit()))
    };
    (calls.clone().count() as u64, calls.filter(opened).count() as u64)
}

/// Starts the stage's command behind `prefix` and returns its standard error.
fn under(stage: &Stage<'_>, prefix: &[&str]) -> Result<String, Failure> {
    let prefix: Vec<String> = prefix.iter().map(|&word| word.to_owned()).collect();
    if !stage.contender.serves() {
        let command = [prefix.as_slice(), &stage.contender.command].concat();
        let output = Command::new(&command[0])
            .args(&command[1..])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .output()
            .map_err(|error| Failure::new(format!("starting {}: {error}", command.join(" "))))?;
        return Ok(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (steps, script) = at_the_first_request();
    let recording: Recording = stage.play_as(&prefix, &[], &steps, script)?;
    if recording.spawn_to_first_next_us.is_none() {
        return Err(stage.unusable(&recording));
    }
    Ok(String::from_utf8_lossy(&recording.stderr.0).into_owned())
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn calls_are_counted_and_what_is_none_is_not() {
        let traced = "7 execve(\"/b\", [\"/b\"], 0x7ffe /* 3 vars */) = 0\n\
                      7 openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3\n\
                      7 openat(AT_FDCWD, \"/none\", O_RDONLY) = -1 ENOENT (No such file or directory)\n\
                      7 epoll_wait(5, 0x55, 1024, -1) = -1 EINTR (Interrupted system call)\n\
                      7 --- SIGALRM {si_signo=SIGALRM} ---\n\
                      7 <... epoll_wait resumed>) = 0\n\
                      7 +++ killed by SIGALRM +++\n";
        assert_eq!(count(traced), (4, 1));
    }
}

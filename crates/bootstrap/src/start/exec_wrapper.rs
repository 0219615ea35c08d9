//! `AWS_LAMBDA_EXEC_WRAPPER`. On managed runtimes Lambda runs this program instead of the runtime. On OS-only runtimes the runtime has to
//! do that.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io, process};

/// Replaces this process by the wrapper. The wrapper gets `interpreter script` as arguments and runs them, possibly with interpreter
/// options in between. Both are this executable. With itself as the script, it knows that the wrapper has run. Returns only if that fails,
/// with the reason.
pub fn exec(wrapper: &str) -> String {
    let path = Path::new(wrapper);
    if !path.is_file() {
        refuse(wrapper, "does not exist", 127);
    }
    if !is_executable(path) {
        refuse(wrapper, "is not an executable", 126);
    }
    let this = match env::current_exe() {
        Ok(this) => this,
        Err(error) => return format!("could not find this executable, to hand it to {wrapper}: {error}"),
    };
    tracing::debug!(wrapper, interpreter = %this.display(), "handing over to AWS_LAMBDA_EXEC_WRAPPER");
    let error = Command::new(path).arg(&this).arg(&this).exec();
    format!("could not run AWS_LAMBDA_EXEC_WRAPPER {wrapper}: {error}. A script needs a first line such as #!/bin/bash")
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}

/// Exits with the managed runtime's message and exit code, which are the shell's.
fn refuse(wrapper: &str, why: &str, code: i32) -> ! {
    let _ = writeln!(io::stdout(), "{wrapper}: {why}");
    process::exit(code)
}

//! What the command line asks this process to be.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{env, fs};

/// What this process is to be.
#[derive(Debug)]
pub enum Role {
    /// Started by Lambda.
    Runtime,
    /// Started by Lambda from a container image whose command is this handler: `ENTRYPOINT ["/opt/bootstrap"]`, `CMD ["app.handler"]`.
    RuntimeOf(OsString),
    /// Started by a wrapper script as `interpreter [options] script`, with this command line.
    WrappedRuntime(Vec<OsString>),
    /// Started as a Python interpreter: under such a name, or with another program as its script.
    Python,
}

impl Role {
    /// Reads the role from the command line.
    pub fn from_command_line(mut arguments: Vec<OsString>) -> Self {
        match script_position(&arguments) {
            Some(position) if is_this_program(&arguments[position]) => {
                arguments.truncate(position + 1);
                Self::WrappedRuntime(arguments)
            }
            _ if is_named_python(&arguments) => Self::Python,
            None if arguments.len() < 2 => Self::Runtime,
            Some(1) if arguments.len() == 2 && is_handler(&arguments[1]) => Self::RuntimeOf(arguments.remove(1)),
            _ => Self::Python,
        }
    }
}

/// The position of the script in a command line of `python3`, after the options.
fn script_position(arguments: &[OsString]) -> Option<usize> {
    let mut position = 1;
    loop {
        position += match arguments.get(position)?.as_bytes() {
            b"-c" | b"-m" | b"-" => return None,
            // These options have a value.
            b"-X" | b"-W" | b"--check-hash-based-pycs" => 2,
            option if option.starts_with(b"-") => 1,
            _ => return Some(position),
        };
    }
}

/// Whether the one argument is a handler's name and not a script: there is a Runtime API to serve, and no file of that name.
fn is_handler(argument: &OsString) -> bool {
    env::var_os("AWS_LAMBDA_RUNTIME_API").is_some_and(|api| !api.is_empty()) && !Path::new(argument).exists()
}

fn is_named_python(arguments: &[OsString]) -> bool {
    let name = arguments.first().and_then(|path| Path::new(path).file_name());
    name.is_some_and(|name| name.as_bytes().starts_with(b"python"))
}

fn is_this_program(path: &OsString) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(Path::new(path)).is_some_and(|path| env::current_exe().is_ok_and(|this| real(&this) == Some(path)))
}

//! A debugger's server in the function's process.

use std::{env, fs, path::Path, time::Duration};

use whipsnake_emulator::Function;

use crate::{cleanup::TemporaryFolder, display, failure::Failure, function::FunctionArguments};

/// Run by CPython before the function is imported, as `sitecustomize`; the one it hides has its turn after it.
const SITECUSTOMIZE: &str = r#"import os
import sys
import time


def listen(port, waits):
    import debugpy

    # The process before this one may still hold the port.
    for attempt in range(50):
        try:
            debugpy.listen(("127.0.0.1", port))
            break
        except (OSError, RuntimeError) as error:
            if attempt == 49:
                return os.write(2, f"whipsnake: debugpy does not listen on port {port}: {error}\n".encode())
            time.sleep(0.05)
    if waits:
        os.write(2, b"whipsnake: waiting for an editor to attach\n")
        debugpy.wait_for_client()


if port := os.environ.pop("WHIPSNAKE_DEBUGPY", None):
    listen(int(port), os.environ.pop("WHIPSNAKE_DEBUGPY_WAITS", None))
sys.path.remove(os.path.dirname(__file__))
ours = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # noqa: F401
except ImportError:
    sys.modules["sitecustomize"] = ours
"#;

/// Who looks at a variable has time.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Has debugpy listen in every process of the function.
pub struct Debugpy {
    port: u16,
    waits: bool,
    has_timeout: bool,
    folder: TemporaryFolder,
}

impl Debugpy {
    /// Makes sure that the function can import it. Where it `waits`, the function is imported when an editor has attached.
    pub fn prepare(port: u16, waits: bool, arguments: &FunctionArguments) -> Result<Debugpy, Failure> {
        let function = arguments.function()?;
        let path = function.environment.get("PYTHONPATH").cloned().unwrap_or_default();
        let is_there = |folder: &Path| folder.join("debugpy").is_dir();
        if !is_there(&function.task) && !env::split_paths(&path).any(|folder| is_there(&folder)) {
            return Err(Failure::new(
                "--debugpy needs the package debugpy where the function finds it: install it with `uv pip install debugpy` into the \
                 virtual environment that is active or named with --venv",
            ));
        }
        let folder = TemporaryFolder::new("debugpy")?;
        fs::write(folder.path().join("sitecustomize.py"), SITECUSTOMIZE)
            .map_err(|error| Failure::new(format!("preparing debugpy in {}: {error}", folder.path().display())))?;
        display::say(&format!("debugpy listens on 127.0.0.1:{port}: attach an editor to it"));
        Ok(Debugpy { port, waits, has_timeout: arguments.configuration.has_timeout(), folder })
    }

    /// Has it listen in `function`.
    pub fn attach_to(&self, function: &mut Function) {
        let path = function.environment.entry("PYTHONPATH".to_owned()).or_default();
        let separator = if path.is_empty() { "" } else { ":" };
        *path = format!("{}{separator}{path}", self.folder.path().display());
        function.environment.insert("WHIPSNAKE_DEBUGPY".to_owned(), self.port.to_string());
        if self.waits {
            function.environment.insert("WHIPSNAKE_DEBUGPY_WAITS".to_owned(), "1".to_owned());
        }
        function.init_timeout = Some(TIMEOUT);
        if !self.has_timeout {
            function.timeout = TIMEOUT;
        }
        // It warns about modules that are frozen into CPython and cannot be stepped into.
        function.environment.insert("PYDEVD_DISABLE_FILE_VALIDATION".to_owned(), "1".to_owned());
    }

    /// Removes what was prepared.
    pub fn tidy_up(&self) {
        let _ = fs::remove_dir_all(self.folder.path());
    }
}

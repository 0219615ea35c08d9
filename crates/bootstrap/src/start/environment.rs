//! Every environment variable that the bootstrap reads, read once. docs/environment.md is made from the table in this file.

use crate::build_info::BUILD;
use crate::start::proofs::OneThread;
use std::env;
use std::ffi::OsStr;
use std::path::Path;

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $field:ident: $name:literal,)+) => {
        /// The variables as they were when the process started. Bytes that are not UTF-8 are replaced.
        #[derive(Debug, Default)]
        pub struct Environment {
            $($(#[doc = $doc])+ pub $field: Option<String>,)+
        }

        impl Environment {
            /// Reads all variables. An empty one counts as absent, as in the managed runtime.
            pub fn read() -> Self {
                Self { $($field: read($name),)+ }
            }

            /// The name and the description of each variable, for the reference.
            #[cfg(test)]
            const REFERENCE: &[(&str, &str)] = &[$(($name, concat!($($doc),+)),)+];
        }
    };
}

variables! {
    /// The handler, `module.function`; a path such as `folder/module.function` is a module in that folder. A container image can name
    /// it as the only argument of `bootstrap` instead: `ENTRYPOINT ["/opt/bootstrap"]`, `CMD ["app.handler"]`.
    handler: "_HANDLER",
    /// The folder of the function's code, `/var/task`. First on `sys.path`; its `.pth` files are processed. If it is absent and the
    /// handler is an argument, the working directory.
    task_root: "LAMBDA_TASK_ROOT",
    /// The folder of the managed runtime, `/var/runtime`. On `sys.path`, and the `PYTHONPATH` of child processes.
    runtime_dir: "LAMBDA_RUNTIME_DIR",
    /// `host:port` of the Runtime API.
    runtime_api: "AWS_LAMBDA_RUNTIME_API",
    /// A program that gets the runtime's command line and runs it, with a changed environment or more options.
    exec_wrapper: "AWS_LAMBDA_EXEC_WRAPPER",
    /// The managed runtime that whipsnake stands in for. If absent, set to `AWS_Lambda_python3.X`, because third-party tools parse it.
    execution_env: "AWS_EXECUTION_ENV",
    /// `JSON`: log records are JSON objects. Anything else: text.
    log_format: "AWS_LAMBDA_LOG_FORMAT",
    /// `milliseconds`: timestamps of JSON log records such as `2026-11-21T01:52:05.123Z`. Anything else: whole seconds.
    log_timestamp_precision: "AWS_LAMBDA_LOG_TIMESTAMP_PRECISION",
    /// The root logger's level. `TRACE` counts as `DEBUG`. An unknown level leaves `WARNING`.
    log_level: "AWS_LAMBDA_LOG_LEVEL",
    /// A file descriptor for framed log records. Removed from the environment before the function starts.
    telemetry_log_fd: "_LAMBDA_TELEMETRY_LOG_FD",
    /// `snap-start` if Lambda takes a snapshot of the process. Then the hooks of `snapshot_restore_py` are called.
    initialization_type: "AWS_LAMBDA_INITIALIZATION_TYPE",
    /// How many invocations are served at once. One if absent. Lambda Managed Instances set it.
    max_concurrency: "AWS_LAMBDA_MAX_CONCURRENCY",
    /// With several invocations at once: a socket that each worker process connects its standard output and standard error to.
    log_provider: "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
    /// More folders for `sys.path`, before the layers and the standard library.
    python_path: "PYTHONPATH",
    /// Another standard library. CPython derives `sys.path` from it.
    python_home: "PYTHONHOME",
    /// The character set of C code. If this and `LC_ALL` are absent, set to `C.UTF-8`, as CPython does on Lambda, where the locale of
    /// `LANG` is not installed.
    lc_ctype: "LC_CTYPE",
    /// Overrides `LC_CTYPE`.
    lc_all: "LC_ALL",
    /// UTF-8 mode. On unless this is `0`.
    python_utf8: "PYTHONUTF8",
    /// The encoding of the standard streams. UTF-8 if absent.
    python_io_encoding: "PYTHONIOENCODING",
    /// Certificates that `ssl` trusts. If absent in a layer, which has its own OpenSSL, set to the system's file.
    ssl_cert_file: "SSL_CERT_FILE",
    /// `off`: the module archive that `whipsnake pack` has put into the package is not used.
    archive: "WHIPSNAKE_ARCHIVE",
    /// `asgi` or `wsgi` for a handler that is a web application and does not look like one, such as a function of `environ` and
    /// `start_response`.
    app: "WHIPSNAKE_APP",
    /// How web applications respond: `RESPONSE_STREAM` if the function's URL or REST API streams, else `BUFFERED`.
    invoke_mode: "WHIPSNAKE_INVOKE_MODE",
    /// The path of a web application below its front end, such as `/prod`: ASGI's `root_path` and WSGI's `SCRIPT_NAME`.
    root_path: "WHIPSNAKE_ROOT_PATH",
    /// `1`: Lambda sends SIGTERM before it ends the process. For that, an extension without events is registered.
    graceful_shutdown: "WHIPSNAKE_GRACEFUL_SHUTDOWN",
    /// An interpreter, possibly of a virtual environment, whose standard library and packages are used instead of those of the build. The
    /// wheel's command sets it, and puts the folder of that Python's library first into `LD_LIBRARY_PATH`. The function sees neither.
    whipsnake_python: "WHIPSNAKE_PYTHON",
    /// What serves several invocations at once: `tasks` of one event loop, `threads`, `processes` that are forked after the import of the
    /// function, or `isolated` processes that import it themselves. If absent, the function decides.
    whipsnake_concurrency: "WHIPSNAKE_CONCURRENCY",
    /// Whipsnake's own log on standard error: `error`, `warn`, `info`, `debug` or `trace`. Silent if absent.
    whipsnake_log: "WHIPSNAKE_LOG",
}

/// Where Amazon Linux has the certificates it trusts.
const SYSTEM_CERTIFICATES: &str = "/etc/pki/tls/certs/ca-bundle.crt";

fn read(name: &str) -> Option<String> {
    let value = env::var_os(name)?;
    (!value.is_empty()).then(|| value.to_string_lossy().into_owned())
}

/// Names the handler that stood on the command line of a container image, where Lambda's own variables name it for everything that reads
/// them. Its code lies in the working directory unless a variable says otherwise, as under awslambdaric. Call this before
/// [`Environment::read`].
pub fn name_handler(handler: &OsStr, _: &OneThread) {
    // SAFETY: there is one thread.
    unsafe {
        env::set_var("_HANDLER", handler);
        if let (None, Ok(folder)) = (read("LAMBDA_TASK_ROOT"), env::current_dir()) {
            env::set_var("LAMBDA_TASK_ROOT", folder);
        }
    }
}

impl Environment {
    /// Makes the process's environment what a function of the managed runtime sees. CPython copies the environment to `os.environ` when it
    /// starts, so later changes do not reach Python.
    pub fn complete(&self, _: &OneThread) {
        // SAFETY: there is one thread.
        unsafe {
            if self.execution_env.is_none() {
                env::set_var("AWS_EXECUTION_ENV", format!("AWS_Lambda_python{}", BUILD.version));
            }
            if self.lc_ctype.is_none() && self.lc_all.is_none() {
                // Otherwise the C library looks for LANG's locale in a dozen folders.
                env::set_var("LC_CTYPE", "C.UTF-8");
            }
            // The OpenSSL of a layer looks where it was built to look.
            if BUILD.home.is_some() && self.ssl_cert_file.is_none() && Path::new(SYSTEM_CERTIFICATES).is_file() {
                env::set_var("SSL_CERT_FILE", SYSTEM_CERTIFICATES);
            }
        }
    }

    /// Removes the variables that are for the runtime alone. Call this after a wrapper script had its turn: the runtime that the script
    /// starts reads the same variables.
    pub fn withhold(&self, _: &OneThread) {
        // The loader has read the variable. Its first folder was for this process only.
        let library_path = self.whipsnake_python.is_some().then(|| env::var("LD_LIBRARY_PATH").unwrap_or_default());
        // SAFETY: there is one thread.
        unsafe {
            env::remove_var("_LAMBDA_TELEMETRY_LOG_FD");
            env::remove_var("WHIPSNAKE_PYTHON");
            match library_path.as_deref().map(|path| path.split_once(':')) {
                Some(Some((_, others))) => env::set_var("LD_LIBRARY_PATH", others),
                Some(None) => env::remove_var("LD_LIBRARY_PATH"),
                None => {}
            }
        }
    }

    /// Whether module archives are used.
    pub fn uses_archives(&self) -> bool {
        self.archive.as_deref() != Some("off")
    }

    /// Whether log records are JSON objects.
    pub fn logs_json(&self) -> bool {
        self.log_format.as_deref().is_some_and(|format| format.eq_ignore_ascii_case("JSON"))
    }

    /// Whether the timestamps of JSON log records have milliseconds.
    pub fn logs_milliseconds(&self) -> bool {
        self.log_timestamp_precision.as_deref().is_some_and(|precision| precision.eq_ignore_ascii_case("milliseconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// `make docs` sets `WHIPSNAKE_WRITE_DOCS` to write the page instead of checking it.
    #[test]
    fn the_reference_page_is_current() {
        let mut page = String::from(
            "# Environment variables\n\nGenerated from `crates/bootstrap/src/start/environment.rs` by `make docs`. All are read once, when the \
             process starts. An empty one\ncounts as absent. All other `PYTHON*` variables mean the same to the embedded CPython as \
             to `python3`.\n\n| variable | meaning |\n|---|---|\n",
        );
        for (name, meaning) in Environment::REFERENCE {
            writeln!(page, "| `{name}` | {} |", meaning.trim()).expect("writing to memory");
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/environment.md");
        if env::var_os("WHIPSNAKE_WRITE_DOCS").is_some() {
            std::fs::write(path, &page).expect("docs/ can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page, "docs/environment.md is not what start/environment.rs says: run `make docs`");
    }
}

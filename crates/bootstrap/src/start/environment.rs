//! Every environment variable the bootstrap reads, read once. docs/environment.md is this file's table.

use crate::build_info::BUILD;
use crate::start::proofs::OneThread;
use std::env;
use std::ffi::OsStr;
use std::path::Path;

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $field:ident: $name:literal,)+) => {
        /// The variables as they were when the process started. One that is not UTF-8 is read with replacements.
        #[derive(Debug, Default)]
        pub struct Environment {
            $($(#[doc = $doc])+ pub $field: Option<String>,)+
        }

        impl Environment {
            /// Reads them all. An empty variable counts as absent, as it does in the managed runtime.
            pub fn read() -> Self {
                Self { $($field: read($name),)+ }
            }

            /// Name and description of each, for the reference.
            #[cfg(test)]
            const REFERENCE: &[(&str, &str)] = &[$(($name, concat!($($doc),+)),)+];
        }
    };
}

variables! {
    /// The handler, `module.function`; a path such as `folder/module.function` is a module in that folder. A container image can name
    /// it as the only argument of `bootstrap` instead: `ENTRYPOINT ["/opt/bootstrap"]`, `CMD ["app.handler"]`.
    handler: "_HANDLER",
    /// Where the function's code lies, `/var/task`. First on `sys.path`; its `.pth` files are processed. The working directory where the
    /// handler is an argument and this is absent.
    task_root: "LAMBDA_TASK_ROOT",
    /// Where the runtime lies, `/var/runtime`. On `sys.path`, and the `PYTHONPATH` that child processes see.
    runtime_dir: "LAMBDA_RUNTIME_DIR",
    /// `host:port` of the Runtime API.
    runtime_api: "AWS_LAMBDA_RUNTIME_API",
    /// A program that is given the runtime's command line, to start it with a changed environment or more options.
    exec_wrapper: "AWS_LAMBDA_EXEC_WRAPPER",
    /// Which managed runtime this stands in for. Set to `AWS_Lambda_python3.X` when absent: third-party tools parse it.
    execution_env: "AWS_EXECUTION_ENV",
    /// `JSON` for log records as JSON objects; anything else is text.
    log_format: "AWS_LAMBDA_LOG_FORMAT",
    /// `milliseconds` for timestamps of JSON log records such as `2026-11-21T01:52:05.123Z`; anything else is whole seconds.
    log_timestamp_precision: "AWS_LAMBDA_LOG_TIMESTAMP_PRECISION",
    /// The root logger's level. `TRACE` is `DEBUG`; an unknown one leaves `WARNING`.
    log_level: "AWS_LAMBDA_LOG_LEVEL",
    /// A file descriptor for framed log records. Removed from the environment before the function starts.
    telemetry_log_fd: "_LAMBDA_TELEMETRY_LOG_FD",
    /// `snap-start` where Lambda takes a snapshot of the process: then the hooks of `snapshot_restore_py` are called.
    initialization_type: "AWS_LAMBDA_INITIALIZATION_TYPE",
    /// How many invocations are to be served at once; absent: one. Lambda Managed Instances set it.
    max_concurrency: "AWS_LAMBDA_MAX_CONCURRENCY",
    /// With several invocations at once: a socket where each worker process gets its standard output and standard error.
    log_provider: "_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET",
    /// More folders for `sys.path`, before the layers and the standard library.
    python_path: "PYTHONPATH",
    /// Another standard library. CPython works out `sys.path` from it by itself.
    python_home: "PYTHONHOME",
    /// Character set of C code. Set to `C.UTF-8` when neither this nor `LC_ALL` is set, as CPython itself does on Lambda, where
    /// the locale that `LANG` names is not installed.
    lc_ctype: "LC_CTYPE",
    /// Overrides `LC_CTYPE`.
    lc_all: "LC_ALL",
    /// UTF-8 mode, on unless this is `0`.
    python_utf8: "PYTHONUTF8",
    /// Encoding of the standard streams, UTF-8 unless this says otherwise.
    python_io_encoding: "PYTHONIOENCODING",
    /// Certificates that `ssl` trusts. In a layer, where OpenSSL is another than the system's, set to the system's own file when
    /// absent.
    ssl_cert_file: "SSL_CERT_FILE",
    /// `off`: the module archive that `whipsnake pack` put beside the function is not used.
    archive: "WHIPSNAKE_ARCHIVE",
    /// `asgi` or `wsgi` where the handler is a web application that does not show it, such as a function that takes `environ` and
    /// `start_response`.
    app: "WHIPSNAKE_APP",
    /// How web applications answer: `RESPONSE_STREAM` where the function's URL or REST API streams, else `BUFFERED`.
    invoke_mode: "WHIPSNAKE_INVOKE_MODE",
    /// Where a web application lies below its front end, such as `/prod`: ASGI's `root_path` and WSGI's `SCRIPT_NAME`.
    root_path: "WHIPSNAKE_ROOT_PATH",
    /// `1` for a SIGTERM before Lambda ends the process, by registering an extension that does nothing else.
    graceful_shutdown: "WHIPSNAKE_GRACEFUL_SHUTDOWN",
    /// An interpreter, be it a virtual environment's, whose standard library and packages are used instead of those of the
    /// build. The command of the wheel sets it, and puts the folder of that Python's library first into `LD_LIBRARY_PATH`; the
    /// function sees neither.
    whipsnake_python: "WHIPSNAKE_PYTHON",
    /// What serves several invocations at once: `tasks` of one event loop, `threads`, `processes` forked from one that has imported the
    /// function, or `isolated` processes that import it themselves. As the function needs when absent.
    whipsnake_concurrency: "WHIPSNAKE_CONCURRENCY",
    /// Our own diagnosis on standard error: `error`, `warn`, `info`, `debug` or `trace`. Silent when absent.
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
             process starts; an empty one\ncounts as absent. Every other `PYTHON*` variable means to the embedded CPython what \
             it means to `python3`.\n\n| variable | meaning |\n|---|---|\n",
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

//! Configures, starts and owns CPython.

use crate::checkpoint::Request;
use crate::start::environment::Environment;
use crate::start::frozen_modules;
use crate::start::gc;
use crate::start::huge_pages;
use crate::start::site;
use libc::wchar_t;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fmt, fs, ptr};

/// The CPython this executable was built against. The places are empty where it is part of a wheel: `WHIPSNAKE_PYTHON` names
/// another CPython of the same version.
pub struct Build {
    /// Such as `3.14`.
    pub version: &'static str,
    /// The interpreter.
    pub executable: &'static CStr,
    /// Where Python lies when this executable is part of a layer: nothing beside the executable leads there.
    pub home: Option<&'static CStr>,
    prefix: &'static CStr,
    exec_prefix: &'static CStr,
    pub standard_library: &'static CStr,
    /// The standard library's zip, folder and extension modules.
    pub search_paths: &'static [&'static str],
    /// Where packages are installed for this Python.
    pub site_packages: &'static str,
    /// Where this Python's `site` looks for packages and `.pth` files.
    pub site_folders: &'static [&'static str],
    /// The same in a user's home.
    pub user_site: &'static str,
    /// Whether there is a frozen stand-in for `site`.
    pub stands_in_for_site: bool,
    /// Modules that are part of this interpreter itself.
    pub built_in: &'static [&'static str],
    /// What follows a module's name in that of its file, behind a dot.
    pub module_suffixes: &'static [&'static str],
}

/// What the build script found out.
pub const BUILD: Build = include!(concat!(env!("OUT_DIR"), "/build.rs"));

/// Whether this process was restored from a checkpoint.
static IS_RESTORED: AtomicBool = AtomicBool::new(false);

/// Says that this process was restored from a checkpoint.
pub fn note_restore() {
    IS_RESTORED.store(true, Ordering::Relaxed);
}

/// Tells Lambda which runtime this is, and whether it was restored from a checkpoint.
pub fn user_agent() -> &'static str {
    if IS_RESTORED.load(Ordering::Relaxed) {
        concat!("whipsnake/", env!("CARGO_PKG_VERSION"), " (restored)")
    } else {
        concat!("whipsnake/", env!("CARGO_PKG_VERSION"))
    }
}

/// Where the managed runtime's own files are, for functions that look at `sys.argv`.
const RUNTIME_DIR: &str = "/var/runtime";

/// What this process is to be.
#[derive(Debug)]
pub enum Role {
    /// Started by Lambda.
    Runtime,
    /// Started by Lambda from a container image whose command is this handler: `ENTRYPOINT ["/opt/bootstrap"]`, `CMD ["app.handler"]`.
    RuntimeOf(OsString),
    /// Started by a wrapper script, as `interpreter [options] script`: this command line.
    WrappedRuntime(Vec<OsString>),
    /// Started as a Python interpreter: under the name of one, or with another program as its script.
    Python,
    /// Started by `whipsnake pack` to dump itself.
    Checkpoint(Request),
}

impl Role {
    /// Reads it off the command line.
    pub fn of_this_process() -> Self {
        let mut arguments: Vec<OsString> = env::args_os().collect();
        if let Some(request) = Request::from_command_line(&arguments) {
            return Self::Checkpoint(request);
        }
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

/// Where in a command line of `python3` its script is, behind the options.
fn script_position(arguments: &[OsString]) -> Option<usize> {
    let mut position = 1;
    loop {
        position += match arguments.get(position)?.as_bytes() {
            b"-c" | b"-m" | b"-" => return None,
            // These have a value of their own.
            b"-X" | b"-W" | b"--check-hash-based-pycs" => 2,
            option if option.starts_with(b"-") => 1,
            _ => return Some(position),
        };
    }
}

/// Whether the one argument is the name of a handler, and not that of a script: with a Runtime API to serve, and where no file is.
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

/// Runs the whole of `python3`, the one this executable embeds, with this process's arguments. Returns its exit code.
pub fn run_as_python() -> Result<c_int, StartError> {
    let arguments = CStrings::new(env::args_os());
    let mut config = Config::new();
    // CPython finds its library from here, as if it had been started under this name.
    let named = env::var_os("WHIPSNAKE_PYTHON").and_then(|named| CString::new(named.into_vec()).ok());
    let executable = named.as_deref().unwrap_or(BUILD.executable);
    config.set_string("program_name", |config| &raw mut config.program_name, executable)?;
    if let (Some(home), None) = (BUILD.home, env::var_os("PYTHONHOME")) {
        config.set_string("home", |config| &raw mut config.home, home)?;
    }
    config.set_arguments(&arguments)?;
    config.start(false)?;
    // SAFETY: CPython has just been started with the arguments it is to run, and nothing of it is used afterwards.
    Ok(unsafe { ffi::Py_RunMain() })
}

/// A running CPython. This thread is its main thread.
pub struct Interpreter(());

impl Interpreter {
    /// Starts CPython as the managed runtime's `python3 /var/runtime/bootstrap.py` would be, but from what this executable
    /// knows about its Python, never from what is on `PATH`.
    pub fn start(environment: &Environment, role: &Role) -> Result<Self, StartError> {
        let options = match role {
            Role::WrappedRuntime(arguments) => Some(CStrings::new(arguments.iter().cloned())),
            Role::Runtime | Role::RuntimeOf(_) | Role::Python | Role::Checkpoint(_) => None,
        };
        preconfigure(environment, options.as_ref())?;
        let mut config = Config::new();
        config.fill(environment, options.as_ref())?;
        huge_pages::provide();
        let spares_site = options.is_none() && site::is_spared(environment);
        config.start(spares_site)?;
        tracing::debug!(python = BUILD.version, "CPython runs");
        let interpreter = Self(());
        // pyo3 makes this type when it takes its first exception. Where that is a RecursionError, the making fails with another
        // one, which pyo3 then waits for itself to take.
        interpreter.run(|py| drop(py.get_type::<pyo3::panic::PanicException>()));
        if spares_site {
            frozen_modules::forget_site();
            interpreter.run(site::complete).map_err(|error| StartError { doing: "site", reason: error.to_string() })?;
        }
        Ok(interpreter)
    }

    /// Runs `body` attached to Python, on the main thread.
    pub fn run<T>(&self, body: impl FnOnce(Python<'_>) -> T) -> T {
        Python::attach(body)
    }

    /// Ends CPython: atexit functions run, threads are joined, streams are flushed. False when something could not be flushed.
    pub fn finish(self) -> bool {
        // SAFETY: on the main thread, which holds the interpreter since it started it, and with nothing of Python borrowed.
        unsafe { ffi::Py_FinalizeEx() == 0 }
    }
}

/// The module `sys`. Looked into several times an invocation: an import would search for it each time.
pub fn sys(py: Python<'_>) -> &Bound<'_, PyModule> {
    static SYS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let sys = SYS.get_or_init(py, || py.import("sys").expect("every interpreter has sys").unbind());
    sys.bind(py)
}

/// A module that somebody has imported. The dictionary is the interpreter's own: a function may have put anything into `sys.modules`, or have
/// taken that away.
pub fn imported<'py>(py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: attached; CPython has the dictionary as long as it runs.
    let modules = unsafe { Borrowed::from_ptr(py, ffi::PyImport_GetModuleDict()) };
    modules.cast::<PyDict>()?.get_item(name)
}

/// Why CPython did not start.
#[derive(Debug)]
pub struct StartError {
    doing: &'static str,
    reason: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Build { version, prefix, .. } = BUILD;
        let Self { doing, reason } = self;
        if prefix.is_empty() {
            return write!(f, "could not start CPython {version} of WHIPSNAKE_PYTHON: {doing} failed: {reason}");
        }
        let prefix = prefix.to_string_lossy();
        write!(
            f,
            "could not start CPython {version} of {prefix}: {doing} failed: {reason}. If that Python has moved, run `make build` \
             again"
        )
    }
}

impl std::error::Error for StartError {}

fn check(doing: &'static str, status: ffi::PyStatus) -> Result<(), StartError> {
    // SAFETY: PyStatus is a plain value; the functions read it.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    // SAFETY: where set, the message is a static string of CPython's.
    let reason =
        (!status.err_msg.is_null()).then(|| unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned());
    Err(StartError { doing, reason: reason.unwrap_or_else(|| format!("exit status {}", status.exitcode)) })
}

/// What CPython decides before it can read strings: UTF-8 mode, locale, allocator.
fn preconfigure(environment: &Environment, options: Option<&CStrings>) -> Result<(), StartError> {
    // SAFETY: filled by the next call before anything reads it.
    let mut preconfig: ffi::PyPreConfig = unsafe { std::mem::zeroed() };
    // SAFETY: a valid pointer to a configuration of ours, here and below.
    unsafe { ffi::PyPreConfig_InitPythonConfig(&raw mut preconfig) };
    if environment.python_utf8.is_none() {
        preconfig.utf8_mode = 1;
    }
    let status = match options {
        // SAFETY: as above, and the arguments outlive the call.
        Some(options) => unsafe {
            ffi::Py_PreInitializeFromBytesArgs(&raw const preconfig, options.len() as _, options.pointers())
        },
        None => {
            preconfig.parse_argv = 0;
            // SAFETY: as above.
            unsafe { ffi::Py_PreInitialize(&raw const preconfig) }
        }
    };
    check("preinitialisation", status)
}

struct Config(ffi::PyConfig);

impl Config {
    fn new() -> Self {
        // SAFETY: filled by the next call before anything reads it.
        let mut config = Self(unsafe { std::mem::zeroed() });
        // SAFETY: a valid pointer to a configuration of ours.
        unsafe { ffi::PyConfig_InitPythonConfig(&raw mut config.0) };
        config
    }

    fn fill(&mut self, environment: &Environment, options: Option<&CStrings>) -> Result<(), StartError> {
        let runtime_dir = environment.runtime_dir.as_deref().unwrap_or(RUNTIME_DIR);
        match (&environment.python_home, &environment.whipsnake_python) {
            (Some(_), _) => {}
            // From here CPython finds its library and the packages as it does when it is started under this name.
            (None, Some(python)) => {
                let python = CString::new(python.as_str()).expect("variables have no NUL");
                self.set_string("program_name", |config| &raw mut config.program_name, &python)?;
            }
            (None, None) => self.locate(environment)?,
        }
        if environment.python_io_encoding.is_none() {
            self.set_string("stdio_encoding", |config| &raw mut config.stdio_encoding, c"utf-8")?;
            // As in the locale that Lambda's Python finds itself in: the name of a file that is not UTF-8 can be printed.
            self.set_string("stdio_errors", |config| &raw mut config.stdio_errors, c"surrogateescape")?;
        }
        if let Some(options) = options {
            self.set_arguments(options)?;
            // SAFETY: as above. Reads the options, so that argv can be replaced by what functions expect to see.
            check("interpreter options", unsafe { ffi::PyConfig_Read(&raw mut self.0) })?;
        }
        self.0.parse_argv = 0;
        // SAFETY: a list inside a configuration of ours.
        let status =
            unsafe { ffi::PyConfig_SetWideStringList(&raw mut self.0, &raw mut self.0.argv, 0, ptr::null_mut()) };
        check("argv", status)?;
        self.append("argv", |config| &raw mut config.argv, &format!("{runtime_dir}/bootstrap.py"))
    }

    /// A command line for CPython to read.
    fn set_arguments(&mut self, arguments: &CStrings) -> Result<(), StartError> {
        self.0.parse_argv = 1;
        let (count, pointers) = (arguments.len() as _, arguments.pointers().cast());
        // SAFETY: a configuration of ours, and arguments that outlive the call, which copies them.
        check("argv", unsafe { ffi::PyConfig_SetBytesArgv(&raw mut self.0, count, pointers) })
    }

    /// Where this Python lies, so that nothing has to be searched for.
    fn locate(&mut self, environment: &Environment) -> Result<(), StartError> {
        self.set_string("executable", |config| &raw mut config.executable, BUILD.executable)?;
        self.set_string("base_executable", |config| &raw mut config.base_executable, BUILD.executable)?;
        self.set_string("prefix", |config| &raw mut config.prefix, BUILD.prefix)?;
        self.set_string("base_prefix", |config| &raw mut config.base_prefix, BUILD.prefix)?;
        self.set_string("exec_prefix", |config| &raw mut config.exec_prefix, BUILD.exec_prefix)?;
        self.set_string("base_exec_prefix", |config| &raw mut config.base_exec_prefix, BUILD.exec_prefix)?;
        self.set_string("stdlib_dir", |config| &raw mut config.stdlib_dir, BUILD.standard_library)?;
        let python_path = environment.python_path.as_deref().map(|path| path.split(':')).into_iter().flatten();
        self.0.module_search_paths_set = 1;
        for path in
            environment.runtime_dir.as_deref().into_iter().chain(python_path).chain(BUILD.search_paths.iter().copied())
        {
            self.append("module_search_paths", |config| &raw mut config.module_search_paths, path)?;
        }
        Ok(())
    }

    fn set_string(
        &mut self,
        field: &'static str,
        place: impl FnOnce(&mut ffi::PyConfig) -> *mut *mut wchar_t,
        value: &CStr,
    ) -> Result<(), StartError> {
        let place = place(&mut self.0);
        // SAFETY: the place is a field of this configuration; CPython copies the value.
        check(field, unsafe { ffi::PyConfig_SetBytesString(&raw mut self.0, place, value.as_ptr()) })
    }

    fn append(
        &mut self,
        field: &'static str,
        place: impl FnOnce(&mut ffi::PyConfig) -> *mut ffi::PyWideStringList,
        value: &str,
    ) -> Result<(), StartError> {
        let wide: Vec<wchar_t> = value.chars().map(|character| character as wchar_t).chain([0]).collect();
        // SAFETY: the place is a list in this configuration; CPython copies the NUL-terminated value.
        check(field, unsafe { ffi::PyWideStringList_Append(place(&mut self.0), wide.as_ptr()) })
    }

    fn start(self, spares_site: bool) -> Result<(), StartError> {
        frozen_modules::register();
        if spares_site {
            gc::off_while_starting();
            frozen_modules::stand_in_for_zipimport();
        } else {
            frozen_modules::forget_site();
        }
        // SAFETY: the one call that starts CPython, with a configuration that is filled.
        check("initialisation", unsafe { ffi::Py_InitializeFromConfig(&raw const self.0) })
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and nothing points into it any more.
        unsafe { ffi::PyConfig_Clear(&raw mut self.0) };
    }
}

/// Arguments in the form C wants them.
struct CStrings {
    owned: Vec<CString>,
    pointers: Vec<*mut c_char>,
}

impl CStrings {
    fn new(arguments: impl Iterator<Item = OsString>) -> Self {
        let owned: Vec<CString> =
            arguments.map(|argument| CString::new(argument.into_vec()).expect("arguments have no NUL")).collect();
        let pointers = owned.iter().map(|argument| argument.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect();
        Self { owned, pointers }
    }

    fn len(&self) -> c_int {
        c_int::try_from(self.owned.len()).expect("the kernel's limit on arguments is lower")
    }

    /// Ends with a null pointer. Valid as long as `self`; CPython only reads through it, whatever the type says.
    fn pointers(&self) -> *mut *mut c_char {
        self.pointers.as_ptr().cast_mut()
    }
}

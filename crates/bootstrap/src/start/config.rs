//! CPython's configuration (`PyConfig`).

use crate::build_info::{BUILD, Build};
use crate::start::environment::Environment;
use crate::start::frozen_modules;
use crate::start::gc;
use crate::start::proofs::{BeforeImports, BeforePython};
use libc::wchar_t;
use pyo3::ffi;
use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt;
use std::{fmt, ptr};

/// The folder of the managed runtime's own files, for functions that look at `sys.argv`.
const RUNTIME_DIR: &str = "/var/runtime";

/// Why CPython did not start.
#[derive(Debug)]
pub struct StartError {
    /// The step that failed.
    pub doing: &'static str,
    /// CPython's own words.
    pub reason: String,
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
    // SAFETY: the message, if there is one, is a static string of CPython's.
    let reason =
        (!status.err_msg.is_null()).then(|| unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned());
    Err(StartError { doing, reason: reason.unwrap_or_else(|| format!("exit status {}", status.exitcode)) })
}

/// Configures what CPython decides before it can read strings: UTF-8 mode, locale, allocator.
pub fn preconfigure(environment: &Environment, options: Option<&CStrings>) -> Result<(), StartError> {
    // SAFETY: filled by the next call before anything reads it.
    let mut preconfig: ffi::PyPreConfig = unsafe { std::mem::zeroed() };
    // SAFETY: a valid pointer to our own configuration, here and below.
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
    check("preinitialization", status)
}

/// The configuration that CPython starts with.
pub struct Config(ffi::PyConfig);

impl Config {
    /// The configuration of `python3`.
    pub fn new() -> Self {
        // SAFETY: filled by the next call before anything reads it.
        let mut config = Self(unsafe { std::mem::zeroed() });
        // SAFETY: a valid pointer to our own configuration.
        unsafe { ffi::PyConfig_InitPythonConfig(&raw mut config.0) };
        config
    }

    /// Configures CPython as the runtime needs it.
    pub fn fill(&mut self, environment: &Environment, options: Option<&CStrings>) -> Result<(), StartError> {
        let runtime_dir = environment.runtime_dir.as_deref().unwrap_or(RUNTIME_DIR);
        match (&environment.python_home, &environment.whipsnake_python) {
            (Some(_), _) => {}
            // CPython finds its library and the packages from here, as if it had been started under this name.
            (None, Some(python)) => {
                let python = CString::new(python.as_str()).expect("variables have no NUL");
                self.set_string("program_name", |config| &raw mut config.program_name, &python)?;
            }
            (None, None) => self.locate(environment)?,
        }
        if environment.python_io_encoding.is_none() {
            self.set_string("stdio_encoding", |config| &raw mut config.stdio_encoding, c"utf-8")?;
            // As in the locale of Lambda's Python: a file name that is not UTF-8 can be printed.
            self.set_string("stdio_errors", |config| &raw mut config.stdio_errors, c"surrogateescape")?;
        }
        if let Some(options) = options {
            self.set_arguments(options)?;
            // SAFETY: as above. Reads the options, so that argv can be replaced by what functions expect.
            check("interpreter options", unsafe { ffi::PyConfig_Read(&raw mut self.0) })?;
        }
        self.0.parse_argv = 0;
        // SAFETY: a list in our configuration.
        let status =
            unsafe { ffi::PyConfig_SetWideStringList(&raw mut self.0, &raw mut self.0.argv, 0, ptr::null_mut()) };
        check("argv", status)?;
        self.append("argv", |config| &raw mut config.argv, &format!("{runtime_dir}/bootstrap.py"))
    }

    /// Sets a command line that CPython is to read.
    pub fn set_arguments(&mut self, arguments: &CStrings) -> Result<(), StartError> {
        self.0.parse_argv = 1;
        let (count, pointers) = (arguments.len() as _, arguments.pointers().cast());
        // SAFETY: our configuration, and arguments that outlive the call, which copies them.
        check("argv", unsafe { ffi::PyConfig_SetBytesArgv(&raw mut self.0, count, pointers) })
    }

    /// Sets the folders of this Python, so that CPython does not search for them.
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

    pub fn set_string(
        &mut self,
        field: &'static str,
        place: impl FnOnce(&mut ffi::PyConfig) -> *mut *mut wchar_t,
        value: &CStr,
    ) -> Result<(), StartError> {
        let place = place(&mut self.0);
        // SAFETY: the pointer is to a field of this configuration. CPython copies the value.
        check(field, unsafe { ffi::PyConfig_SetBytesString(&raw mut self.0, place, value.as_ptr()) })
    }

    fn append(
        &mut self,
        field: &'static str,
        place: impl FnOnce(&mut ffi::PyConfig) -> *mut ffi::PyWideStringList,
        value: &str,
    ) -> Result<(), StartError> {
        let wide: Vec<wchar_t> = value.chars().map(|character| character as wchar_t).chain([0]).collect();
        // SAFETY: the pointer is to a list in this configuration. CPython copies the NUL-terminated value.
        check(field, unsafe { ffi::PyWideStringList_Append(place(&mut self.0), wide.as_ptr()) })
    }

    /// Starts CPython. `spares_site`: with the stand-in for `site`.
    pub fn start(self, spares_site: bool, before: BeforePython) -> Result<BeforeImports, StartError> {
        frozen_modules::register(spares_site, &before);
        if spares_site {
            gc::off_while_starting(&before);
            frozen_modules::stand_in_for_zipimport(&before);
        }
        // SAFETY: the only call that starts CPython, with a complete configuration.
        check("initialization", unsafe { ffi::Py_InitializeFromConfig(&raw const self.0) })?;
        Ok(before.python_has_started())
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, and nothing points into it any more.
        unsafe { ffi::PyConfig_Clear(&raw mut self.0) };
    }
}

/// Arguments as C takes them.
pub struct CStrings {
    owned: Vec<CString>,
    pointers: Vec<*mut c_char>,
}

impl CStrings {
    /// Copies arguments.
    pub fn new(arguments: impl Iterator<Item = OsString>) -> Self {
        let owned: Vec<CString> =
            arguments.map(|argument| CString::new(argument.into_vec()).expect("arguments have no NUL")).collect();
        let pointers = owned.iter().map(|argument| argument.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect();
        Self { owned, pointers }
    }

    fn len(&self) -> c_int {
        c_int::try_from(self.owned.len()).expect("the kernel limits the number of arguments")
    }

    /// A list that ends with a null pointer. It is valid as long as `self`. CPython only reads through it.
    fn pointers(&self) -> *mut *mut c_char {
        self.pointers.as_ptr().cast_mut()
    }
}

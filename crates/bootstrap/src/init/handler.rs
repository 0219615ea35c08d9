//! Imports the module of `module.function` and finds the function, by the managed runtime's rules. A failed import gets the managed
//! runtime's error type and message here.

use crate::init::caller::{self, Caller};
use crate::report::traceback::{self, Failure};
use pyo3::exceptions::{PyAttributeError, PyImportError, PySyntaxError};
use pyo3::prelude::*;
use whipsnake_runtime_api::{Fault, Frame};

/// The built-in modules of the managed runtime's builds. Another build may have more, and a function may have a file `math.py` all the
/// same.
#[rustfmt::skip]
pub const BUILT_IN: &[&str] = &[
    "_abc", "_ast", "_codecs", "_collections", "_functools", "_imp", "_io", "_locale", "_operator", "_signal", "_sre",
    "_stat", "_string", "_suggestions", "_symtable", "_sysconfig", "_thread", "_tokenize", "_tracemalloc", "_typing",
    "_warnings", "_weakref", "atexit", "builtins", "errno", "faulthandler", "gc", "itertools", "marshal", "posix", "pwd",
    "sys", "time",
];

/// The function: any callable.
pub struct Handler(Py<PyAny>);

impl From<Bound<'_, PyAny>> for Handler {
    fn from(function: Bound<'_, PyAny>) -> Self {
        Self(function.unbind())
    }
}

impl Handler {
    /// Imports the module and gets the function from it. A function that cannot be called fails at the first invocation.
    pub fn find(py: Python<'_>, handler: &str) -> Result<Self, Failure> {
        let Some((module, function)) = handler.rsplit_once('.') else {
            return Err(Failure::from(Fault::new(
                "Runtime.MalformedHandlerName",
                format!("Bad handler '{handler}': not enough values to unpack (expected 2, got 1)"),
            )));
        };
        if module.split('.').next().is_some_and(|first| BUILT_IN.contains(&first)) {
            return Err(Failure::from(Fault::new(
                "Runtime.BuiltInModuleConflict",
                format!("Cannot use built-in module {module} as a handler module"),
            )));
        }
        let name = module.replace('/', ".");
        let imported = {
            let name = name.clone();
            let import = move |py: Python<'_>| import(py, &name).map(Bound::unbind);
            caller::call(py, Caller::GetHandler, import).and_then(|imported| imported)
        };
        let imported = imported.map_err(|error| import_failure(py, module, &name, error))?.into_bound(py);
        match imported.getattr(function) {
            Ok(function) => Ok(Self(function.unbind())),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => Err(Failure::from(Fault::new(
                "Runtime.HandlerNotFound",
                format!("Handler '{function}' missing on module '{module}'"),
            ))),
            Err(error) => Err(traceback::failure(py, error)),
        }
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// Whether a call returns something to await or to iterate asynchronously, as far as the function shows that.
    pub fn is_async(&self, py: Python<'_>) -> PyResult<bool> {
        let handler = self.0.bind(py);
        py.import("whipsnake._concurrency")?.call_method1("is_async", (handler,))?.is_truthy()
    }

    /// The function itself.
    pub fn function<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.0.bind(py)
    }

    /// Calls the function as the managed runtime does: with two positional arguments.
    pub fn call<'py>(&self, event: &Bound<'py, PyAny>, context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.0.bind(event.py()).call1((event, context))
    }
}

/// Imports `name` by the import system's Python function. Its frames are part of the report, and the C function would remove them. A
/// relative name goes to `importlib`, which refuses it with its own message.
fn import<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    if is_relative(name) {
        return py.import("importlib")?.call_method1("import_module", (name,));
    }
    // `importlib.import_module` calls this. The package importlib itself would have to be found and read.
    py.import("_frozen_importlib")?.call_method1("_gcd_import", (name,))
}

fn is_relative(name: &str) -> bool {
    name.starts_with('.')
}

fn import_failure(py: Python<'_>, module: &str, name: &str, error: PyErr) -> Failure {
    if error.is_instance_of::<PyImportError>(py) {
        return traceback::runtime_fault(py, error, |reason| {
            Fault::new("Runtime.ImportModuleError", format!("Unable to import module '{module}': {reason}"))
        });
    }
    if error.is_instance_of::<PySyntaxError>(py) {
        let place = syntax_error_place(py, &error).unwrap_or_default();
        return traceback::runtime_fault(py, error, |reason| Fault {
            stack_trace: vec![place],
            ..Fault::new("Runtime.UserCodeSyntaxError", format!("Syntax error in module '{module}': {reason}"))
        });
    }
    match traceback::failure(py, error) {
        Failure::Fault(mut fault, exception) if fault.frames.is_some() && !is_relative(name) => {
            add_importlib_frame(py, &mut fault);
            Failure::Fault(fault, exception)
        }
        other => other,
    }
}

/// The position of a syntax error, in the managed runtime's own format.
fn syntax_error_place(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let part = |name: &str| -> PyResult<String> { Ok(traceback::text(&error.value(py).getattr(name)?.str()?)) };
    Ok(format!("  File \"{}\" Line {}\n    {}", part("filename")?, part("lineno")?, part("text")?))
}

/// The frame of `importlib.import_module`, which the managed runtime's stack begins with.
fn add_importlib_frame(py: Python<'_>, fault: &mut Fault) {
    let entry = || -> PyResult<(String, Frame)> {
        let code = py.import("importlib")?.getattr("import_module")?.getattr("__code__")?;
        let path: String = code.getattr("co_filename")?.extract()?;
        // The call is on the function's last line.
        let mut line = 0;
        for range in code.call_method0("co_lines")?.try_iter()? {
            let (_, _, number): (usize, usize, Option<u32>) = range?.extract()?;
            line = line.max(number.unwrap_or(0));
        }
        let source: String = py.import("linecache")?.call_method1("getline", (&path, line))?.extract()?;
        let formatted = format!("  File \"{path}\", line {line}, in import_module\n    {}\n", source.trim());
        Ok((formatted, Frame { label: "import_module".into(), path, line: Some(line) }))
    };
    if let Ok((formatted, frame)) = entry() {
        fault.stack_trace.insert(0, formatted);
        if let Some(frames) = &mut fault.frames {
            frames.insert(0, frame);
        }
    }
}

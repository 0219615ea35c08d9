//! The init phase: makes the process look as the function expects it, then imports the function.

pub mod archive;
pub mod awslambdaric;
pub mod caller;
pub mod compile;
pub mod context;
pub mod handler;
pub mod meta_path;
pub mod os_environ;
pub mod stdlib_paths;
pub mod web_app;

use crate::build_info::BUILD;
use crate::imported_modules::sys;
use crate::init::context::ContextFactory;
use crate::init::handler::Handler;
use crate::init::stdlib_paths::StdlibPaths;
use crate::report::log::Log;
use crate::report::stdio;
use crate::report::traceback::{self, Failure};
use crate::start::environment::Environment;
use crate::start::gc::DeferredCollections;
use crate::start::site;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// A process that is ready to import its function.
pub struct Prepared {
    /// The function's log.
    pub log: Py<Log>,
    /// Makes context objects.
    pub contexts: ContextFactory,
    /// The function, in a process that was restored from a checkpoint of the whole init phase. A web application is not started yet.
    pub handler: Option<Handler>,
}

impl Prepared {
    /// Prepares everything that must exist before the function is imported.
    pub fn new(py: Python<'_>, environment: &Environment) -> PyResult<Self> {
        let log = Bound::new(py, Log::open(environment))?;
        let collections = DeferredCollections::new(py)?;
        stdio::set_up(py)?;
        let paths = StdlibPaths::find(py, environment)?;
        meta_path::set_up(&log, &paths)?;
        compile::set_up(py)?;
        archive::set_up(py, environment)?;
        set_up_paths(py, environment, &paths)?;
        awslambdaric::provide_main(py)?;
        let contexts = ContextFactory::new(&log)?;
        collections.resume(py)?;
        Ok(Self { log: log.unbind(), contexts, handler: None })
    }
}

/// Renews what the copies of a checkpoint must not share, and runs the function's hooks. The Runtime API can be reached by then.
pub fn complete_restore(py: Python<'_>) -> PyResult<()> {
    py.import("whipsnake._checkpoint")?.call_method0("after").map(drop)
}

/// Imports the function. If it is a web application, starts it.
pub fn import_handler(py: Python<'_>, environment: &Environment) -> Result<Handler, Failure> {
    without_collections(py, || {
        let handler = find_handler(py, environment.handler.as_deref().unwrap_or(""))?;
        start_application(py, &handler, environment)
    })
}

/// Imports the function. If it is a web application, imports its adapter, but does not start the application.
pub fn import_handler_only(py: Python<'_>, environment: &Environment) -> Result<Handler, Failure> {
    without_collections(py, || {
        let handler = find_handler(py, environment.handler.as_deref().unwrap_or(""))?;
        web_app::load(handler.function(py), environment)?;
        Ok(handler)
    })
}

/// Starts the web application if the handler is one, and returns its adapter. Other handlers are returned as they are.
pub fn start_application(py: Python<'_>, handler: &Handler, environment: &Environment) -> Result<Handler, Failure> {
    web_app::adapted(handler.function(py).clone(), environment).map(Handler::from)
}

fn without_collections<T>(py: Python<'_>, body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let raised = |error| traceback::failure(py, error);
    let collections = DeferredCollections::new(py).map_err(raised)?;
    let result = body();
    collections.resume(py).map_err(raised)?;
    result
}

fn find_handler(py: Python<'_>, name: &str) -> Result<Handler, Failure> {
    let raised = |error| traceback::failure(py, error);
    let modules = sys(py).getattr(intern!(py, "modules")).and_then(|modules| Ok(modules.cast_into::<PyDict>()?));
    // Only a `.pth` file or `sitecustomize` can have imported the names before the function.
    if awslambdaric::is_imported(&modules.map_err(raised)?)
        && let Some(handler) = awslambdaric::get_handler(py, name).map_err(raised)?
    {
        return Ok(Handler::from(handler));
    }
    Handler::find(py, name)
}

/// Puts `sys.path` into the managed runtime's order: the function, layers, then Python's own. With a PYTHONPATH the managed runtime forgets
/// the layers; here they follow it.
fn set_up_paths(py: Python<'_>, environment: &Environment, paths: &StdlibPaths) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    let mut layers =
        vec![String::from("/opt/python"), format!("/opt/python/lib/python{}/site-packages", BUILD.version)];
    if cfg!(Py_GIL_DISABLED) {
        // The name that installers of a free-threaded Python use. It comes before the name that Lambda documents.
        layers.push(format!("/opt/python/lib/python{}t/site-packages", BUILD.version));
    }
    if let (Some(_), Some(runtime_dir)) = (&environment.whipsnake_python, &environment.runtime_dir) {
        path.insert(0, runtime_dir)?;
    }
    if environment.python_path.is_none() {
        for folder in paths.site_packages.iter().rev() {
            path.insert(0, folder)?;
        }
        for folder in &layers {
            path.insert(0, folder)?;
        }
        if let Some(runtime_dir) = &environment.runtime_dir {
            os_environ::set(py, intern!(py, "PYTHONPATH"), Some(runtime_dir))?;
        }
    } else {
        // Not found if PYTHONHOME names another standard library.
        let standard_library = path.index(paths.search_paths.first()).unwrap_or_else(|_| path.len());
        for folder in &layers {
            path.insert(standard_library, folder)?;
        }
    }
    if let Some(task_root) = &environment.task_root {
        path.insert(0, task_root)?;
    }
    for folder in environment.task_root.iter().chain(layers.iter().rev()).filter(|folder| site::has_path_files(folder))
    {
        py.import("site")?.call_method1("addsitedir", (folder,))?;
    }
    Ok(())
}

//! Web applications as handlers: detects them, and adapts them (python/src/whipsnake/_asgi.py, _wsgi.py).
//!
//! A function that could be a handler is never taken for an application. For a plain function, detection reads its code object.

use crate::report::traceback::{self, Failure};
use crate::start::environment::Environment;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyTuple, PyType};
use whipsnake_runtime_api::Fault;

/// `inspect.CO_COROUTINE`.
const COROUTINE: u32 = 0x80;

/// The number of an ASGI application's arguments: scope, receive and send. Handlers have two arguments.
const ASGI_ARGUMENTS: usize = 3;

/// WSGI applications, by class. Their arguments look like a handler's.
const WSGI_CLASSES: &[(&str, &str)] = &[
    ("bottle", "Bottle"),
    ("django.core.handlers.wsgi", "WSGIHandler"),
    ("falcon.app", "App"),
    ("flask.app", "Flask"),
    ("pyramid.router", "Router"),
];

/// The adapter of the handler if that is an application, else the handler itself.
pub fn adapted<'py>(handler: Bound<'py, PyAny>, environment: &Environment) -> Result<Bound<'py, PyAny>, Failure> {
    let py = handler.py();
    let Some(interface) = interface(&handler, environment)? else { return Ok(handler) };
    let streams = match environment.invoke_mode.as_deref() {
        None | Some("BUFFERED") => false,
        Some("RESPONSE_STREAM") => true,
        Some(other) => return Err(unknown("WHIPSNAKE_INVOKE_MODE", other, "BUFFERED or RESPONSE_STREAM")),
    };
    let root_path = match environment.root_path.as_deref().unwrap_or("").trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    };
    py.import(format!("whipsnake.{interface}"))
        .and_then(|module| module.getattr("Application")?.call1((handler, streams, root_path)))
        .map_err(|error| traceback::failure(py, error))
}

/// Imports the adapter if the handler is an application.
pub fn load(handler: &Bound<'_, PyAny>, environment: &Environment) -> Result<(), Failure> {
    let py = handler.py();
    let Some(interface) = interface(handler, environment)? else { return Ok(()) };
    py.import(format!("whipsnake.{interface}")).map(drop).map_err(|error| traceback::failure(py, error))
}

/// The module that adapts the handler, by `WHIPSNAKE_APP` or by what the handler looks like. `None` for handlers that are no applications.
fn interface(handler: &Bound<'_, PyAny>, environment: &Environment) -> Result<Option<&'static str>, Failure> {
    match environment.app.as_deref() {
        // A handler that raises when it is inspected is no application.
        None => Ok(interface_of(handler).unwrap_or_default()),
        Some("asgi") => Ok(Some("_asgi")),
        Some("wsgi") => Ok(Some("_wsgi")),
        Some(other) => Err(unknown("WHIPSNAKE_APP", other, "asgi or wsgi")),
    }
}

fn unknown(variable: &str, value: &str, known: &str) -> Failure {
    Fault::new("Runtime.InvalidEnvironment", format!("{variable} is {value:?}, and should be {known}")).into()
}

/// The module that adapts a handler which is certainly an application.
fn interface_of(handler: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    if let Ok(function) = handler.cast::<PyFunction>() {
        return Ok(is_asgi(function, ASGI_ARGUMENTS)?.then_some("_asgi"));
    }
    let class = handler.get_type();
    let call = class.getattr(intern!(handler.py(), "__call__"))?;
    match call.cast::<PyFunction>() {
        // One more argument, for `self`.
        Ok(call) if is_asgi(call, ASGI_ARGUMENTS + 1)? => Ok(Some("_asgi")),
        _ => Ok(is_wsgi(&class, &call)?.then_some("_wsgi")),
    }
}

/// Whether a function is `async` and needs this number of arguments.
fn is_asgi(function: &Bound<'_, PyFunction>, arguments: usize) -> PyResult<bool> {
    let py = function.py();
    let code = function.getattr(intern!(py, "__code__"))?;
    if code.getattr(intern!(py, "co_flags"))?.extract::<u32>()? & COROUTINE == 0 {
        return Ok(false);
    }
    let positional: usize = code.getattr("co_argcount")?.extract()?;
    let optional = function.getattr("__defaults__")?.cast_into::<PyTuple>().map_or(0, |defaults| defaults.len());
    // A function may have more defaults than arguments.
    Ok(positional == arguments + optional)
}

/// Whether a class is a WSGI framework's and has the framework's own `__call__`. A subclass with another one may take events itself.
fn is_wsgi(class: &Bound<'_, PyType>, call: &Bound<'_, PyAny>) -> PyResult<bool> {
    for ancestor in class.mro().iter() {
        let ancestor = ancestor.cast_into::<PyType>()?;
        let (module, name) = (ancestor.module()?, ancestor.qualname()?);
        if WSGI_CLASSES.contains(&(module.to_str()?, name.to_str()?)) {
            return Ok(ancestor.getattr("__call__")?.is(call));
        }
    }
    Ok(false)
}

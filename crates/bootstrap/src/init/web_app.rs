//! Web applications as handlers: tells whether the handler is one, and has it adapted (python/src/whipsnake/_asgi.py, _wsgi.py).
//!
//! Nothing is taken for an application that could be a handler. A plain function costs a look at its code object.

use crate::report::traceback::{self, Failure};
use crate::start::environment::Environment;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyTuple, PyType};
use whipsnake_runtime_api::Fault;

/// `inspect.CO_COROUTINE`.
const COROUTINE: u32 = 0x80;

/// What `ASGI` calls an application with: scope, receive and send. Handlers are called with two arguments.
const ASGI_ARGUMENTS: usize = 3;

/// WSGI applications by their class, because what they are called with looks like a handler's arguments.
const WSGI_CLASSES: &[(&str, &str)] = &[
    ("bottle", "Bottle"),
    ("django.core.handlers.wsgi", "WSGIHandler"),
    ("falcon.app", "App"),
    ("flask.app", "Flask"),
    ("pyramid.router", "Router"),
];

/// The handler, or what serves the application that it is.
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

/// Imports what serves the application, where the handler is one.
pub fn load(handler: &Bound<'_, PyAny>, environment: &Environment) -> Result<(), Failure> {
    let py = handler.py();
    let Some(interface) = interface(handler, environment)? else { return Ok(()) };
    py.import(format!("whipsnake.{interface}")).map(drop).map_err(|error| traceback::failure(py, error))
}

/// The module that serves the handler, where that is an application by `WHIPSNAKE_APP` or by its own look.
fn interface(handler: &Bound<'_, PyAny>, environment: &Environment) -> Result<Option<&'static str>, Failure> {
    match environment.app.as_deref() {
        // What cannot even be asked is a handler of a kind of its own.
        None => Ok(interface_of(handler).unwrap_or_default()),
        Some("asgi") => Ok(Some("_asgi")),
        Some("wsgi") => Ok(Some("_wsgi")),
        Some(other) => Err(unknown("WHIPSNAKE_APP", other, "asgi or wsgi")),
    }
}

fn unknown(variable: &str, value: &str, known: &str) -> Failure {
    Fault::new("Runtime.InvalidEnvironment", format!("{variable} is {value:?}, and should be {known}")).into()
}

/// The module that serves what is an application for sure.
fn interface_of(handler: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    if let Ok(function) = handler.cast::<PyFunction>() {
        return Ok(is_asgi(function, ASGI_ARGUMENTS)?.then_some("_asgi"));
    }
    let class = handler.get_type();
    let call = class.getattr(intern!(handler.py(), "__call__"))?;
    match call.cast::<PyFunction>() {
        // And `self`.
        Ok(call) if is_asgi(call, ASGI_ARGUMENTS + 1)? => Ok(Some("_asgi")),
        _ => Ok(is_wsgi(&class, &call)?.then_some("_wsgi")),
    }
}

/// Whether a function is `async` and needs so many arguments.
fn is_asgi(function: &Bound<'_, PyFunction>, arguments: usize) -> PyResult<bool> {
    let py = function.py();
    let code = function.getattr(intern!(py, "__code__"))?;
    if code.getattr(intern!(py, "co_flags"))?.extract::<u32>()? & COROUTINE == 0 {
        return Ok(false);
    }
    let positional: usize = code.getattr("co_argcount")?.extract()?;
    let optional = function.getattr("__defaults__")?.cast_into::<PyTuple>().map_or(0, |defaults| defaults.len());
    // A function may have been given more defaults than it has arguments.
    Ok(positional == arguments + optional)
}

/// Whether a class is a WSGI framework's, and is called as that wrote it: one that takes events by itself is called otherwise.
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

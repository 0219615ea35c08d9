//! Calls the handler for one invocation: from the payload to the response.

use crate::init::handler::Handler;
use crate::invoke::chunks::Stream;
use crate::invoke::worker::{HandlerResponse, Worker};
use crate::report::traceback::{self, Failure};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use whipsnake_runtime_api::{Fault, Invocation, Response};

/// The objects of one invocation. As on the managed runtime they live until the response has been sent: freeing a large event takes time,
/// and the caller does not wait for it.
#[derive(Default)]
pub struct InvocationRefs<'py> {
    context: Option<Bound<'py, PyAny>>,
    event: Option<Bound<'py, PyAny>>,
    result: Option<Bound<'py, PyAny>>,
}

/// Calls the handler. The payload is freed as soon as it is decoded.
pub fn call<'py>(
    py: Python<'py>,
    worker: &Worker,
    handler: &Handler,
    invocation: &mut Invocation,
    refs: &mut InvocationRefs<'py>,
) -> Result<HandlerResponse, Failure> {
    let context = refs.context.insert(worker.contexts.create(py, invocation)?);
    let event = refs.event.insert(decode(py, invocation)?);
    // Its memory is for the response.
    drop(mem::take(&mut invocation.payload));
    let result = handler.call(event, context).map_err(|error| traceback::failure(py, error))?;
    if is_data(&result) {
        return encode(refs.result.insert(result)).map(HandlerResponse::Buffered);
    }
    let event_loop = &worker.driver.event_loop;
    let result = refs.result.insert(event_loop.outcome_of(result)?);
    match Stream::open(result, event_loop)? {
        Some(stream) => Ok(HandlerResponse::Streamed(stream)),
        None => encode(result).map(HandlerResponse::Buffered),
    }
}

/// Whether a result has one of the types that most handlers return. Such a result is neither awaitable nor a stream.
fn is_data(result: &Bound<'_, PyAny>) -> bool {
    result.is_exact_instance_of::<PyDict>()
        || result.is_exact_instance_of::<PyString>()
        || result.is_none()
        || result.is_exact_instance_of::<PyList>()
}

fn decode<'py>(py: Python<'py>, invocation: &Invocation) -> Result<Bound<'py, PyAny>, Failure> {
    if !invocation.is_json() {
        return Ok(PyBytes::new(py, &invocation.payload).into_any());
    }
    whipsnake_marshal::decode(py, &invocation.payload).map_err(|error| {
        traceback::runtime_fault(py, error, |reason| {
            Fault::new("Runtime.UnmarshalError", format!("Unable to unmarshal input: {reason}"))
        })
    })
}

fn encode(result: &Bound<'_, PyAny>) -> Result<Response, Failure> {
    if let Ok(bytes) = result.cast::<PyBytes>() {
        return Ok(Response::raw(bytes.as_bytes().to_vec()));
    }
    whipsnake_marshal::encode(result, None).map(Response::json).map_err(|error| {
        traceback::runtime_fault(result.py(), error, |reason| {
            Fault::new("Runtime.MarshalError", format!("Unable to marshal response: {reason}"))
        })
    })
}

/// The size in bytes from which on the memory of an event is given back to the system.
const LARGE: usize = 1024 * 1024;

/// Gives the memory of large events back to the system when a smaller one, of `size` bytes, has its response. The C library would keep twice
/// the largest event until the process ends. While large events follow each other, the memory is reused.
pub fn give_back_memory(size: usize) {
    static IS_FREE: AtomicBool = AtomicBool::new(false);
    if size >= LARGE {
        IS_FREE.store(true, Ordering::Relaxed);
    } else if IS_FREE.swap(false, Ordering::Relaxed) {
        // SAFETY: touches nothing but free memory.
        unsafe { libc::malloc_trim(0) };
    }
}

//! The loop: serves one invocation after the other, until something ends the process.

use crate::init::caller::{self, Caller};
use crate::init::handler::Handler;
use crate::init::{awslambdaric, context};
use crate::invoke::call::{self, InvocationRefs};
use crate::invoke::driver::Interruption;
use crate::invoke::startup::{self, Start};
use crate::invoke::worker::Worker;
use crate::invoke::{injected_exceptions, replaced_names, snapshot};
use crate::report::notices::notice;
use crate::shutdown::ExitReason;
use crate::start::environment::Environment;
use pyo3::prelude::*;
use std::convert::Infallible;
use std::sync::Arc;
use whipsnake_runtime_api::{Client, Invocation};

/// Serves the function, one invocation at a time. Returns why the process is to end.
pub fn serve(py: Python<'_>, environment: &Environment, client: Client, start: Start) -> ExitReason {
    let Err(exit_reason) = try_to_serve(py, environment, client, start);
    exit_reason
}

fn try_to_serve(
    py: Python<'_>,
    environment: &Environment,
    client: Client,
    start: Start,
) -> Result<Infallible, ExitReason> {
    let (worker, imported) = startup::start(py, environment, client, start)?;
    startup::complete_restore(py, worker, environment)?;
    let handler = startup::ready_handler(py, worker, imported.as_ref(), environment)?;
    if environment.graceful_shutdown.as_deref() == Some("1") {
        ask_for_notice(py, worker)?;
    }
    if environment.initialization_type.as_deref() == Some(snapshot::INITIALIZATION_TYPE) {
        snapshot::take(py, worker).inspect_err(|_| worker.close(py))?;
    }
    Err(serve_by(py, worker, move |py| serve_one(py, worker, &handler)))
}

/// Registers an extension, so that Lambda sends SIGTERM before it ends the process. A function without that notice can serve all the same.
fn ask_for_notice(py: Python<'_>, worker: &Worker) -> Result<(), Interruption> {
    if let Err(error) = worker.driver.complete(py, worker.client.register_extension("whipsnake"))? {
        notice(format_args!("Lambda will end this process without a SIGTERM: {error}"));
    }
    Ok(())
}

/// Calls `serve_one` again and again, below the Python frames that call a handler on the managed runtime. Returns why the process is to end.
pub fn serve_by(
    py: Python<'_>,
    worker: &'static Worker,
    serve_one: impl Fn(Python<'_>) -> Result<(), ExitReason> + Send + Sync + 'static,
) -> ExitReason {
    let serve_one = Arc::new(serve_one);
    let exit_reason = loop {
        let caller = Caller::of_handlers(worker.modules(py));
        let serve_one = Arc::clone(&serve_one);
        // Returns None when the function has imported awslambdaric's names: its handler has another caller from then on.
        let serve = move |py: Python<'_>| loop {
            if let Err(exit_reason) = serve_one(py) {
                return Some(exit_reason);
            }
            if Caller::of_handlers(worker.modules(py)) != caller {
                return None;
            }
        };
        let served = caller::call(py, caller, serve).unwrap_or_else(|error| Some(ExitReason::Raised(error)));
        if let Some(exit_reason) = served {
            break exit_reason;
        }
    };
    worker.close(py);
    exit_reason
}

/// Serves one invocation: asks for it, calls the handler and responds.
pub fn serve_one(py: Python<'_>, worker: &Worker, handler: &Handler) -> Result<(), ExitReason> {
    injected_exceptions::drop_late(py)?;
    let is_imported = || awslambdaric::is_imported(worker.modules(py));
    let mut invocation = if is_imported() { replaced_names::next(py, worker)? } else { worker.next(py)? };
    injected_exceptions::drop_late(py)?;
    begin(py, worker, &invocation)?;
    if is_imported() {
        return replaced_names::serve(py, handler, &invocation, &worker.log)
            .map_err(|error| worker.exit_reason_of(error));
    }
    let size = invocation.payload.len();
    let mut refs = InvocationRefs::default();
    let outcome = call::call(py, worker, handler, &mut invocation, &mut refs);
    // Asked again, because the handler itself may have set up a tool that replaces the ways to respond.
    if is_imported() || (outcome.is_err() && replaced_names::is_sink_replaced(py)) {
        let delivered = replaced_names::deliver(py, worker, &invocation.ticket, outcome);
        return delivered.map_err(|error| worker.exit_reason_of(error));
    }
    worker.deliver(py, &invocation.ticket, outcome)?;
    drop(refs);
    call::give_back_memory(size);
    Ok(())
}

/// Makes the invocation the current one, for the log and for tracing.
fn begin(py: Python<'_>, worker: &Worker, invocation: &Invocation) -> Result<(), ExitReason> {
    tracing::debug!(request_id = invocation.ticket.request_id, bytes = invocation.payload.len(), "invocation");
    if worker.slot.as_ref().is_some_and(|slot| slot.begin(py, invocation)) {
        return Ok(());
    }
    worker.log.get().begin(invocation);
    if awslambdaric::is_imported(worker.modules(py)) && replaced_names::begin(py, invocation)? {
        return Ok(());
    }
    context::trace(py, invocation.trace_id.as_deref());
    Ok(())
}

//! The Invoke API, which boto3's `lambda` client and `aws lambda invoke` use. Streamed responses are in [`response_stream`].

use std::{io, net::SocketAddr, sync::Arc, thread};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    access::Access,
    deployment::Deployment,
    emulator::Emulator,
    http::{Connection, Limits, NoRequest, Request, Response},
    invocation::Invocation,
    invoke_request::{INVOCATION_TYPE, MAX_REQUEST, invocation, limit, too_large, wants_log},
    refusal::Refusal,
    response_stream,
    server::Server,
};

/// Starts an Invoke API for one function, on `address`, for callers that have `access`.
///
/// # Errors
/// If the address cannot be listened on.
pub fn start_invoke_api(address: SocketAddr, access: Access, deployment: Arc<Deployment>) -> io::Result<Server> {
    Server::start(address, Limits::of_caller(MAX_REQUEST), move |connection| serve(&deployment, &access, connection))
}

fn serve(deployment: &Deployment, access: &Access, mut connection: Connection) {
    loop {
        let mut request = match connection.read_head() {
            Ok(request) => request,
            Err(NoRequest::Gone) => return,
            Err(NoRequest::HeadTooLarge) => {
                let refusal =
                    Refusal::new(431, "RequestHeadersTooLargeException", "The request's headers are too large");
                return connection.refuse(&refusal.into_response());
            }
        };
        if let Err(why) = access.check(&request) {
            return connection.refuse(&Refusal::new(403, "AccessDeniedException", why).into_response());
        }
        if !connection.read_body(&mut request) {
            if request.too_large {
                connection.refuse(&too_large(limit(&request)).into_response());
            }
            return;
        }
        let emulator = &deployment.for_event();
        let answered = match operation(emulator, &request) {
            Ok(Operation::Invoke) => answer(emulator, &request).map(Some),
            Ok(Operation::InvokeWithResponseStream) => invocation(&request, MAX_REQUEST).and_then(|invocation| {
                response_stream::answer(emulator, &mut connection, &request, &invocation).map(|()| None)
            }),
            Err(refusal) => Err(refusal),
        };
        let response = answered.unwrap_or_else(|refusal| Some(refusal.into_response()));
        if response.is_some_and(|response| connection.write(&response.to_bytes()).is_err()) {
            return;
        }
    }
}

/// The operations that are served.
enum Operation {
    Invoke,
    InvokeWithResponseStream,
}

fn answer(emulator: &Arc<Emulator>, request: &Request) -> Result<Response, Refusal> {
    let kind = request.header(INVOCATION_TYPE).unwrap_or_default();
    let invocation = invocation(request, limit(request))?;
    let (id, trace) = (invocation.request_id.clone(), invocation.trace_id.clone());
    let response = match kind.as_ref() {
        "" | "RequestResponse" => run(emulator, request, &invocation)?,
        "Event" => {
            let emulator = Arc::clone(emulator);
            thread::spawn(move || {
                // Nobody waits for the outcome, so an error goes to the log.
                if let Err(error) = emulator.invoke(&invocation) {
                    emulator.note(&error.to_string());
                }
            });
            Response::json(202, "")
        }
        "DryRun" => Response::json(204, ""),
        other => {
            let message = format!("{other} is no invocation type: RequestResponse, Event and DryRun are");
            return Err(Refusal::new(400, "InvalidParameterValueException", message));
        }
    };
    Ok(response.with("x-amzn-RequestId", &id).with("X-Amzn-Trace-Id", &trace))
}

fn run(emulator: &Emulator, request: &Request, invocation: &Invocation) -> Result<Response, Refusal> {
    let outcome = emulator.invoke(invocation)?;
    let mut response = Response::json(200, outcome.payload).with("X-Amz-Executed-Version", "$LATEST");
    if outcome.fault.is_some() {
        response = response.with("X-Amz-Function-Error", "Unhandled");
    }
    if wants_log(request) {
        response = response.with("X-Amz-Log-Result", &BASE64_STANDARD.encode(outcome.log_tail));
    }
    Ok(response)
}

/// The operation that the path asks for. The path names our function by its name, its ARN, or RIE's `function`.
fn operation(emulator: &Emulator, request: &Request) -> Result<Operation, Refusal> {
    let path = request.path.split('?').next().unwrap_or_default();
    let of = |prefix: &str, suffix: &str| path.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
    let asked = of("/2015-03-31/functions/", "/invocations")
        .map(|named| (Operation::Invoke, named))
        .or_else(|| {
            of("/2021-11-15/functions/", "/response-streaming-invocations")
                .map(|named| (Operation::InvokeWithResponseStream, named))
        })
        .filter(|_| request.method == "POST");
    let Some((operation, named)) = asked else {
        let message = format!(
            "{} {path} is not served here; POST /2015-03-31/functions/{name}/invocations and \
             POST /2021-11-15/functions/{name}/response-streaming-invocations are",
            request.method,
            name = emulator.function().name
        );
        return Err(Refusal::new(404, "UnknownOperationException", message));
    };
    let named = named.replace("%3A", ":").replace("%3a", ":").replace("%24", "$");
    let name = function_name(&named);
    if name == emulator.function().name || name == "function" {
        return Ok(operation);
    }
    let arn = emulator.function().arn();
    let (before, _) = arn.rsplit_once(':').unwrap_or_default();
    Err(Refusal::new(404, "ResourceNotFoundException", format!("Function not found: {before}:{name}")))
}

/// The name in NAME, NAME:QUALIFIER, ACCOUNT:function:NAME or an ARN.
fn function_name(named: &str) -> &str {
    let after_function = named.split(':').skip_while(|part| *part != "function").nth(1);
    after_function.or_else(|| named.split(':').next()).unwrap_or(named)
}

#[cfg(test)]
mod tests {
    use super::function_name;

    #[test]
    fn a_function_is_named_in_four_ways() {
        for named in [
            "hello",
            "hello:$LATEST",
            "012345678912:function:hello",
            "arn:aws:lambda:us-east-1:012345678912:function:hello:prod",
        ] {
            assert_eq!(function_name(named), "hello", "{named}");
        }
        assert_eq!(function_name("function"), "function");
    }
}

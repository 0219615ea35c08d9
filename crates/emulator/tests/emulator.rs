//! The emulator behaves as Lambda does: towards the runtime, in the log, and towards the caller.

mod runtime;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use runtime::{Answer, Runtime, Scratch, WAITING, function};
use serde_json::json;
use whipsnake_emulator::{Emulator, Function, Invocation, Outcome};

/// Where a test reads the function's log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("a log").clone()).expect("a log in UTF-8")
    }

    /// The log's lines without what differs from run to run.
    fn shape(&self) -> Vec<String> {
        let text = self.text();
        let shaped = text.lines().map(|line| {
            let fields = line.split('\t').map(|field| match field.split_once(": ") {
                Some((name, value)) if value.ends_with(" ms") || name == "Max Memory Used" => name,
                _ => field.split_once("RequestId: ").map_or(field, |(before, _)| before.trim_end()),
            });
            fields.collect::<Vec<_>>().join("|")
        });
        shaped.collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A function whose process is a waiting shell, and its emulator.
struct Stand {
    scratch: Scratch,
    fifo: PathBuf,
    log: Log,
    emulator: Arc<Emulator>,
}

impl Stand {
    fn new() -> Self {
        Self::running(WAITING, Duration::from_secs(60))
    }

    fn running(line: &str, timeout: Duration) -> Self {
        let scratch = Scratch::new();
        let fifo = scratch.fifo("address");
        let region = "eu-west-1".to_owned();
        let function = Function { timeout, region, ..function(&scratch, &fifo, line) };
        let log = Log::default();
        let emulator = Arc::new(Emulator::new(function, Box::new(log.clone())));
        Stand { scratch, fifo, log, emulator }
    }

    /// Invokes with `payload` while `acts` speaks for the runtime.
    fn invoke(&self, payload: &str, acts: impl FnOnce(&mut Runtime) + Send) -> (Outcome, Runtime) {
        self.send(&event(payload), acts)
    }

    fn send(&self, invocation: &Invocation, acts: impl FnOnce(&mut Runtime) + Send) -> (Outcome, Runtime) {
        thread::scope(|scope| {
            let acting = scope.spawn(|| {
                let mut runtime = Runtime::of(&self.fifo);
                acts(&mut runtime);
                runtime
            });
            let outcome = self.emulator.invoke(invocation).expect("runs");
            (outcome, acting.join().expect("the runtime's part is played to its end"))
        })
    }
}

fn event(payload: &str) -> Invocation {
    Invocation::new(payload.into()).expect("an invocation")
}

fn error_type(answer: &Answer) -> String {
    answer.json()["errorType"].as_str().expect("an error type").to_owned()
}

fn fault(outcome: &Outcome) -> serde_json::Value {
    assert!(outcome.fault.is_some());
    serde_json::from_slice(&outcome.payload).expect("JSON")
}

#[test]
fn an_event_goes_to_the_runtime_and_its_response_to_the_caller() {
    let stand = Stand::new();
    let (outcome, _) = stand.invoke(r#"{ "a": 1 }"#, |runtime| {
        let event = runtime.next();
        assert_eq!((event.status(), event.text()), (200, r#"{ "a": 1 }"#));
        let answer = runtime.respond(&event.id(), b"\"done\"");
        assert_eq!((answer.status(), answer.json()), (202, json!({"status": "OK"})));
    });
    assert_eq!((outcome.payload.as_slice(), outcome.fault.is_some()), (&b"\"done\""[..], false));
    assert_eq!(
        stand.log.shape(),
        ["START", "END", "REPORT|Duration|Billed Duration|Memory Size: 128 MB|Max Memory Used|Init Duration|"]
    );
}

#[test]
fn the_headers_of_an_event_are_those_of_lambda_and_empty_ones_are_absent() {
    let stand = Stand::new();
    let mut invocation = event("{}");
    invocation.client_context = Some(r#"{"custom":{}}"#.to_owned());
    invocation.tenant = Some("blue".to_owned());
    stand.send(&invocation, |runtime| {
        let event = runtime.next();
        assert_eq!(event.id(), invocation.request_id);
        assert_eq!(event.header("content-type"), Some("application/json"));
        assert_eq!(event.header("lambda-runtime-invocation-id"), Some(invocation.invocation_id.as_str()));
        assert_eq!(event.header("lambda-runtime-client-context"), Some(r#"{"custom":{}}"#));
        assert_eq!(event.header("lambda-runtime-aws-tenant-id"), Some("blue"));
        assert_eq!(event.header("lambda-runtime-cognito-identity"), None);
        assert_eq!(
            event.header("lambda-runtime-invoked-function-arn"),
            Some("arn:aws:lambda:eu-west-1:012345678912:function:hello")
        );
        let trace = event.header("lambda-runtime-trace-id").expect("a trace");
        let (root, rest) = trace.split_once(";Parent=").expect("a root and a parent");
        assert_eq!(
            (root.len(), rest.len()),
            ("Root=1-5e1b4151-5ac6c58f5b5dbd6b4a8bd2a3".len(), 16 + ";Sampled=1".len())
        );
        runtime.respond(&event.id(), b"1");
    });
}

#[test]
fn polling_again_without_an_answer_gives_the_same_event() {
    let stand = Stand::new();
    stand.invoke("1", |runtime| {
        let (first, second) = (runtime.next(), runtime.next());
        assert_eq!((first.id(), first.body), (second.id(), second.body.clone()));
        runtime.respond(&second.id(), b"1");
    });
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let stand = Stand::new();
    stand.invoke("1", |runtime| {
        let early = runtime.respond("nobody", b"1");
        assert_eq!((early.status(), error_type(&early).as_str()), (400, "InvalidRequestID"));
        let event = runtime.next();
        let path = format!("/2018-06-01/runtime/invocation/{}/response", event.id());
        let stale = runtime.post(&path, "Lambda-Runtime-Invocation-Id: other\r\n", b"1");
        assert_eq!((stale.status(), error_type(&stale).as_str()), (400, "InvalidRequestID"));
        let mode = runtime.post(&path, "Lambda-Runtime-Function-Response-Mode: slow\r\n", b"1");
        assert_eq!((mode.status(), error_type(&mode).as_str()), (400, "InvalidFunctionResponseMode"));
        let late = runtime.post("/2018-06-01/runtime/init/error", "", b"{}");
        assert_eq!((late.status(), error_type(&late).as_str()), (403, "InvalidStateTransition"));
        assert_eq!(runtime.get("/2018-06-01/elsewhere").status(), 404);
        // On two connections: the second answer is refused even before the next poll.
        let mut other = runtime.again();
        assert_eq!(runtime.respond(&event.id(), b"1").status(), 202);
        let second = other.respond(&event.id(), b"2");
        assert_eq!((second.status(), error_type(&second).as_str()), (403, "InvalidStateTransition"));
    });
}

#[test]
fn a_response_may_have_six_mebibytes_and_a_hundred_bytes_and_no_more() {
    let limit = 6 * 1024 * 1024 + 100;
    let stand = Stand::new();
    let (outcome, mut runtime) = stand.invoke("1", |runtime| {
        let event = runtime.next();
        assert_eq!(runtime.respond(&event.id(), &vec![b'1'; limit]).status(), 202);
    });
    assert_eq!(outcome.payload.len(), limit);
    let acting = thread::spawn(move || {
        let event = runtime.next();
        let answer = runtime.respond(&event.id(), &vec![b'1'; limit + 1]);
        assert_eq!((answer.status(), error_type(&answer).as_str()), (413, "RequestEntityTooLarge"));
    });
    let outcome = stand.emulator.invoke(&event("2")).expect("runs");
    acting.join().expect("the runtime's part is played to its end");
    assert_eq!(fault(&outcome)["errorType"], "Function.ResponseSizeTooLarge");
}

#[test]
fn an_error_is_the_callers_answer_as_it_was_posted() {
    let stand = Stand::new();
    let posted = r#"{"errorMessage": "no", "errorType": "ValueError"}"#;
    let (outcome, _) = stand.invoke("1", |runtime| {
        let event = runtime.next();
        let path = format!("/2018-06-01/runtime/invocation/{}/error", event.id());
        assert_eq!(runtime.post(&path, "", posted.as_bytes()).status(), 202);
    });
    assert_eq!((outcome.payload, outcome.fault.is_some()), (posted.as_bytes().to_vec(), true));
}

#[test]
fn a_streamed_response_can_end_in_an_error() {
    let stand = Stand::new();
    let (outcome, _) = stand.invoke("1", |runtime| {
        let id = runtime.next().id();
        let stream = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n\
             Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\nLambda-Runtime-Function-Error-Type: Oops\r\n\
             Lambda-Runtime-Function-Error-Body: eyJhIjoxfQ==\r\n\r\n"
        );
        runtime.send(stream.as_bytes());
        assert_eq!(runtime.receive().status(), 202);
    });
    assert_eq!((outcome.payload, outcome.fault.is_some()), (br#"{"a":1}"#.to_vec(), true));
}

#[test]
fn a_second_invocation_meets_the_same_process_and_reports_no_init() {
    let stand = Stand::new();
    let (_, mut runtime) = stand.invoke("1", |runtime| {
        let event = runtime.next();
        runtime.respond(&event.id(), b"1");
    });
    let acting = thread::spawn(move || {
        let event = runtime.next();
        runtime.respond(&event.id(), &event.body);
    });
    let outcome = stand.emulator.invoke(&event("2")).expect("runs");
    acting.join().expect("the runtime's part is played to its end");
    assert_eq!(outcome.payload, b"2");
    assert!(stand.log.shape()[5].ends_with("Max Memory Used|"), "{:?}", stand.log.shape());
}

#[test]
fn an_init_error_is_the_invocations_answer_and_has_its_report() {
    let stand = Stand::new();
    let posted = r#"{"errorMessage": "no app", "errorType": "Runtime.ImportModuleError"}"#;
    let (outcome, _) = stand.invoke("1", |runtime| {
        let path = "/2018-06-01/runtime/init/error";
        assert_eq!(runtime.post(path, "", posted.as_bytes()).status(), 202);
        runtime.signal("USR1");
    });
    assert_eq!((outcome.payload.as_slice(), outcome.fault.is_some()), (posted.as_bytes(), true));
    let error = "Status: error|Error Type: Runtime.ImportModuleError";
    assert_eq!(
        stand.log.shape(),
        [
            format!("INIT_REPORT Init Duration|Phase: init|{error}"),
            "START".to_owned(),
            "END".to_owned(),
            format!("REPORT|Duration|Billed Duration|Memory Size: 128 MB|Max Memory Used|{error}"),
        ]
    );
}

#[test]
fn a_process_that_exits_in_init_is_a_runtime_exit_error() {
    let stand = Stand::running("echo goodbye; exit 1", Duration::from_secs(60));
    let outcome = stand.emulator.invoke(&event("1")).expect("runs");
    let fault = fault(&outcome);
    assert_eq!(fault["errorType"], "Runtime.ExitError");
    let message = fault["errorMessage"].as_str().expect("a message");
    assert!(message.ends_with("Error: Runtime exited with error: exit status 1"), "{message}");
    let shape = stand.log.shape();
    assert_eq!(shape[0], "goodbye");
    assert_eq!(shape[1], "INIT_REPORT Init Duration|Phase: init|Status: error|Error Type: Runtime.ExitError");
}

#[test]
fn an_init_phase_may_last_as_long_as_it_is_told() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("address");
    let function = Function { init_timeout: Some(Duration::from_millis(50)), ..function(&scratch, &fifo, "sleep 60") };
    let fault = Emulator::new(function, Box::new(Log::default())).start().expect("it starts").expect("it fails");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&fault).expect("JSON")["errorType"], "Sandbox.Timedout");
}

#[test]
fn a_process_that_exits_during_an_invocation_fails_it_and_is_replaced() {
    for (signal, reason) in [("USR1", "exit status 3"), ("KILL", "signal: killed")] {
        let stand = Stand::new();
        let invocation = event("1");
        let (outcome, _) = stand.send(&invocation, |runtime| {
            runtime.next();
            runtime.signal(signal);
        });
        let message = format!("RequestId: {} Error: Runtime exited with error: {reason}", invocation.request_id);
        assert_eq!(fault(&outcome), json!({"errorType": "Runtime.ExitError", "errorMessage": message}));
        assert!(stand.log.text().contains(&format!("{message}\nRuntime.ExitError\nEND ")), "{}", stand.log.text());

        let (outcome, _) = stand.invoke("2", |runtime| {
            let event = runtime.next();
            runtime.respond(&event.id(), b"again");
        });
        assert_eq!(outcome.payload, b"again");
        assert!(stand.log.shape().last().is_some_and(|report| report.ends_with("Init Duration|")));
    }
}

#[test]
fn a_process_that_ends_between_two_invocations_loses_none() {
    let stand = Stand::new();
    let (_, runtime) = stand.invoke("1", |runtime| {
        let event = runtime.next();
        runtime.respond(&event.id(), b"1");
    });
    runtime.signal("KILL");
    let (outcome, _) = stand.invoke("2", |runtime| {
        let event = runtime.next();
        runtime.respond(&event.id(), &event.body);
    });
    assert_eq!(outcome.payload, b"2");
}

#[test]
fn a_function_that_takes_too_long_is_killed() {
    let stand = Stand::running(WAITING, Duration::from_millis(300));
    let invocation = event("1");
    let (outcome, mut runtime) = stand.send(&invocation, |runtime| {
        runtime.next();
    });
    let message = format!("RequestId: {} Error: Task timed out after 0.30 seconds", invocation.request_id);
    assert_eq!(fault(&outcome), json!({"errorType": "Sandbox.Timedout", "errorMessage": message}));
    assert!(stand.log.text().trim_end().ends_with("Status: timeout"));
    runtime.send(b"x");
}

#[test]
fn output_stands_between_start_and_end_in_its_order() {
    // It writes to both streams between the event, which the test takes, and the response, which the test gives.
    let line = "echo init; echo \"$AWS_LAMBDA_RUNTIME_API $$\" > \"$FIFO\"; read word < go; \
                echo one; echo two >&2; printf 'no end'; echo > gone; sleep 60 & wait";
    let stand = Stand::running(line, Duration::from_secs(60));
    let (go, gone) = (stand.scratch.fifo("go"), stand.scratch.fifo("gone"));
    stand.invoke("1", |runtime| {
        let event = runtime.next();
        std::fs::write(&go, "go\n").expect("writes the fifo");
        std::fs::read(&gone).expect("reads the fifo");
        runtime.respond(&event.id(), b"1");
    });
    let shape = stand.log.shape();
    assert_eq!(shape[..6], ["init", "START", "one", "two", "no end", "END"]);
}

const REGISTER: &str = "/2020-01-01/extension/register";
const NEXT_OF_EXTENSION: &str = "/2020-01-01/extension/event/next";

/// A process that says bye on SIGTERM.
fn polite() -> Stand {
    Stand::running(&WAITING.replace("'exit 3' USR1", "'echo bye; exit 0' TERM"), Duration::from_secs(60))
}

fn register(runtime: &mut Runtime) -> Answer {
    runtime.post(REGISTER, "Lambda-Extension-Name: inside\r\n", br#"{"events": []}"#)
}

/// Polls as the extension that has that answer, and does not expect one.
fn wait_for_events(runtime: &mut Runtime, registered: &Answer) {
    let identifier = registered.header("Lambda-Extension-Identifier").expect("an identifier");
    let head = format!("GET {NEXT_OF_EXTENSION} HTTP/1.1\r\nLambda-Extension-Identifier: {identifier}\r\n\r\n");
    runtime.send(head.as_bytes());
}

#[test]
fn a_process_with_an_extension_is_shut_down_by_a_sigterm_that_it_can_take() {
    let stand = polite();
    stand.invoke("1", |runtime| {
        let registered = register(runtime);
        assert_eq!(registered.status(), 200);
        let function = json!({"functionName": "hello", "functionVersion": "$LATEST", "handler": "app.handler"});
        assert_eq!(registered.json(), function);
        wait_for_events(&mut runtime.again(), &registered);
        let event = runtime.next();
        runtime.respond(&event.id(), b"1");
    });
    stand.emulator.shut_down();
    assert!(stand.log.text().ends_with("bye\n"), "{}", stand.log.text());
}

#[test]
fn a_process_without_an_extension_is_killed() {
    let stand = polite();
    stand.invoke("1", |runtime| {
        let event = runtime.next();
        runtime.respond(&event.id(), b"1");
    });
    stand.emulator.shut_down();
    assert!(!stand.log.text().contains("bye"), "{}", stand.log.text());
}

#[test]
fn the_init_phase_lasts_until_every_extension_waits() {
    let stand = Stand::new();
    stand.invoke("1", |runtime| {
        let registered = register(runtime);
        let mut extension = runtime.again();
        runtime.poll();
        thread::sleep(Duration::from_millis(200));
        wait_for_events(&mut extension, &registered);
        let event = runtime.receive();
        runtime.respond(&event.id(), b"1");
    });
    let init = stand.log.text().split("Init Duration: ").nth(1).expect("an init duration").to_owned();
    let milliseconds: f64 = init.split(' ').next().expect("a number").parse().expect("a number");
    assert!(milliseconds > 200.0, "{init}");
}

#[test]
fn an_extension_registers_in_the_init_phase_and_in_good_form() {
    let stand = Stand::new();
    stand.invoke("1", |runtime| {
        for (headers, body, error) in [
            ("", r#"{"events": []}"#, "Extension.MissingHeader"),
            ("Lambda-Extension-Name: a\r\n", "{}", "InvalidRequestFormat"),
            ("Lambda-Extension-Name: a\r\n", r#"{"events": ["INVOKE"]}"#, "Extension.InvalidEventType"),
        ] {
            let refused = runtime.post(REGISTER, headers, body.as_bytes());
            assert_eq!((refused.status(), error_type(&refused).as_str()), (400, error));
        }
        let unknown = runtime.get(NEXT_OF_EXTENSION);
        assert_eq!((unknown.status(), error_type(&unknown).as_str()), (403, "Extension.UnknownExtensionIdentifier"));
        let event = runtime.next();
        let late = register(runtime);
        assert_eq!((late.status(), error_type(&late).as_str()), (403, "Extension.RegistrationClosed"));
        runtime.respond(&event.id(), b"1");
    });
}

#[test]
fn the_environment_is_that_of_an_os_only_runtime() {
    let stand = Stand::running("/usr/bin/env; pwd; exit 1", Duration::from_secs(60));
    stand.emulator.invoke(&event("1")).expect("runs");
    let log = stand.log.text();
    let names: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LANG",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
        "LD_LIBRARY_PATH",
        "PATH",
        "TZ",
        "_AWS_XRAY_DAEMON_ADDRESS",
        "_AWS_XRAY_DAEMON_PORT",
        "_HANDLER",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for name in ["AWS_EXECUTION_ENV", "PYTHONPATH", "LC_CTYPE", "HOME", "_X_AMZN_TRACE_ID"] {
        assert!(!names.contains(&name), "{name} is in {names:?}");
    }
    let task = stand.scratch.0.display().to_string();
    assert!(log.contains(&format!("LAMBDA_TASK_ROOT={task}\n")) && log.contains(&format!("\n{task}\n")));
}

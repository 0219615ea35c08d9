//! The Invoke API answers as Lambda does, in bytes.

mod runtime;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::Arc,
    thread,
};

use runtime::{Runtime, Scratch, WAITING, function};
use whipsnake_emulator::{Access, Deployment, Emulator, Server, start_invoke_api};

struct Stand {
    fifo: PathBuf,
    api: Server,
    _scratch: Scratch,
    emulator: Arc<Emulator>,
}

impl Stand {
    fn new() -> Self {
        let scratch = Scratch::new();
        let fifo = scratch.fifo("address");
        let function = function(&scratch, &fifo, &format!("echo said; {WAITING}"));
        let emulator = Arc::new(Emulator::new(function, Box::new(io::sink())));
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let api =
            start_invoke_api(loopback, Access::default(), Deployment::new(Arc::clone(&emulator))).expect("listens");
        Stand { fifo, api, _scratch: scratch, emulator }
    }

    /// Sends an invocation and gives back the whole response.
    fn post(&self, function: &str, headers: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.api.address()).expect("connects");
        let head = format!(
            "POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sends");
        stream.write_all(body).expect("sends");
        stream.shutdown(std::net::Shutdown::Write).expect("says that this was all");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("receives");
        response
    }

    /// The same, with a runtime that answers the event with what `acts` returns as path and body.
    fn post_and_answer(
        &self,
        function: &str,
        headers: &str,
        body: &[u8],
        acts: impl FnOnce(&runtime::Answer) -> (&'static str, Vec<u8>) + Send,
    ) -> String {
        thread::scope(|scope| {
            let acting = scope.spawn(|| {
                let mut runtime = Runtime::of(&self.fifo);
                let event = runtime.next();
                let (kind, body) = acts(&event);
                let path = format!("/2018-06-01/runtime/invocation/{}/{kind}", event.id());
                assert_eq!(runtime.post(&path, "", &body).status(), 202);
                event.id()
            });
            let response = self.post(function, headers, body);
            let id = acting.join().expect("the runtime's part is played to its end");
            assert!(response.contains(&format!("x-amzn-RequestId: {id}\r\n")), "{response}");
            response
        })
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.emulator.shut_down();
    }
}

fn assert_refused(response: &str, status: &str, error_type: &str, message: &str) {
    assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
    assert!(response.contains(&format!("x-amzn-errortype: {error_type}\r\n")), "{response}");
    assert!(response.contains(message), "{response}");
    assert!(response.contains(r#""Type":"User""#), "{response}");
}

#[test]
fn a_response_comes_with_200_and_its_version() {
    let stand = Stand::new();
    let response = stand.post_and_answer("hello", "", b"", |event| {
        assert_eq!(event.text(), "{}");
        ("response", b"\"hi\"".to_vec())
    });
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("X-Amz-Executed-Version: $LATEST\r\n"), "{response}");
    assert!(response.contains("X-Amzn-Trace-Id: Root=1-"), "{response}");
    assert!(!response.contains("X-Amz-Function-Error"), "{response}");
    assert!(response.ends_with("\r\n\r\n\"hi\""), "{response}");
}

#[test]
fn a_streamed_response_comes_as_events_and_its_trailers_in_the_last() {
    let stand = Stand::new();
    let answered = thread::scope(|scope| {
        let acting = scope.spawn(|| {
            let mut runtime = Runtime::of(&stand.fifo);
            let event = runtime.next();
            let head = format!(
                "POST /2018-06-01/runtime/invocation/{}/response HTTP/1.1\r\n\
                 Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n3\r\none\r\n",
                event.id()
            );
            runtime.send(head.as_bytes());
            // "{}" in base64.
            runtime.send(
                b"0\r\nLambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
            );
            runtime.receive().status()
        });
        let mut stream = TcpStream::connect(stand.api.address()).expect("connects");
        let call =
            "POST /2021-11-15/functions/hello/response-streaming-invocations HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(call.as_bytes()).expect("sends");
        stream.shutdown(std::net::Shutdown::Write).expect("says that this was all");
        let mut answered = Vec::new();
        stream.read_to_end(&mut answered).expect("receives");
        assert_eq!(acting.join().expect("the runtime's part is played to its end"), 202);
        answered
    });
    let answered = String::from_utf8_lossy(&answered);
    assert!(
        answered.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"),
        "{answered}"
    );
    let (_, events) = answered.split_once("\r\n\r\n").expect("a head");
    let (chunk, complete) = events.split_once("InvokeComplete").expect("an end");
    assert!(chunk.contains("PayloadChunk") && chunk.contains("eventone"), "{chunk}");
    assert!(complete.contains(r#"{"ErrorCode":"Late","ErrorDetails":"{}"}"#), "{complete}");
    assert!(complete.ends_with("\r\n0\r\n\r\n"), "{complete}");
}

#[test]
fn a_streamed_response_that_breaks_off_is_a_fault() {
    let stand = Stand::new();
    let response = thread::scope(|scope| {
        scope.spawn(|| {
            let mut runtime = Runtime::of(&stand.fifo);
            let event = runtime.next();
            let head = format!(
                "POST /2018-06-01/runtime/invocation/{}/response HTTP/1.1\r\n\
                 Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
                event.id()
            );
            runtime.send(head.as_bytes());
        });
        stand.post("hello", "", b"1")
    });
    assert!(response.contains("X-Amz-Function-Error: Unhandled\r\n"), "{response}");
    assert!(response.contains("Runtime.TruncatedResponse"), "{response}");
}

#[test]
fn a_fault_is_a_200_with_a_header() {
    let stand = Stand::new();
    let posted = br#"{"errorMessage":"no"}"#;
    let response = stand.post_and_answer("function", "", b"1", |_| ("error", posted.to_vec()));
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("X-Amz-Function-Error: Unhandled\r\n"), "{response}");
    assert!(response.ends_with(r#"{"errorMessage":"no"}"#), "{response}");
}

#[test]
fn the_context_of_the_call_reaches_the_runtime() {
    let stand = Stand::new();
    let headers =
        "X-Amz-Client-Context: eyJjdXN0b20iOnt9fQ==\r\nX-Amz-Tenant-Id: blue\r\nX-Amzn-Trace-Id: Root=1-a\r\n";
    let arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A012345678912%3Afunction%3Ahello";
    stand.post_and_answer(arn, headers, b"1", |event| {
        assert_eq!(event.header("lambda-runtime-client-context"), Some(r#"{"custom":{}}"#));
        assert_eq!(event.header("lambda-runtime-aws-tenant-id"), Some("blue"));
        assert_eq!(event.header("lambda-runtime-trace-id"), Some("Root=1-a"));
        ("response", b"1".to_vec())
    });
}

#[test]
fn the_tail_of_the_log_comes_back_when_asked_for() {
    let stand = Stand::new();
    let response = stand.post_and_answer("hello", "X-Amz-Log-Type: Tail\r\n", b"1", |_| ("response", b"1".to_vec()));
    let log = response.lines().find_map(|line| line.strip_prefix("X-Amz-Log-Result: ")).expect("a log");
    // "said\nSTART" in base64: the first invocation's log begins with what its init phase wrote.
    assert!(log.starts_with("c2FpZApTVEFSV"), "{log}");
}

#[test]
fn an_event_without_a_waiting_caller_is_accepted_and_runs() {
    let stand = Stand::new();
    let response = stand.post("hello", "X-Amz-Invocation-Type: Event\r\n", b"7");
    assert!(response.starts_with("HTTP/1.1 202 Accepted\r\n"), "{response}");
    let mut runtime = Runtime::of(&stand.fifo);
    let event = runtime.next();
    assert_eq!(event.text(), "7");
    assert_eq!(runtime.respond(&event.id(), b"1").status(), 202);
}

#[test]
fn a_dry_run_runs_nothing() {
    let stand = Stand::new();
    let response = stand.post("hello", "X-Amz-Invocation-Type: DryRun\r\n", b"1");
    assert!(response.starts_with("HTTP/1.1 204 No Content\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn a_call_that_makes_no_sense_is_refused() {
    let stand = Stand::new();
    assert_refused(
        &stand.post("hello", "", b"{\"a\""),
        "400",
        "InvalidRequestContentException",
        "Could not parse request body into json: ",
    );
    assert_refused(
        &stand.post("hello", "", b"\"\xff\""),
        "400",
        "InvalidRequestContentException",
        "Could not parse request body into json: ",
    );
    assert_refused(
        &stand.post("hello", "X-Amz-Client-Context: e30\r\n", b"1"),
        "400",
        "InvalidRequestContentException",
        "Client context must be a valid Base64-encoded JSON object.",
    );
    assert_refused(
        &stand.post("other", "", b"1"),
        "404",
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:012345678912:function:other",
    );
    let large = vec![b'1'; 6 * 1024 * 1024 + 1];
    assert_refused(
        &stand.post("hello", "", &large),
        "413",
        "RequestEntityTooLargeException",
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
    );
    assert_refused(
        &stand.post("hello", "X-Amz-Invocation-Type: Later\r\n", b"1"),
        "400",
        "InvalidParameterValueException",
        "Later",
    );
}

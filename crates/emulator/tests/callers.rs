//! What is refused before a function runs or memory is taken: requests of web pages, and requests that are too large.

mod runtime;

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use runtime::{Runtime, Scratch, WAITING, function};
use whipsnake_emulator::{Access, Deployment, Emulator, Server, start_function_url, start_invoke_api};

struct Stand {
    fifo: PathBuf,
    scratch: Scratch,
    api: Server,
    url: Server,
    emulator: Arc<Emulator>,
}

impl Stand {
    fn new() -> Self {
        Stand::with(&[])
    }

    fn with(names: &[&str]) -> Self {
        let scratch = Scratch::new();
        let fifo = scratch.fifo("address");
        let function = function(&scratch, &fifo, &format!("touch \"$FIFO.started\"; {WAITING}"));
        let emulator = Arc::new(Emulator::new(function, Box::new(io::sink())));
        let deployment = Deployment::new(Arc::clone(&emulator));
        let access = Access::with_names(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let api = start_invoke_api(loopback, access.clone(), Arc::clone(&deployment)).expect("listens");
        let url = start_function_url(loopback, access, deployment).expect("listens");
        Stand { fifo, scratch, api, url, emulator }
    }

    fn has_run(&self) -> bool {
        self.scratch.0.join("address.started").exists()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.emulator.shut_down();
    }
}

/// Sends these bytes and no more, and gives back all that is answered.
fn ask(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("has a limit");
    stream.write_all(request).expect("sends");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("receives");
    response
}

const INVOKE: &str = "POST /2015-03-31/functions/hello/invocations HTTP/1.1\r\n";

#[test]
fn a_page_of_another_site_and_a_rebound_name_run_nothing() {
    let stand = Stand::new();
    for headers in [
        "Host: 127.0.0.1:9000\r\nOrigin: https://site.example\r\nContent-Type: text/plain\r\n",
        "Host: 127.0.0.1:9000\r\nOrigin: null\r\n",
        "Host: rebound.example:9000\r\nOrigin: http://rebound.example:9000\r\n",
        "Host: rebound.example:9000\r\n",
        "Host: 127.0.0.1:9000\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
    ] {
        for (server, line) in
            [(&stand.api, INVOKE), (&stand.url, "POST / HTTP/1.1\r\n"), (&stand.url, "GET / HTTP/1.1\r\n")]
        {
            let request = format!("{line}{headers}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}");
            let response = ask(server, request.as_bytes());
            assert!(response.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{request}\n{response}");
        }
    }
    assert!(!stand.has_run());
    let response = ask(&stand.api, format!("{INVOKE}Host: lambda:9000\r\n\r\n").as_bytes());
    assert!(response.contains("pass `--allow-host lambda`"), "{response}");
}

#[test]
fn a_name_that_was_allowed_is_answered() {
    let stand = Stand::with(&["lambda"]);
    let headers = "Host: lambda:9000\r\nX-Amz-Invocation-Type: DryRun\r\nConnection: close\r\n";
    let mut stream = TcpStream::connect(stand.api.address()).expect("connects");
    stream.write_all(format!("{INVOKE}{headers}\r\n").as_bytes()).expect("sends");
    stream.shutdown(std::net::Shutdown::Write).expect("says that this was all");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("receives");
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
}

#[test]
fn a_page_does_not_reach_the_runtime_api() {
    let stand = Stand::new();
    let emulator = Arc::clone(&stand.emulator);
    let starting = thread::spawn(move || emulator.start());
    let mut runtime = Runtime::of(&stand.fifo);
    for headers in ["Host: rebound.example\r\n", "Host: 127.0.0.1\r\nOrigin: https://site.example\r\n"] {
        let answer = runtime.post("/2018-06-01/runtime/init/error", headers, b"{}");
        assert_eq!((answer.status(), answer.json()["errorType"].as_str()), (403, Some("Forbidden")));
    }
    runtime.poll();
    assert!(starting.join().expect("does not panic").expect("starts").is_none(), "the init phase went well");
}

#[test]
fn a_body_above_the_limit_is_refused_before_it_is_sent() {
    let stand = Stand::new();
    for (server, line) in [(&stand.api, INVOKE), (&stand.url, "POST / HTTP/1.1\r\n")] {
        for framing in [
            "Content-Length: 1500000000\r\n\r\n",
            "Content-Length: 1500000000\r\nExpect: 100-continue\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n59682f00\r\n",
        ] {
            let begun = Instant::now();
            let mut stream = TcpStream::connect(server.address()).expect("connects");
            stream.write_all(format!("{line}{framing}").as_bytes()).expect("sends");
            let mut head = [0; 12];
            stream.read_exact(&mut head).expect("receives");
            assert_eq!(&head, b"HTTP/1.1 413", "{framing}");
            assert!(begun.elapsed() < Duration::from_secs(3), "{framing}");
        }
    }
    assert!(!stand.has_run());
}

#[test]
fn a_body_in_chunks_is_not_kept_above_the_limit() {
    let stand = Stand::new();
    let mut stream = TcpStream::connect(stand.url.address()).expect("connects");
    stream.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sends");
    let chunk = [b"100000\r\n", vec![b'a'; 0x10_0000].as_slice(), b"\r\n"].concat();
    for _ in 0..7 {
        stream.write_all(&chunk).expect("sends");
    }
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("receives");
    assert_eq!(&head, b"HTTP/1.1 413");
    assert!(!stand.has_run());
}

#[test]
fn an_event_that_only_base64_makes_too_large_is_refused() {
    let stand = Stand::new();
    let head = "POST / HTTP/1.1\r\nContent-Length: 5000000\r\nContent-Type: image/png\r\n\r\n";
    let mut stream = TcpStream::connect(stand.url.address()).expect("connects");
    stream.write_all(&[head.as_bytes(), &vec![0; 5_000_000]].concat()).expect("sends");
    let mut answered = [0; 12];
    stream.read_exact(&mut answered).expect("receives");
    assert_eq!(&answered, b"HTTP/1.1 413");
    assert!(!stand.has_run());
}

#[test]
fn a_head_without_end_is_refused() {
    let stand = Stand::new();
    let long = format!("X-Long: {}\r\n\r\n", "a".repeat(100_000));
    let endless = format!("X-Long: {}", "a".repeat(100_000));
    let many = "X: 1\r\n".repeat(1_000);
    for (server, line) in [(&stand.api, INVOKE), (&stand.url, "GET / HTTP/1.1\r\n")] {
        for headers in [&long, &endless, &many] {
            let response = ask(server, format!("{line}{headers}").as_bytes());
            assert!(response.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{response}");
        }
    }
    assert!(!stand.has_run());
}

/// What a browser gets of a function's response, and what the log says.
fn shown(response: &'static [u8], streamed: bool) -> (String, String) {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("address");
    let log = scratch.0.join("log");
    let target = Box::new(fs::File::create(&log).expect("creates a file"));
    let emulator = Arc::new(Emulator::new(function(&scratch, &fifo, WAITING), target));
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let deployment = Deployment::new(Arc::clone(&emulator));
    let url = start_function_url(loopback, Access::default(), deployment).expect("listens");
    let answered = thread::scope(|scope| {
        scope.spawn(|| {
            let mut runtime = Runtime::of(&fifo);
            let id = runtime.next().id();
            if !streamed {
                assert_eq!(runtime.respond(&id, response).status(), 202);
                return;
            }
            let head = format!(
                "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n\
                 Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
                 Content-Type: application/vnd.awslambda.http-integration-response\r\n\r\n"
            );
            runtime.send(head.as_bytes());
            let prelude = [response, &[0; 8], b"body"].concat();
            runtime.send(&[format!("{:x}\r\n", prelude.len()).as_bytes(), &prelude, b"\r\n0\r\n\r\n"].concat());
            assert_eq!(runtime.receive().status(), 202);
        });
        let mut stream = TcpStream::connect(url.address()).expect("connects");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sends");
        stream.shutdown(std::net::Shutdown::Write).expect("says that this was all");
        let mut answered = String::new();
        stream.read_to_string(&mut answered).expect("receives");
        answered
    });
    emulator.shut_down();
    (answered, fs::read_to_string(log).expect("reads the log"))
}

#[test]
fn what_is_no_head_of_a_response_is_answered_with_502_and_explained_in_the_log() {
    for (response, flaw) in [
        (
            &br#"{"statusCode": 200, "headers": {"X-A": "1\r\nSet-Cookie: forged=1"}}"#[..],
            "the value of the header X-A",
        ),
        (br#"{"statusCode": 200, "headers": {"X-A": "1\n\nbody"}}"#, "the value of the header X-A"),
        (br#"{"statusCode": 200, "headers": {"X-A: 1\r\nX-B": "2"}}"#, "is no name of a header"),
        (br#"{"statusCode": 200, "headers": {"": "2"}}"#, "is no name of a header"),
        (br#"{"statusCode": 200, "cookies": ["a=1\r\nX-B: 2"]}"#, "the value of the header Set-Cookie"),
        (br#"{"statusCode": 20000}"#, "the status code 20000"),
    ] {
        for streamed in [false, true] {
            let (answered, log) = shown(response, streamed);
            assert!(answered.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answered}");
            assert!(!answered.contains("X-B") && !answered.contains("forged"), "{answered}");
            assert!(log.contains("the Function URL cannot send this response") && log.contains(flaw), "{log}");
        }
    }
}

#[test]
fn the_function_does_not_say_how_its_response_is_framed() {
    let response = br#"{"statusCode": "201", "headers": {"Transfer-Encoding": "chunked", "content-length": "1", "X-A": "1"}, "body": "whole"}"#;
    let (answered, _) = shown(response, false);
    assert!(answered.starts_with("HTTP/1.1 201 "), "{answered}");
    assert!(answered.contains("X-A: 1\r\n") && answered.ends_with("Content-Length: 5\r\n\r\nwhole"), "{answered}");
    let (answered, _) = shown(br#"{"statusCode": 200, "headers": {"content-length": "1"}}"#, true);
    assert!(!answered.contains("content-length") && answered.ends_with("\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), "{answered}");
}

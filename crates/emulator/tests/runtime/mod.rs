//! The runtime's side of the wire, by hand: bytes out, bytes in. Its process is a shell that only waits.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use whipsnake_emulator::Function;

/// A directory that is removed at the end of a test.
pub struct Scratch(pub PathBuf, #[expect(dead_code, reason = "removes the directory")] tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("creates a directory");
        Scratch(folder.path().to_path_buf(), folder)
    }

    /// A pipe with a name: who opens it to read waits for who opens it to write.
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        let made = Command::new("mkfifo").arg(&path).status().expect("runs mkfifo");
        assert!(made.success());
        path
    }

    /// A shell script that can be executed.
    ///
    /// Another process writes it: had we the file open while another test's thread forks, it could not be run.
    pub fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut install = Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("runs install");
        let mut script = install.stdin.take().expect("a pipe");
        script.write_all(format!("#!/bin/sh\n{lines}\n").as_bytes()).expect("writes a script");
        drop(script);
        assert!(install.wait().expect("waits for install").success());
        path
    }
}

/// The function `hello`, whose bootstrap is the shell's `line` and finds the pipe `fifo` in `$FIFO`.
pub fn function(scratch: &Scratch, fifo: &Path, line: &str) -> Function {
    Function {
        name: "hello".to_owned(),
        handler: "app.handler".to_owned(),
        task: scratch.0.clone(),
        bootstrap: scratch.script("bootstrap", line),
        memory: 128,
        init_timeout: None,
        timeout: Duration::from_secs(60),
        region: "us-east-1".to_owned(),
        environment: [("FIFO".to_owned(), fifo.display().to_string())].into(),
        library_folder: None,
    }
}

/// Tells `$FIFO` where the Runtime API is and which process asks, then waits to be ended; USR1 has it exit with 3.
pub const WAITING: &str = "trap 'exit 3' USR1; echo \"$AWS_LAMBDA_RUNTIME_API $$\" > \"$FIFO\"; sleep 60 & wait";

/// A connection to the Runtime API.
pub struct Runtime {
    stream: TcpStream,
    address: String,
    pub pid: String,
}

/// A response, taken apart no further than needed.
#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: Vec<u8>,
}

impl Runtime {
    /// Waits for the process behind `fifo` and connects in its place.
    pub fn of(fifo: &Path) -> Self {
        let told = fs::read_to_string(fifo).expect("reads the fifo");
        let (address, pid) = told.trim().split_once(' ').expect("an address and a process id");
        Runtime {
            stream: TcpStream::connect(address).expect("connects"),
            address: address.to_owned(),
            pid: pid.to_owned(),
        }
    }

    /// A second connection.
    pub fn again(&self) -> Self {
        Runtime {
            stream: TcpStream::connect(&self.address).expect("connects"),
            address: self.address.clone(),
            pid: self.pid.clone(),
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid]).status().expect("runs kill");
        assert!(sent.success());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sends");
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        self.receive()
    }

    pub fn next(&mut self) -> Answer {
        self.get("/2018-06-01/runtime/invocation/next")
    }

    /// Polls and does not expect an answer.
    pub fn poll(&mut self) {
        self.send(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n");
    }

    pub fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        self.send(head.as_bytes());
        self.send(body);
        self.receive()
    }

    pub fn respond(&mut self, id: &str, body: &[u8]) -> Answer {
        self.post(&format!("/2018-06-01/runtime/invocation/{id}/response"), "", body)
    }

    /// One response, its body as long as Content-Length says.
    pub fn receive(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head in UTF-8");
        let mut answer = Answer { head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        answer.body.resize(length, 0);
        self.stream.read_exact(&mut answer.body).expect("a body");
        answer
    }

    /// Everything until the server hangs up; None when it does so with a reset.
    pub fn receive_to_end(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("reading to the end: {error}"),
        }
    }
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(written, _)| written.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn id(&self) -> String {
        self.header("Lambda-Runtime-Aws-Request-Id").expect("a request id").to_owned()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

//! The least that can answer at all: one blocking socket, no library, no JSON. It takes whatever comes for an invocation and sends the
//! event back as it is. `whipsnake bench` has it for a floor: a warm invocation cannot take less, whoever serves it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::{env, process};

const NEXT: &[u8] = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn main() -> io::Result<()> {
    let endpoint = env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let mut socket = TcpStream::connect(endpoint)?;
    socket.set_nodelay(true)?;
    let (mut answer, mut request) = (Answer::new(), Vec::new());
    loop {
        socket.write_all(NEXT)?;
        answer.read(&mut socket)?;
        let request_id = String::from_utf8_lossy(answer.header("lambda-runtime-aws-request-id").unwrap_or_default());
        let length = answer.body().len();
        request.clear();
        write!(
            request,
            "POST /2018-06-01/runtime/invocation/{request_id}/response HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
        )?;
        request.extend_from_slice(answer.body());
        socket.write_all(&request)?;
        answer.read(&mut socket)?;
    }
}

/// What the Runtime API said last.
struct Answer {
    bytes: Vec<u8>,
    /// How many of the bytes belong to it, and where its body begins.
    end: usize,
    body: usize,
}

impl Answer {
    fn new() -> Self {
        Self { bytes: vec![0; 64 * 1024], end: 0, body: 0 }
    }

    /// Reads the next one. The process ends where there is none.
    fn read(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        (self.end, self.body) = (0, 0);
        let mut whole = None;
        while whole.is_none_or(|whole| self.end < whole) {
            match socket.read(&mut self.bytes[self.end..])? {
                0 => process::exit(0),
                read => self.end += read,
            }
            let mut windows = self.bytes[..self.end].windows(4);
            if whole.is_none()
                && let Some(head) = windows.position(|window| window == b"\r\n\r\n")
            {
                self.body = head + 4;
                let length = self.header("content-length").and_then(|length| std::str::from_utf8(length).ok());
                let end = self.body + length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
                self.bytes.resize(end.max(self.bytes.len()), 0);
                whole = Some(end);
            }
        }
        Ok(())
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.bytes[..self.body].split(|&byte| byte == b'\n').find_map(|line| {
            let (named, value) = line.split_at_checked(name.len())?;
            named.eq_ignore_ascii_case(name.as_bytes()).then(|| value.strip_prefix(b":").unwrap_or(value).trim_ascii())
        })
    }

    fn body(&self) -> &[u8] {
        &self.bytes[self.body..self.end]
    }
}

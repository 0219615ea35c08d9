//! What the Runtime API answers, from the first byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use whipsnake_runtime_api::{Client, Response};

/// Nothing on this machine takes that long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Any bytes in the place of an answer to `/next` make an invocation or an error, at once; and what answers that invocation names it, or
/// is not sent.
pub fn answer(bytes: &[u8]) {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    SERVER.say(bytes);
    let conversation = async {
        let client = Client::new(&SERVER.address.to_string(), "fuzz").expect("an address");
        let Ok(invocation) = client.next().await else { return };
        let ticket = invocation.ticket;
        assert!(!ticket.request_id.is_empty() && invocation.payload.len() <= bytes.len());
        SERVER.say(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        if client.respond(&ticket, Response::json("{}")).await.is_ok() {
            let line = format!("POST /2018-06-01/runtime/invocation/{}/response HTTP/1.1\r\n", ticket.request_id);
            let heard = SERVER.heard();
            assert!(heard.starts_with(line.as_bytes()), "{line:?} was asked for: {}", heard.escape_ascii());
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, conversation).await }).expect("an end within seconds");
}

/// Says the same bytes to everybody who connects, and hangs up.
struct Server {
    address: SocketAddr,
    speech: Arc<Mutex<Vec<u8>>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = Self { address, speech: Arc::default(), heard: Arc::default() };
        let (speech, heard) = (server.speech.clone(), server.heard.clone());
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let request = read_request(&mut connection);
                *lock(&heard) = request;
                // A client may have had enough before the end.
                let _ = connection.write_all(&lock(&speech));
            }
        });
        server
    }

    fn say(&self, bytes: &[u8]) {
        *lock(&self.speech) = bytes.to_vec();
    }

    fn heard(&self) -> Vec<u8> {
        lock(&self.heard).clone()
    }
}

/// Head and body; as much of it as comes.
fn read_request(connection: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(if request.starts_with(b"POST") { b"\r\n\r\n{}".as_slice() } else { b"\r\n\r\n" }) {
        match connection.read(&mut buffer) {
            Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    request
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

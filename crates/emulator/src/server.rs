//! Accepts connections and gives each its thread.

use std::{
    io::{self, PipeWriter},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::http::{Connection, Limits};

/// A listening socket, until it is dropped.
pub struct Server {
    address: SocketAddr,
    /// Closing it wakes the accepting thread.
    wake: PipeWriter,
    accepting: JoinHandle<()>,
    open: Arc<OpenConnections>,
}

impl Server {
    /// Listens on `address` and calls `serve` for every connection, each on a thread of its own. Requests above `limits` are not
    /// read into memory.
    pub(crate) fn start(
        address: SocketAddr,
        limits: Limits,
        serve: impl Fn(Connection) + Send + Sync + 'static,
    ) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (woken, wake) = io::pipe()?;
        let open = Arc::new(OpenConnections::default());
        let counter = Arc::clone(&open);
        let serve = Arc::new(serve);
        let accepting = thread::Builder::new().name("accept".to_owned()).spawn(move || {
            let mut number = 0;
            loop {
                let mut sources = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&woken, PollFlags::IN)];
                if poll(&mut sources, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                    return;
                }
                let stopped = !sources[1].revents().is_empty();
                // Also when stopped: a client that connected, spoke and exited has to be heard.
                while let Ok((stream, _)) = listener.accept() {
                    number += 1;
                    let Ok(connection) = Connection::new(number, stream, limits) else {
                        continue;
                    };
                    let (serve, guard) = (Arc::clone(&serve), OpenConnections::enter(&counter));
                    thread::spawn(move || {
                        serve(connection);
                        drop(guard);
                    });
                }
                if stopped {
                    return;
                }
            }
        })?;
        Ok(Server { address, wake, accepting, open })
    }

    /// Where it listens, with the port that was chosen for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts what is waiting, then no more, and gives the open connections until `deadline` to end by themselves.
    pub(crate) fn stop(self, deadline: Instant) {
        drop(self.wake);
        // The thread panics only when `serve` cannot be called, and then there is nothing left to stop.
        let _ = self.accepting.join();
        self.open.wait_until_none(deadline);
    }
}

#[derive(Default)]
struct OpenConnections {
    count: Mutex<usize>,
    changed: Condvar,
}

impl OpenConnections {
    fn enter(this: &Arc<Self>) -> OpenConnection {
        *this.count() += 1;
        OpenConnection(Arc::clone(this))
    }

    fn wait_until_none(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::ZERO);
        let _ = self.changed.wait_timeout_while(self.count(), left, |count| *count > 0);
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().expect("the lock is not poisoned")
    }
}

/// One open connection; counted until dropped, also by a panic.
struct OpenConnection(Arc<OpenConnections>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.changed.notify_all();
    }
}

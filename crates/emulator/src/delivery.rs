//! An answer of the script on its way to the wire, with every mistake it asks for.

use std::time::Duration;

use crate::{
    http::{Connection, Response},
    script::{Answer, Close},
    stage::Stage,
};

/// Sends `response` the way `answer` says, and gives the connection back if it may be used again.
///
/// `begins` is called before the first byte is written, `written` when the last one is with the kernel, or the connection closed.
pub(crate) fn deliver(
    stage: &Stage,
    mut connection: Connection,
    response: &Response,
    answer: &Answer,
    begins: impl FnOnce(),
    written: impl FnOnce(),
) -> Option<Connection> {
    stage.pause(Duration::from_millis(answer.delay_ms));
    if answer.close == Some(Close::Before) {
        hang_up(connection, answer);
        written();
        return None;
    }

    let (mut head, mut body) = match &answer.raw {
        Some(raw) => (Vec::new(), raw.0.as_slice()),
        None => {
            let length = answer.content_length.unwrap_or(response.body.len() as u64);
            (response.head(length), response.body.as_slice())
        }
    };
    if let Some(end) = answer.truncate_at {
        body = &body[..end.saturating_sub(head.len()).min(body.len())];
        head.truncate(end);
    }

    let sent = match answer.chunk {
        // One write: a runtime under test must not pay for our second system call.
        None => {
            head.extend_from_slice(body);
            begins();
            connection.write(&head)
        }
        Some(pieces) => {
            begins();
            connection.write(&head).and_then(|()| {
                for piece in body.chunks(pieces.size) {
                    connection.write(piece)?;
                    stage.pause(Duration::from_millis(pieces.pause_ms));
                }
                Ok(())
            })
        }
    };
    written();

    if sent.is_err() || answer.truncate_at.is_some() || answer.close.is_some() {
        hang_up(connection, answer);
        return None;
    }
    Some(connection)
}

fn hang_up(connection: Connection, answer: &Answer) {
    if answer.reset {
        // Failing means that the client went first.
        let _ = connection.reset();
    } else if answer.interrupts() && answer.close == Some(Close::After) {
        connection.close_gently();
    }
}

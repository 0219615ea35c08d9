//! One connection of the command: each request is recorded and gets the answer the script has for it.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    bytes::Bytes,
    delivery::deliver,
    extensions,
    http::{self, Connection, Header, Request, Response},
    list::List,
    recording::{Chunk, RecordedRequest},
    script::{Answer, End},
    stage::{Stage, State},
};

const NEXT: &str = "/runtime/invocation/next";

/// Serves `connection` until one side hangs up.
pub(crate) fn converse(stage: &Arc<Stage>, connection: Connection) {
    let mut open = Some(connection);
    while let Some(mut connection) = open.take() {
        let mut interrupted = false;
        let read = connection.read_request_and_watch(|request| {
            if !stage.script.record_requests {
                request.body.clear();
            }
            let (after_chunks, after_bytes) = interruption(stage, &request.path);
            request.wanted = after_bytes;
            interrupted = !request.chunks.is_empty() && after_chunks == Some(request.chunks.len());
            if interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let Some(request) = read else {
            return;
        };
        let path = request.path.clone();
        interrupted |= request.wanted == Some(request.body.len()) && !request.complete;
        let answerable = request.complete || interrupted;
        let position = record(stage, connection.number, request, interrupted, answerable);
        if answerable {
            open = answer(stage, connection, &path, position);
        }
    }
}

/// After how many chunks, or bytes, of a response the script interrupts it.
fn interruption(stage: &Stage, path: &str) -> (Option<usize>, Option<usize>) {
    let used = stage.state().used.get(&List::Response).copied().unwrap_or_default();
    let answer = stage.script.response.get(used).filter(|_| List::of(path) == Some(List::Response));
    answer.map_or((None, None), |answer| (answer.after_chunks, answer.after_bytes))
}

/// Returns which of the script's answers it gets. In one go with recording it: of two connections, the one that is recorded first
/// gets the earlier answer.
fn record(stage: &Stage, connection: usize, request: Request, interrupted: bool, answerable: bool) -> usize {
    let now = Instant::now();
    let mut state = stage.state();
    let position = match List::of(&request.path) {
        Some(list) if answerable => {
            let used = state.used.entry(list).or_default();
            *used += 1;
            *used - 1
        }
        _ => 0,
    };
    state.request_count += 1;
    if request.path.ends_with(NEXT) && state.first_next_us.is_none() {
        state.first_next_us = Some(state.since_spawn(request.arrived));
    }
    if let Some(id) = answered_id(&request.path)
        && let Some(begun) = state.unanswered.remove(id.as_bytes())
    {
        let tenths = now.saturating_duration_since(begun).as_nanos() / 100;
        state.latencies_us.push(tenths as f64 / 10.0);
    }
    if stage.script.record_requests {
        let recorded = recorded(&state, connection, request, interrupted);
        state.requests.push(recorded);
    }
    drop(state);
    stage.notify();
    position
}

fn recorded(state: &State, connection: usize, request: Request, interrupted: bool) -> RecordedRequest {
    let in_json = |headers: Vec<Header>| headers.into_iter().map(|(name, value)| (name, Bytes(value))).collect();
    RecordedRequest {
        connection,
        method: request.method,
        path: request.path,
        version: request.version.to_owned(),
        headers: in_json(request.headers),
        body: Bytes(request.body),
        trailers: in_json(request.trailers),
        at_us: state.since_spawn(request.arrived),
        chunks: request.chunks.into_iter().map(|(at, size)| Chunk { at_us: state.since_spawn(at), size }).collect(),
        truncated: !request.complete && !interrupted,
        interrupted,
    }
}

/// The request id that a path of /response or /error answers.
fn answered_id(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/runtime/invocation/")?;
    rest.strip_suffix("/response").or_else(|| rest.strip_suffix("/error"))
}

fn answer(stage: &Arc<Stage>, connection: Connection, path: &str, position: usize) -> Option<Connection> {
    if path.ends_with(NEXT) {
        return answer_next(stage, connection);
    }
    if path == extensions::NEXT {
        stage.wait_while_running(|_| false);
        return None;
    }
    let Some(list) = List::of(path) else {
        let unknown = Response::json(404, r#"{"errorMessage":"Not found","errorType":"NotFound"}"#);
        return deliver(stage, connection, &unknown, &Answer::default(), || (), || ());
    };
    let usual = list.usual();
    match list.answers(&stage.script).get(position) {
        Some(answer) => {
            let response = described(usual, answer);
            deliver(stage, connection, &response, answer, || (), || ())
        }
        None => deliver(stage, connection, &usual, &Answer::default(), || (), || ()),
    }
}

/// `response` with what the answer says otherwise.
fn described(mut response: Response, answer: &Answer) -> Response {
    if let Some(status) = answer.status {
        response.status = status;
    }
    response.reason.clone_from(&answer.reason);
    if let Some(headers) = &answer.headers {
        response.headers = headers.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
    }
    if let Some(body) = &answer.body {
        response.body.clone_from(&body.0);
    }
    response
}

/// What a poll of /next meets.
enum Turn<'a> {
    /// A step, and the number of its event.
    Step(&'a Answer, usize),
    /// No step is left.
    End,
}

fn answer_next(stage: &Arc<Stage>, connection: Connection) -> Option<Connection> {
    loop {
        stage.state().pollers += 1;
        stage.notify();
        let turn = take_turn(stage);
        stage.state().pollers -= 1;
        stage.notify();
        match turn {
            Turn::Step(step, _) if step.idle_signal.is_some() => signal_while_idle(stage, step),
            Turn::Step(step, number) => return answer_step(stage, connection, step, number),
            Turn::End => {
                if stage.script.end != End::Close {
                    end(stage);
                }
                return None;
            }
        }
        if stage.state().exit.is_some() {
            return None;
        }
    }
}

/// Records the event as unanswered before it releases the lock. Otherwise another poll could find the script at its end, and every event
/// answered.
fn take_turn(stage: &Stage) -> Turn<'_> {
    let mut state = stage.state();
    loop {
        let (position, served) = state.step;
        let Some(step) = stage.script.next.get(position) else {
            return Turn::End;
        };
        let wanted = step.pollers.filter(|_| served == 0).unwrap_or_default();
        if state.pollers < wanted && state.exit.is_none() {
            drop(state);
            stage.wait_while_running(|state| state.pollers >= wanted || state.step != (position, served));
            state = stage.state();
            continue;
        }
        if served == step.repeat.unwrap_or(1) {
            state.step = (position + 1, 0);
            continue;
        }
        state.step.1 += 1;
        if step.idle_signal.is_none() {
            state.events += 1;
            if let Some(id) = expected_id(step, state.events) {
                state.unanswered.insert(id, Instant::now());
            }
        }
        return Turn::Step(step, state.events);
    }
}

fn signal_while_idle(stage: &Stage, step: &Answer) {
    let Some(signal) = &step.idle_signal else {
        return;
    };
    stage.pause(Duration::from_millis(signal.after_ms));
    stage.signal(signal.name.signal());
    if let Some(text) = &signal.until_output {
        stage.wait_while_running(|state| state.has_written(text));
    }
}

fn answer_step(stage: &Arc<Stage>, connection: Connection, step: &Answer, number: usize) -> Option<Connection> {
    let response = described(event(step, number), step);
    // Timed from before the first byte, not after the last: where both ends share a processor, the answer to a small event is often
    // there before this thread runs again.
    let begins = || {
        if let Some(id) = expected_id(step, number)
            && let Some(begun) = stage.state().unanswered.get_mut(&id)
        {
            *begun = Instant::now();
        }
    };
    deliver(stage, connection, &response, step, begins, || signal_the_handler(stage, step))
}

/// The request id that a response is expected for, if any.
fn expected_id(step: &Answer, number: usize) -> Option<Vec<u8>> {
    const NAME: &str = "lambda-runtime-aws-request-id";
    if step.status.is_some_and(|status| status != 200) || !step.arrives() {
        return None;
    }
    match &step.headers {
        Some(headers) => {
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME)).map(|(_, value)| value.0.clone())
        }
        None => http::find(&event_headers(step, number), NAME).map(<[u8]>::to_vec),
    }
}

/// The deterministic event: request id, deadline, ARN and content type, and the step's changes to them.
fn event(step: &Answer, number: usize) -> Response {
    let body = step.event.as_ref().map(|event| compact(event.get())).unwrap_or_default();
    Response { status: 200, reason: None, headers: event_headers(step, number), body: body.into_bytes() }
}

fn event_headers(step: &Answer, number: usize) -> Vec<Header> {
    let deadline = SystemTime::now() + Duration::from_secs(30);
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut headers: Vec<Header> = vec![
        ("Content-Type".to_owned(), b"application/json".to_vec()),
        ("Lambda-Runtime-Aws-Request-Id".to_owned(), format!("rid-{number}").into()),
        ("Lambda-Runtime-Deadline-Ms".to_owned(), deadline.as_millis().to_string().into()),
        (
            "Lambda-Runtime-Invoked-Function-Arn".to_owned(),
            b"arn:aws:lambda:us-east-1:012345678912:function:f".to_vec(),
        ),
    ];
    for (name, value) in &step.set_headers {
        let known = headers.iter().position(|(written, _)| written.eq_ignore_ascii_case(name));
        match (known, value) {
            (Some(position), Some(value)) => headers[position].1.clone_from(&value.0),
            (Some(position), None) => drop(headers.remove(position)),
            (None, Some(value)) => headers.push((name.clone(), value.0.clone())),
            (None, None) => {}
        }
    }
    headers
}

/// JSON without the spaces between its tokens; everything else as written, numbers above all.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&character| {
            if in_string {
                in_string = escaped || character != '"';
                escaped = character == '\\' && !escaped;
                return true;
            }
            in_string = character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

fn signal_the_handler(stage: &Arc<Stage>, step: &Answer) {
    let Some(signal) = step.signal.clone() else {
        return;
    };
    let stage = Arc::clone(stage);
    thread::spawn(move || {
        if let Some(text) = &signal.until_output {
            stage.wait_while_running(|state| state.has_written(text));
        }
        stage.pause(Duration::from_millis(signal.after_ms));
        stage.signal(signal.name.signal());
    });
}

/// Nothing is left to give: sends the last signal and holds the poll until the command has ended.
fn end(stage: &Stage) {
    if stage.script.end_after_answers {
        stage.wait_while_running(|state| state.unanswered.is_empty());
    }
    stage.pause(Duration::from_millis(stage.script.end_after_ms));
    if let Some(signal) = stage.script.end.signal() {
        let first = !std::mem::replace(&mut stage.state().end_signal_sent, true);
        if first {
            stage.signal(signal);
        }
    }
    stage.wait_while_running(|_| false);
}

#[cfg(test)]
mod tests {
    use super::{answered_id, compact};

    #[test]
    fn compacting_keeps_strings_and_numbers() {
        let json = "{ \"a b\" : [ 1e2, 1.10 ,\n\t123456789012345678901234567890 ], \"\\\" \\\\\" : \" \" }";
        assert_eq!(compact(json), r#"{"a b":[1e2,1.10,123456789012345678901234567890],"\" \\":" "}"#);
    }

    #[test]
    fn a_post_names_the_invocation_it_answers() {
        assert_eq!(answered_id("/2018-06-01/runtime/invocation/rid-1/response"), Some("rid-1"));
        assert_eq!(answered_id("/2018-06-01/runtime/invocation/rid-1/error"), Some("rid-1"));
        assert_eq!(answered_id("/2018-06-01/runtime/init/error"), None);
    }
}

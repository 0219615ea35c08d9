//! `play` answers as its script says, wrongly where told, and records what it was asked, byte for byte.

mod runtime;

use std::{
    thread,
    time::{Duration, Instant},
};

use runtime::{Runtime, Scratch, WAITING};
use serde_json::{Value, json};
use whipsnake_emulator::{Scripts, play};

/// Plays `script` to a waiting shell while `acts` speaks for it.
fn record(mut script: Value, acts: impl FnOnce(Runtime) + Send + 'static) -> Value {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("address");
    script["command"] = json!(["/bin/sh", "-c", WAITING]);
    script["environment"]["FIFO"] = json!(fifo);
    script["environment"]["PATH"] = json!("/usr/bin:/bin");
    let acting = thread::spawn(move || acts(Runtime::of(&fifo)));
    let recording = run(&script);
    acting.join().expect("the runtime's part is played to its end");
    recording
}

fn run(script: &Value) -> Value {
    let scripts = Scripts::parse(script.to_string().as_bytes()).expect("a good script");
    let Scripts::One(script) = scripts else {
        panic!("one script");
    };
    serde_json::to_value(play(*script).expect("plays")).expect("a recording is JSON")
}

fn shell(line: &str) -> Value {
    json!({"command": ["/bin/sh", "-c", line], "environment": {"PATH": "/usr/bin:/bin"}})
}

#[test]
fn an_event_goes_out_and_its_response_is_recorded_byte_for_byte() {
    let script = json!({"next": [{"event": {"a": [1, 2]}}]});
    let recording = record(script, |mut runtime| {
        let event = runtime.next();
        assert_eq!((event.status(), event.text()), (200, r#"{"a":[1,2]}"#));
        assert_eq!(event.id(), "rid-1");
        assert_eq!(event.header("content-type"), Some("application/json"));
        assert_eq!(
            event.header("lambda-runtime-invoked-function-arn"),
            Some("arn:aws:lambda:us-east-1:012345678912:function:f")
        );
        assert_eq!(event.header("lambda-runtime-trace-id"), None);
        let answer = runtime.post(
            "/2018-06-01/runtime/invocation/rid-1/response",
            "X-oDD:  two  \r\nx-odd: again\r\n",
            b"\xff\x00",
        );
        assert_eq!((answer.status(), answer.text()), (202, r#"{"status":"OK"}"#));
        runtime.poll();
    });
    let post = &recording["requests"][1];
    assert_eq!(post["method"], "POST");
    assert_eq!(post["path"], "/2018-06-01/runtime/invocation/rid-1/response");
    assert_eq!(post["version"], "HTTP/1.1");
    assert_eq!(post["connection"], 1);
    assert_eq!(post["headers"], json!([["X-oDD", "two"], ["x-odd", "again"], ["Content-Length", "2"]]));
    assert_eq!(post["body"], json!({"base64": "/wA="}));
    assert_eq!(recording["requests"].as_array().map(Vec::len), Some(3));
    assert_eq!(recording["request_count"], 3);
    assert_eq!((&recording["signal"], &recording["exit_code"]), (&json!(9), &Value::Null));
    assert_eq!(recording["end_signal_sent"], true);
    assert_eq!(recording["timed_out"], false);
    assert_eq!(recording["latencies_us"].as_array().map(Vec::len), Some(1));
    assert!(recording["spawn_to_first_next_us"].is_u64());
}

#[test]
fn numbers_in_an_event_stay_as_they_were_written() {
    let scratch = Scratch::new();
    let fifo = scratch.fifo("address");
    let script = format!(
        r#"{{"command": ["/bin/sh", "-c", {command}], "environment": {{"FIFO": {fifo}}},
            "next": [{{"event": {{"big": 123456789012345678901234567890, "e": 1e2}}}}]}}"#,
        command = json!(WAITING),
        fifo = json!(fifo),
    );
    let acting = thread::spawn(move || {
        let mut runtime = Runtime::of(&fifo);
        assert_eq!(runtime.next().text(), r#"{"big":123456789012345678901234567890,"e":1e2}"#);
        runtime.poll();
    });
    let Ok(Scripts::One(script)) = Scripts::parse(script.as_bytes()) else {
        panic!("one good script");
    };
    play(*script).expect("plays");
    acting.join().expect("the event is as written");
}

#[test]
fn chunks_and_trailers_are_recorded() {
    let recording = record(json!({"next": [{"event": 1}]}), |mut runtime| {
        runtime.next();
        runtime.send(
            b"POST /2018-06-01/runtime/invocation/rid-1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
              3\r\nabc\r\n2\r\nde\r\n0\r\nLambda-Runtime-Function-Error-Type: E\r\n\r\n",
        );
        assert_eq!(runtime.receive().status(), 202);
        runtime.poll();
    });
    let post = &recording["requests"][1];
    assert_eq!(post["body"], "abcde");
    assert_eq!(post["trailers"], json!([["Lambda-Runtime-Function-Error-Type", "E"]]));
    assert_eq!(post["chunks"][1]["size"], 2);
}

#[test]
fn a_streamed_response_can_be_answered_before_its_end() {
    let script = json!({
        "next": [{"event": 1}],
        "response": [{"after_chunks": 1, "status": 413, "body": "enough", "close": "after"}],
    });
    let recording = record(script, |mut runtime| {
        let event = runtime.next();
        runtime.send(
            format!(
                "POST /2018-06-01/runtime/invocation/{}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
                event.id()
            )
            .as_bytes(),
        );
        let answer = runtime.receive();
        assert_eq!((answer.status(), answer.text()), (413, "enough"));
        runtime.again().poll();
    });
    let post = &recording["requests"][1];
    assert_eq!((&post["body"], &post["interrupted"]), (&json!("one"), &json!(true)));
    assert_eq!(post.get("truncated"), None);
}

#[test]
fn a_run_that_is_not_recorded_keeps_no_bodies() {
    let script = json!({"next": [{"event": 1}], "record_requests": false});
    let recording = record(script, |mut runtime| {
        let event = runtime.next();
        let path = format!("/2018-06-01/runtime/invocation/{}/response", event.id());
        runtime
            .send(format!("POST {path} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").as_bytes());
        assert_eq!(runtime.receive().status(), 202);
        runtime.poll();
    });
    assert_eq!((&recording["request_count"], &recording["requests"]), (&json!(3), &json!([])));
}

#[test]
fn a_request_that_breaks_off_is_recorded_as_truncated() {
    let recording = record(json!({"next": [{"event": 1}]}), |mut runtime| {
        runtime.next();
        let mut other = runtime.again();
        runtime.send(b"POST /2018-06-01/runtime/invocation/rid-1/response HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
        drop(runtime);
        other.poll();
    });
    let truncated = recording["requests"]
        .as_array()
        .and_then(|requests| requests.iter().find(|request| request["truncated"] == true));
    assert_eq!(truncated.map(|request| &request["body"]), Some(&json!("abc")));
}

#[test]
fn headers_are_set_and_removed_on_top_of_the_defaults() {
    let step = json!({"event": 1, "set_headers": {
        "lambda-runtime-deadline-ms": null, "Lambda-Runtime-Trace-Id": "Root=1", "Lambda-Runtime-Aws-Request-Id": "x y"}});
    record(json!({"next": [step]}), |mut runtime| {
        let event = runtime.next();
        assert_eq!(event.header("lambda-runtime-deadline-ms"), None);
        assert_eq!(event.header("lambda-runtime-trace-id"), Some("Root=1"));
        assert_eq!(event.id(), "x y");
        runtime.poll();
    });
}

#[test]
fn exact_headers_replace_the_defaults() {
    let step = json!({"body": {"base64": "/w=="}, "status": 418, "reason": "Teapot",
        "headers": [["b", "1"], ["A", {"base64": "/w=="}], ["b", "2"]]});
    record(json!({"next": [step]}), |mut runtime| {
        runtime.poll();
        runtime.send(b"GET /end HTTP/1.1\r\nContent-Length: x\r\n\r\n");
        let sent = runtime.receive_to_end().expect("an orderly end");
        assert_eq!(sent, b"HTTP/1.1 418 Teapot\r\nb: 1\r\nA: \xff\r\nb: 2\r\nContent-Length: 1\r\n\r\n\xff");
        runtime.again().poll();
    });
}

#[test]
fn a_response_can_be_raw() {
    let step = json!({"raw": "SSH-2.0-whipsnake\r\n", "close": "after"});
    record(json!({"next": [step]}), |mut runtime| {
        runtime.poll();
        assert_eq!(runtime.receive_to_end().as_deref(), Some(&b"SSH-2.0-whipsnake\r\n"[..]));
        runtime.again().poll();
    });
}

#[test]
fn a_response_can_be_cut_and_can_lie_about_its_length() {
    let steps = json!([
        {"raw": "0123456789", "truncate_at": 4},
        {"body": "abc", "headers": [], "content_length": 10, "close": "after"},
    ]);
    record(json!({"next": steps}), |mut runtime| {
        runtime.poll();
        assert_eq!(runtime.receive_to_end().as_deref(), Some(&b"0123"[..]));
        let mut second = runtime.again();
        second.poll();
        let sent = second.receive_to_end();
        assert_eq!(sent.as_deref(), Some(&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"[..]));
        runtime.again().poll();
    });
}

#[test]
fn a_connection_can_be_dropped_or_reset_before_an_answer() {
    let steps = json!([{"event": 1, "close": "before"}, {"event": 1, "close": "before", "reset": true}]);
    record(json!({"next": steps}), |mut runtime| {
        runtime.poll();
        assert_eq!(runtime.receive_to_end(), Some(Vec::new()));
        let mut second = runtime.again();
        second.poll();
        assert_eq!(second.receive_to_end(), None);
        runtime.again().poll();
    });
}

#[test]
fn an_answer_can_be_late_and_its_body_slow() {
    let step = json!({"event": "abcdef", "delay_ms": 40, "chunk": {"size": 3, "pause_ms": 20}});
    record(json!({"next": [step]}), |mut runtime| {
        let begun = Instant::now();
        assert_eq!(runtime.next().text(), r#""abcdef""#);
        assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
        runtime.poll();
    });
}

#[test]
fn posts_are_answered_from_their_own_lists_and_then_with_202() {
    let script = json!({
        "next": [{"event": 1, "repeat": 2}],
        "response": [{"status": 413, "body": "too large"}],
        "error": [{"status": 403}],
        "init_error": [{"status": 500}],
    });
    record(script, |mut runtime| {
        let init = runtime.post("/2018-06-01/runtime/init/error", "", b"{}");
        assert_eq!(init.status(), 500);
        assert_eq!(runtime.next().id(), "rid-1");
        let first = runtime.respond("rid-1", b"1");
        assert_eq!((first.status(), first.text()), (413, "too large"));
        assert_eq!(runtime.next().id(), "rid-2");
        let error = "/2018-06-01/runtime/invocation/rid-2/error";
        assert_eq!(runtime.post(error, "", b"{}").status(), 403);
        assert_eq!(runtime.post(error, "", b"{}").status(), 202);
        runtime.poll();
    });
}

#[test]
fn a_long_run_keeps_only_counts_and_latencies() {
    let script = json!({"record_requests": false, "next": [{"event": 1, "repeat": 50}]});
    let recording = record(script, |mut runtime| {
        for number in 1..=50 {
            runtime.next();
            runtime.respond(&format!("rid-{number}"), b"1");
        }
        runtime.poll();
    });
    assert_eq!(recording["requests"], json!([]));
    assert_eq!(recording["request_count"], 101);
    assert_eq!(recording["latencies_us"].as_array().map(Vec::len), Some(50));
}

#[test]
fn the_end_waits_for_answers_when_told() {
    let script = json!({"end_after_answers": true, "next": [{"event": 1}]});
    let recording = record(script, |mut runtime| {
        let mut idle = runtime.again();
        runtime.next();
        idle.poll();
        runtime.respond("rid-1", b"done");
    });
    let bodies: Vec<_> =
        recording["requests"].as_array().into_iter().flatten().map(|request| &request["body"]).collect();
    assert!(bodies.contains(&&json!("done")), "{bodies:?}");
}

#[test]
fn the_end_waits_for_an_event_that_is_still_being_sent() {
    // A poll that comes meanwhile finds the script at its end.
    let script = json!({"end_after_answers": true, "next": [{"event": vec!["long"; 1 << 20]}]});
    let recording = record(script, |mut runtime| {
        let (mut early, mut idle) = (runtime.again(), runtime.again());
        early.poll();
        idle.poll();
        thread::sleep(Duration::from_secs(1));
        runtime.respond("rid-1", b"done");
    });
    let bodies: Vec<_> =
        recording["requests"].as_array().into_iter().flatten().map(|request| &request["body"]).collect();
    assert!(bodies.contains(&&json!("done")), "{bodies:?}");
}

#[test]
fn output_exit_code_and_pipes_are_recorded() {
    let mut script = shell("printf 'out\\377'; echo err >&2; echo framed > /proc/self/fd/$FRAMES; exit 7");
    script["pipes"] = json!(["FRAMES"]);
    let recording = run(&script);
    assert_eq!(recording["stdout"], json!({"base64": "b3V0/w=="}));
    assert_eq!(recording["stderr"], "err\n");
    assert_eq!(recording["pipes"], json!({"FRAMES": "framed\n"}));
    assert_eq!(recording["exit_code"], 7);
    assert_eq!(recording["spawn_to_first_next_us"], Value::Null);
    assert_eq!(recording["end_signal_sent"], false);
}

#[test]
fn the_environment_and_the_directory_are_exact() {
    let mut script = shell("/usr/bin/env; pwd");
    script["environment"] = json!({"AWS_LAMBDA_RUNTIME_API": "given", "A": {"base64": "YQ=="}});
    script["directory"] = json!("/");
    let recording = run(&script);
    let mut lines: Vec<_> = recording["stdout"].as_str().expect("text").lines().collect();
    // The shell adds its own.
    lines.retain(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)));
    assert_eq!(lines, ["A=a", "AWS_LAMBDA_RUNTIME_API=given", "/"]);
}

#[test]
fn a_command_that_hangs_is_killed_with_what_it_started() {
    let mut script = shell("sleep 60 & sleep 60");
    script["timeout_ms"] = json!(50);
    let recording = run(&script);
    assert_eq!((&recording["timed_out"], &recording["signal"]), (&json!(true), &json!(9)));
}

#[test]
fn a_grandchild_that_keeps_the_output_open_is_not_waited_for() {
    let begun = Instant::now();
    let recording = run(&shell("echo first; sleep 60 & exit 0"));
    assert_eq!((&recording["stdout"], &recording["exit_code"]), (&json!("first\n"), &json!(0)));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_signal_reaches_the_handler_once_its_output_is_seen() {
    let mut script =
        json!({"end": "wait", "next": [{"event": 1, "signal": {"name": "SIGUSR1", "until_output": "ready"}}]});
    let scratch = Scratch::new();
    let (address, go) = (scratch.fifo("address"), scratch.fifo("go"));
    let line = "trap 'echo caught; exit 4' USR1; echo \"$AWS_LAMBDA_RUNTIME_API $$\" > \"$FIFO\"; \
                read line < \"$GO\"; echo ready; sleep 60 & wait";
    script["command"] = json!(["/bin/sh", "-c", line]);
    script["environment"] = json!({"FIFO": address, "GO": go, "PATH": "/usr/bin:/bin"});
    let acting = thread::spawn(move || {
        let mut runtime = Runtime::of(&address);
        runtime.next();
        std::fs::write(go, "go\n").expect("writes the fifo");
    });
    let recording = run(&script);
    acting.join().expect("the runtime's part is played to its end");
    assert_eq!((&recording["stdout"], &recording["exit_code"]), (&json!("ready\ncaught\n"), &json!(4)));
}

#[test]
fn a_step_may_wait_for_several_that_ask() {
    let next = json!([{"event": 1, "pollers": 2}, {"event": 2}]);
    record(json!({ "next": next }), |mut first| {
        let mut second = first.again();
        let begun = Instant::now();
        let waiting = thread::spawn(move || (first.next().text().to_owned(), begun.elapsed()));
        thread::sleep(Duration::from_millis(100));
        let text = second.next().text().to_owned();
        let (other, waited) = waiting.join().expect("it is answered");
        assert!(waited >= Duration::from_millis(100), "{waited:?}");
        assert!(text != other && ["1", "2"].contains(&&*text) && ["1", "2"].contains(&&*other));
        second.poll();
    });
}

#[test]
fn an_idle_signal_comes_between_two_events_on_one_poll() {
    let idle = json!({"idle_signal": {"name": "SIGUSR1", "after_ms": 1, "until_output": "caught"}});
    let scratch = Scratch::new();
    let fifo = scratch.fifo("address");
    let line = "trap 'echo caught' USR1; echo \"$AWS_LAMBDA_RUNTIME_API $$\" > \"$FIFO\"; sleep 60 & wait; wait";
    let script = json!({
        "command": ["/bin/sh", "-c", line],
        "environment": {"FIFO": fifo, "PATH": "/usr/bin:/bin"},
        "next": [{"event": 1}, idle, {"event": 2}],
    });
    let acting = thread::spawn(move || {
        let mut runtime = Runtime::of(&fifo);
        assert_eq!(runtime.next().text(), "1");
        runtime.respond("rid-1", b"1");
        let second = runtime.next();
        assert_eq!((second.id().as_str(), second.text()), ("rid-2", "2"));
        runtime.poll();
    });
    let recording = run(&script);
    acting.join().expect("both events arrive");
    assert_eq!(recording["stdout"], "caught\n");
}

#[test]
fn the_last_signal_can_be_another() {
    let recording = record(json!({"end": "SIGTERM"}), |mut runtime| runtime.poll());
    assert_eq!((&recording["signal"], &recording["end_signal_sent"]), (&json!(15), &json!(true)));
}

#[test]
fn the_end_can_be_a_hang_up() {
    let recording = record(json!({"end": "close"}), |mut runtime| {
        runtime.poll();
        assert_eq!(runtime.receive_to_end(), Some(Vec::new()));
        runtime.signal("USR1");
    });
    assert_eq!((&recording["exit_code"], &recording["end_signal_sent"]), (&json!(3), &json!(false)));
}

#[test]
fn a_mistake_in_a_script_is_named() {
    let mistakes = [
        (json!({"nxt": []}), "unknown field `nxt`"),
        (json!({"next": [{"evnt": 1}]}), "unknown field `evnt`"),
        (json!({"response": [{"event": 1}]}), "`response[0]` has `event`"),
        (json!({"next": [{"event": 1, "body": "1"}]}), "both `event` and `body`"),
        (json!({"next": [{"body": 1}]}), "base64"),
        (json!({"end": "SIGNOPE"}), "SIGNOPE"),
        (json!({"response": [{"after_chunks": 1}]}), "never hangs up"),
        (json!({"response": [{"after_chunks": 0, "close": "after"}]}), "`after_chunks` 0"),
        (json!({"error": [{"after_chunks": 1, "close": "after"}]}), "only the answers of `response`"),
    ];
    for (script, expected) in mistakes {
        let error = Scripts::parse(script.to_string().as_bytes()).expect_err("a bad script").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let Ok(Scripts::One(script)) = Scripts::parse(br#"{"command": ["/nowhere/bootstrap"]}"#) else {
        panic!("one good script");
    };
    let error = play(*script).expect_err("nothing to run").to_string();
    assert!(error.contains("starting the command /nowhere/bootstrap"), "{error}");
}

//! The command from outside: what it prints where, and how it exits.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
};

/// A directory that is removed at the end of a test.
struct Scratch(PathBuf, #[expect(dead_code, reason = "removes the directory")] tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("creates a directory");
        Scratch(folder.path().to_path_buf(), folder)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).expect("writes a file");
        path.display().to_string()
    }

    /// An executable shell script. Another process writes it: a file that we have open while another test's thread
    /// forks could not be run.
    fn script(&self, name: &str, lines: &str) -> String {
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
        path.display().to_string()
    }
}

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn whipsnake(arguments: &[&str]) -> Said {
    said(Command::new(env!("CARGO_BIN_EXE_whipsnake")).args(arguments).env_remove("PYTHON"))
}

fn said(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("runs whipsnake");
    Said {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

#[test]
fn play_prints_one_recording_and_exits_with_0() {
    let scratch = Scratch::new();
    let script = scratch.file("script.json", r#"{"environment": {"PATH": "/usr/bin:/bin"}}"#);
    let said = whipsnake(&["play", &script, "--", "sh", "-c", "echo hi; exit 3"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    let recording: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!((&recording["stdout"], &recording["exit_code"]), (&"hi\n".into(), &3.into()));
}

#[test]
fn play_takes_several_scripts() {
    let scratch = Scratch::new();
    let script = scratch.file("s.json", r#"[{"command": ["/bin/true"]}, {"command": ["/bin/false"]}]"#);
    let recordings: serde_json::Value = serde_json::from_str(&whipsnake(&["play", &script]).stdout).expect("JSON");
    assert_eq!((&recordings[0]["exit_code"], &recordings[1]["exit_code"]), (&0.into(), &1.into()));
}

#[test]
fn play_names_the_field_of_a_bad_script() {
    let scratch = Scratch::new();
    let script = scratch.file("s.json", r#"{"comand": []}"#);
    let said = whipsnake(&["play", &script]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""));
    assert!(said.stderr.contains("s.json: unknown field `comand`"), "{}", said.stderr);
}

#[test]
fn invoke_prints_the_response_and_keeps_the_log_apart() {
    let scratch = Scratch::new();
    let fifo = scratch.0.join("address");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("runs mkfifo").success());
    let bootstrap = scratch
        .script("bootstrap", r#"printf '[ERROR] one\rtwo\n'; echo "$AWS_LAMBDA_RUNTIME_API" > "$FIFO"; sleep 60"#);
    let event = scratch.file("event.json", r#"{"a": 1}"#);
    let variable = format!("FIFO={}", fifo.display());
    let acting = thread::spawn(move || {
        let address = fs::read_to_string(fifo).expect("reads the fifo");
        let mut stream = TcpStream::connect(address.trim()).expect("connects");
        stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n").expect("polls");
        let mut event = String::new();
        while !event.ends_with(r#"{"a": 1}"#) {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("receives the event");
            event.push(char::from(byte[0]));
        }
        let id = event.lines().find_map(|line| line.strip_prefix("Lambda-Runtime-Aws-Request-Id: "));
        let id = id.expect("a request id");
        let post =
            format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nContent-Length: 4\r\n\r\ntrue");
        stream.write_all(post.as_bytes()).expect("responds");
    });
    let said = whipsnake(&["invoke", "app.handler", "--event", &event, "--bootstrap", &bootstrap, "--env", &variable]);
    acting.join().expect("the runtime's part is played to its end");
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "true\n"));
    assert!(said.stderr.starts_with("[ERROR] one\rtwo\nSTART RequestId: "), "{}", said.stderr);
    let report = said.stderr.lines().last().expect("a report");
    assert!(report.starts_with("REPORT RequestId: ") && report.contains("\tInit Duration: "), "{report}");
}

#[test]
fn invoke_exits_with_1_when_the_function_fails_and_prints_why_as_the_response() {
    let scratch = Scratch::new();
    let bootstrap = scratch.script("bootstrap", "exit 0");
    let event = scratch.file("event.json", "1");
    let said = whipsnake(&["invoke", "app.handler", "--event", &event, "--bootstrap", &bootstrap]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stdout.starts_with(r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: "#),
        "{}",
        said.stdout
    );
    assert!(said.stdout.ends_with("Error: Runtime exited without providing a reason\"}\n"), "{}", said.stdout);
}

#[test]
fn invoke_says_what_is_missing() {
    let scratch = Scratch::new();
    let event = scratch.file("event.json", "1");
    let broken = scratch.file("broken.json", "{\n \"a\" 1}");
    let bootstrap = scratch.script("bootstrap", "exit 0");
    let cases: [(&[&str], &str); 6] = [
        (&["--event", "nowhere.json"], "reading the event from nowhere.json: No such file"),
        (&["--event", &broken], "broken.json is not JSON: expected `:` at line 2 column 6"),
        (&["--event", &event, "--task", "/nowhere"], "there is no directory /nowhere"),
        (&["--event", &event, "--bootstrap", "/nowhere"], "looking for the bootstrap /nowhere: No such file"),
        (&["--event", &event, "--bootstrap", &bootstrap, "--env", "A"], "not NAME=VALUE"),
        (&["--event", &event, "--bootstrap", &bootstrap, "--client-context", "{"], "not JSON"),
    ];
    for (arguments, expected) in cases {
        let said = whipsnake(&[&["invoke", "app.handler"], arguments].concat());
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.stderr.contains(expected), "{}", said.stderr);
    }
}

#[test]
fn emulate_ends_its_process_on_ctrl_c_as_lambda_does() {
    let scratch = Scratch::new();
    let fifo = scratch.0.join("ready");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("runs mkfifo").success());
    let bootstrap = scratch.script("bootstrap", "trap 'echo bye; exit' TERM; echo > ready; sleep 60 & wait");
    let mut emulate = Command::new(env!("CARGO_BIN_EXE_whipsnake"))
        .args(["emulate", "app.handler", "--listen", "127.0.0.1:0", "--bootstrap", &bootstrap])
        .arg("--task")
        .arg(&scratch.0)
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs whipsnake");
    fs::read(fifo).expect("the process is started at once");
    let interrupt = Command::new("kill").args(["-s", "INT", &emulate.id().to_string()]).status();
    assert!(interrupt.expect("runs kill").success());
    let mut log = String::new();
    let mut stderr = emulate.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut log).expect("UTF-8");
    assert_eq!(emulate.wait().expect("waits").code(), Some(130));
    assert!(log.starts_with("whipsnake: http://127.0.0.1:") && log.contains("aws lambda invoke"), "{log}");
    // With no extension registered, Lambda gives no notice.
    assert!(!log.contains("bye\n"), "{log}");
}

/// A shell script that answers as a Python does.
fn interpreter(scratch: &Scratch, name: &str, implementation: &str, version: [u8; 3], ldversion: &str) -> String {
    let path = scratch.0.join(name).display().to_string();
    let answers = serde_json::json!({
        "implementation": implementation,
        "version": version,
        "release": true,
        "build": "of a shell script",
        "machine": std::env::consts::ARCH,
        "needs": [],
        "cache_tag": format!("cpython-{ldversion}"),
        "executable": path,
        "base_prefix": scratch.0,
        "ldversion": ldversion,
        "directories": [],
        "multiarch": "",
        "free_threaded": ldversion.ends_with('t'),
        "debug": false,
        "pointer_width": 64,
    });
    scratch.script(name, &format!("echo '{answers}'"))
}

#[test]
fn python_writes_what_pyo3_needs_and_only_when_it_changes() {
    let scratch = Scratch::new();
    let python = interpreter(&scratch, "python3.14", "cpython", [3, 14, 10], "3.14t");
    fs::create_dir(scratch.0.join("lib")).expect("creates lib");
    let library = scratch.file("lib/libpython3.14t.so", "");
    let lib = library.trim_end_matches("/libpython3.14t.so");
    let config = scratch.0.join("target/pyo3.txt");
    let arguments = ["python", "--python", &python, "--config", config.to_str().expect("UTF-8")];
    let said = whipsnake(&arguments);
    assert_eq!((said.code, said.stdout), (Some(0), format!("{python}\n")));
    assert_eq!(said.stderr, format!("CPython 3.14.10 (shared, free-threaded) {python}\n"));
    assert_eq!(
        fs::read_to_string(&config).expect("is written"),
        format!(
            "implementation=CPython\nversion=3.14\nshared=true\nlib_name=python3.14t\nlib_dir={lib}\n\
             executable={python}\npointer_width=64\nbuild_flags=Py_GIL_DISABLED\nsuppress_build_script_link_lines=false\n"
        )
    );
    let written = fs::metadata(&config).and_then(|metadata| metadata.modified()).expect("a time");
    whipsnake(&arguments);
    let after = fs::metadata(&config).and_then(|metadata| metadata.modified()).expect("a time");
    assert_eq!(written, after);
}

#[test]
fn python_says_why_an_interpreter_cannot_be_used() {
    let scratch = Scratch::new();
    let cases = [
        (interpreter(&scratch, "pypy", "pypy", [3, 12, 0], "3.12"), "is pypy, not CPython"),
        (interpreter(&scratch, "old", "cpython", [3, 11, 7], "3.11"), "is CPython 3.11.7, older than 3.12"),
        (
            interpreter(&scratch, "alone", "cpython", [3, 13, 0], "3.13"),
            "is CPython 3.13.0 without its library: there is no libpython3.13.so",
        ),
        (scratch.script("broken", "echo no such thing >&2; exit 1"), "does not run as a Python 3: no such thing"),
        ("/nowhere/python".to_owned(), "does not run: No such file"),
    ];
    for (python, expected) in cases {
        let said = whipsnake(&["python", "--python", &python]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""));
        assert!(said.stderr.contains(&format!("{python} {expected}")), "{}", said.stderr);
        assert!(said.stderr.contains("or name one with --python"), "{}", said.stderr);
    }
}

#[test]
fn python_takes_the_newest_that_can_be_used() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("lib")).expect("creates lib");
    for library in ["3.12", "3.13", "3.14t"] {
        scratch.file(&format!("lib/libpython{library}.a"), "");
    }
    interpreter(&scratch, "python3.12", "cpython", [3, 12, 9], "3.12");
    let newest = interpreter(&scratch, "python3.13", "cpython", [3, 13, 1], "3.13");
    let free_threaded = interpreter(&scratch, "python3.14t", "cpython", [3, 14, 1], "3.14t");
    interpreter(&scratch, "python3.15", "cpython", [3, 15, 0], "3.15");
    let find = |arguments: &[&str]| {
        said(
            Command::new(env!("CARGO_BIN_EXE_whipsnake"))
                .arg("python")
                .args(arguments)
                .env_clear()
                .env("PATH", &scratch.0)
                .env("HOME", &scratch.0),
        )
    };
    // Machines that have their own in /opt may know a newer one.
    let opt = PathBuf::from("/opt/python").exists();
    assert!(opt || find(&[]).stdout == format!("{newest}\n"), "{}", find(&[]).stderr);
    assert_eq!(find(&["--python", "3.14t"]).stdout, format!("{free_threaded}\n"));
    assert_eq!(find(&["--python", "python3.12"]).code, Some(0));
    let missing = find(&["--python", "3.15"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("there is no CPython 3.15 with its library here"), "{}", missing.stderr);
}

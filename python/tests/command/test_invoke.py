"""`whipsnake invoke`: one event, one response."""

import json
import re
from pathlib import Path

import pytest

from command.conftest import OnTerminal, Whipsnake
from playing import write_files

ECHO = "def handler(event, context): return event"


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        ((), {}),
        (("--event", "event.json"), {"from": "a file"}),
        (("-e", "-"), {"from": "standard input"}),
        (("-e", '{"from": "here"}'), {"from": "here"}),
        (("-e", '"text"'), "text"),
        (("-e", '{"a": [1]}', "--set", "a.0=b", "--set", "c.d:=1.5"), {"a": ["b"], "c": {"d": 1.5}}),
    ],
)
def test_the_event_comes_from_where_it_is_said(
    whipsnake: Whipsnake, task: Path, arguments: tuple[str, ...], event: object
) -> None:
    (task / "event.json").write_text('{"from": "a file"}')
    ran = whipsnake("invoke", "app.handler", *arguments, module=ECHO, stdin='{"from": "standard input"}')
    assert (ran.returncode, json.loads(ran.stdout)) == (0, event)


def test_a_sample_event_is_sent_by_its_name(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", "--example", "http-api", "--set", "rawPath=/here", module=ECHO)
    event = json.loads(ran.stdout)
    assert (event["version"], event["rawPath"]) == ("2.0", "/here")


def test_an_event_that_is_not_changed_arrives_as_it_was_written(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", "-e", '{"n": 123456789012345678901234567890}', module=ECHO)
    assert ran.stdout == '{"n": 123456789012345678901234567890}\n'


def test_the_configuration_and_the_caller_reach_the_function(whipsnake: Whipsnake, task: Path) -> None:
    module = """
        import os

        def handler(event, context):
            print("on standard output")
            return [
                context.identity.cognito_identity_id, context.client_context.custom, context.tenant_id,
                context.memory_limit_in_mb, context.function_name, os.environ["A"], os.environ["B"],
                context.get_remaining_time_in_millis() <= 2000,
            ]
    """
    (task / "variables").write_text("# of the function\nA=0\nB=2\n")
    ran = whipsnake(
        *("invoke", "app.handler", "--identity", '{"cognitoIdentityId": "i"}', "--client-context", '{"custom": {"k": 1}}'),
        *("--tenant", "t", "--memory", "512", "--timeout", "2", "--function-name", "n"),
        *("--env", "A=1", "--env-file", "variables"),
        module=module,
    )
    assert json.loads(ran.stdout) == ["i", {"k": 1}, "t", "512", "n", "1", "2", True]
    assert "on standard output\n" in ran.stderr


def test_a_fault_is_the_response_and_the_exit_code(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", module="def handler(event, context): 1 / 0")
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["errorType"] == "ZeroDivisionError"


def test_repeated_invocations_meet_the_same_process(whipsnake: Whipsnake) -> None:
    module = "seen = []\ndef handler(event, context): seen.append(event); return len(seen)"
    ran = whipsnake("invoke", "app.handler", "--repeat", "3", module=module)
    assert (ran.returncode, ran.stdout) == (0, "1\n2\n3\n")
    assert ran.stderr.count("Init Duration") == 1


def test_json_tells_everything_on_one_line(whipsnake: Whipsnake) -> None:
    module = """
        def handler(event, context):
            print("heard", event)
            return {"n": 1.10} if event else 1 / event
    """
    ran = whipsnake("invoke", "app.handler", "--json", "-e", "[0]", "--repeat", "2", module=module)
    assert (ran.returncode, ran.stderr) == (0, "")
    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert (first["response"], first["fault"]) == ({"n": 1.1}, None)
    assert "heard [0]\n" in first["logs"]
    report = first["report"]
    assert report["requestId"] in first["logs"]
    assert report["status"] == "success"
    assert report["durationMs"] <= report["billedDurationMs"] == -(-(report["durationMs"] + report["initDurationMs"]) // 1)
    assert (report["memorySizeMB"], report["maxMemoryUsedMB"] > 0) == (128, True)
    assert "initDurationMs" not in second["report"]
    assert second["logs"].count("heard") == 1


def test_json_tells_faults_time_outs_and_ends(whipsnake: Whipsnake) -> None:
    module = """
        import os, time

        def handler(event, context):
            if event["do"] == "sleep":
                time.sleep(60)
            if event["do"] == "exit":
                os._exit(3)
            raise ValueError("as asked")
    """
    seen = []
    for what in ("raise", "sleep", "exit"):
        event = json.dumps({"do": what})
        ran = whipsnake("invoke", "app.handler", "--json", "--timeout", "0.5", "-e", event, module=module)
        told = json.loads(ran.stdout)
        assert (ran.returncode, told["response"]) == (1, None)
        report = told["report"]
        seen.append((told["fault"]["errorType"], report["status"], report.get("errorType")))
    assert seen == [
        ("ValueError", "error", None),
        ("Sandbox.Timedout", "timeout", None),
        ("Runtime.ExitError", "error", "Runtime.ExitError"),
    ]


def test_json_tells_a_stream_as_text_or_base64(whipsnake: Whipsnake) -> None:
    module = 'def handler(event, context): yield from event["s"] or [b"\\xff", b"\\x00"]'
    ran = whipsnake("invoke", "app.handler", "--json", "-e", '{"s": ["[1", ", 2]"]}', module=module)
    assert json.loads(ran.stdout)["response"] == "[1, 2]"
    ran = whipsnake("invoke", "app.handler", "--json", "-e", '{"s": null}', module=module)
    assert json.loads(ran.stdout)["response"] == {"base64": "/wA="}


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_shows_a_record_as_lines_and_a_pipe_as_it_is(
    bootstrap: Path, whipsnake: Whipsnake, on_terminal: OnTerminal, colours: bool
) -> None:
    module = "def handler(event, context): 1 / 0"
    piped = whipsnake("invoke", "app.handler", module=module).stderr
    assert re.search(r"\[ERROR\] ZeroDivisionError: division by zero\rTraceback[^\n]*\r\W+File ", piped)
    assert "\x1b" not in piped
    variables = {} if colours else {"NO_COLOR": "1"}
    shown = on_terminal("invoke", "app.handler", "--bootstrap", bootstrap, **variables)
    headline = "[ERROR] ZeroDivisionError: division by zero"
    if colours:
        assert f"\x1b[31m{headline}\x1b[0m\nTraceback" in shown
        assert "\x1b[2mSTART RequestId: " in shown
    else:
        assert f"{headline}\nTraceback" in shown
        assert "\x1b" not in shown


def test_errors_name_a_way_out(whipsnake: Whipsnake, task: Path) -> None:
    write_files(task, {"broken.json": "{"})
    for arguments, told in {
        (
            "-e",
            "nowhere.json",
        ): "reading the event from nowhere.json: No such file or directory (os error 2); name a file",
        ("-e", "{"): "the event in --event is not JSON: EOF while parsing",
        ("-e", "broken.json"): "the event in broken.json is not JSON: EOF while parsing",
        ("--env-file", "variables"): "reading the variables in variables: No such file",
        ("--example", "apigw"): "there is no sample event apigw; there are apigw-v2, apigw-v1, ",
        ("--set", "a.b.c"): "is not PATH=TEXT or PATH:=JSON",
        ("-e", "[1]", "--set", "1=a"): 'the event has no place for --set 1: there is no "1" in it',
        ("--repeat", "0"): "0 is not in 1..",
    }.items():
        ran = whipsnake("invoke", "app.handler", *arguments, module=ECHO)
        assert (ran.returncode, ran.stdout) == (2, ""), arguments
        assert told in ran.stderr

"""`whipsnake.testing.Runtime`: a function under the bootstrap, and what its invocations come to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playing import write_files
from whipsnake.testing import FunctionError, InitError, Runtime

type Start = Callable[..., Runtime]

FUNCTION = """
    import atexit, json, logging, os, sys, time
    from whipsnake import HttpResponse, StreamingResponse

    logging.getLogger().setLevel("INFO")
    count = 0

    @atexit.register
    def goodbye():
        print("goodbye")

    def counted(event, context):
        global count
        count += 1
        return {"event": event, "count": count, "process": os.getpid()}

    def environment(event, context):
        return os.environ.get(event)

    def told(event, context):
        client, identity = context.client_context, context.identity
        return {
            "request_id": context.aws_request_id,
            "tenant": context.tenant_id,
            "remaining": context.get_remaining_time_in_millis(),
            "custom": client.custom if client else None,
            "identity": identity.cognito_identity_id,
            "memory": context.memory_limit_in_mb,
            "name": context.function_name,
            "arn": context.invoked_function_arn,
            "trace": os.environ["_X_AMZN_TRACE_ID"],
        }

    def log(event, context):
        print("printed", event)
        print("END RequestId: of somebody else")
        logging.info("in %s\\nlines", 2)
        logging.warning("a warning", extra={"order": 7})
        os.write(1, b"\\xff without an end")

    def fail(event, context):
        print("on the way")
        raise ValueError("grün")

    def leave(event, context):
        os._exit(7)

    def sleep(event, context):
        time.sleep(event)

    def steps(event, context):
        yield StreamingResponse(content_type="text/plain")
        yield "one"
        while not os.path.exists(event):
            time.sleep(0.01)
        yield "two"
        print("streamed")

    def page(event, context):
        return HttpResponse(201, {"X-A": "b"}, ["c=d"], iter(["<p>", b"\\xff"]))

    def breaks(event, context):
        yield "one"
        raise ValueError("late")

    def endless(event, context):
        while True:
            yield "x"
            time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    write_files(folder, {"app.py": FUNCTION})
    return folder


@pytest.fixture
def start(task: Path, bootstrap: Path) -> Iterator[Start]:
    started: list[Runtime] = []

    def start(handler: str, **options: object) -> Runtime:
        started.append(Runtime(f"app.{handler}", **{"task": task, "bootstrap": bootstrap, **options}))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for runtime in started:
        runtime.close()


def test_the_process_stays_warm(start: Start) -> None:
    runtime = start("counted")
    first, second = runtime.invoke({"a": "ü\ud800"}), runtime.invoke()
    assert first.response == {"event": {"a": "ü\ud800"}, "count": 1, "process": first.response["process"]}
    assert second.response == {"event": None, "count": 2, "process": first.response["process"]}
    assert first.payload.startswith(b'{"event": {"a": "\xc3\xbc')
    assert start("counted").invoke().response["process"] != first.response["process"]


def test_an_event_may_be_json_already(start: Start) -> None:
    runtime = start("counted")
    assert runtime.invoke(payload='{"a": 1, "a": 2}\n').response["event"] == {"a": 2}
    assert runtime.invoke(payload=b"1E400").response["event"] == float("inf")
    with pytest.raises(ValueError, match="the event is not JSON"):
        runtime.invoke(payload="{")
    assert runtime.invoke(1).response["count"] == 3


def test_the_environment_is_lambdas_and_the_callers(start: Start) -> None:
    runtime = start("environment", environment={"TABLE": "a=b\nc"}, region="eu-west-1")
    assert runtime.invoke("TABLE").response == "a=b\nc"
    assert runtime.invoke("AWS_REGION").response == "eu-west-1"
    assert runtime.invoke("HOME").response is None


def test_the_context_tells_what_the_caller_said(start: Start) -> None:
    runtime = start("told", function_name="orders", memory=512, timeout=20)
    result = runtime.invoke(
        request_id="rid-1",
        trace_id="Root=1-2-3",
        client_context={"custom": {"a": "b"}},
        identity={"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"},
        tenant="blue",
        timeout=5,
    )
    told = result.response
    assert result.request_id == told["request_id"] == "rid-1"
    assert 4000 < told.pop("remaining") <= 5000
    assert told == {
        "request_id": "rid-1",
        "tenant": "blue",
        "custom": {"a": "b"},
        "identity": "id",
        "memory": "512",
        "name": "orders",
        "arn": "arn:aws:lambda:us-east-1:012345678912:function:orders",
        "trace": "Root=1-2-3",
    }
    again = runtime.invoke().response
    assert (again["tenant"], again["custom"], again["identity"]) == (None, None, None)
    assert 15000 < again["remaining"] <= 20000


def test_the_log_is_the_functions_own(start: Start) -> None:
    logs = start("log").invoke(1, request_id="rid-1").logs
    assert "printed 1\nEND RequestId: of somebody else\n" in logs
    assert "START RequestId: rid-1" not in logs
    assert logs.raw.endswith(b"\xff without an end\n")
    information, warning = logs.records
    assert (information.level, information.message, information.request_id) == ("INFO", "in 2", "rid-1")
    assert (warning.level, warning.message) == ("WARNING", "a warning")
    assert information.timestamp is not None
    assert information.timestamp.endswith("Z")


def test_json_records_are_read_with_their_extras(start: Start) -> None:
    runtime = start("log", environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    information, warning = runtime.invoke({}, request_id="rid-1").logs.records
    assert (information.level, information.message, information.request_id) == ("INFO", "in 2\nlines", "rid-1")
    assert warning.fields["order"] == 7


def test_each_invocation_has_its_own_log(start: Start) -> None:
    runtime = start("fail")
    assert runtime.invoke().logs.text.count("on the way") == runtime.invoke().logs.text.count("on the way") == 1
    assert runtime.init_logs.raw == b""
    assert "goodbye" in runtime.close()


def test_a_fault_is_what_the_caller_gets(start: Start, task: Path) -> None:
    result = start("fail").invoke()
    assert result.fault is not None
    assert (result.fault.error_type, result.fault.message) == ("ValueError", "grün")
    assert result.fault.stack_trace == [f'  File "{task}/app.py", line 42, in fail\n    raise ValueError("grün")\n']
    assert result.fault.details["requestId"] == result.request_id
    assert "[ERROR] ValueError: grün\nTraceback (most recent call last):\n" in result.logs


def test_the_response_of_a_failed_function_is_an_error_that_tells_it_all(start: Start) -> None:
    result = start("fail").invoke()
    with pytest.raises(FunctionError) as failed:
        _ = result.response
    assert 'line 42, in fail\n    raise ValueError("grün")\nValueError: grün\n\nlog:\non the way\n' in str(failed.value)


def test_a_report_has_the_durations_and_the_memory(start: Start) -> None:
    runtime = start("sleep", memory=256)
    first, second = runtime.invoke(0.05).report, runtime.invoke(0).report
    assert first.line.startswith("REPORT RequestId: ")
    assert 50 <= first.duration_ms < second.duration_ms + 5000
    assert first.init_duration_ms is not None
    assert first.billed_duration_ms >= first.duration_ms + first.init_duration_ms - 0.02
    assert (first.memory_size_mb, first.status) == (256, None)
    assert 5 < first.max_memory_used_mb < 256
    assert second.init_duration_ms is None


def test_a_function_that_takes_too_long_times_out_and_starts_anew(start: Start) -> None:
    runtime = start("sleep")
    result = runtime.invoke(60, timeout=0.2)
    assert result.fault is not None
    assert result.fault.error_type == "Sandbox.Timedout"
    assert result.fault.message.endswith("Error: Task timed out after 0.20 seconds")
    assert (result.report.status, result.fault.stack_trace) == ("timeout", [])
    assert runtime.invoke(0).fault is None


def test_a_process_that_ends_is_a_fault(start: Start) -> None:
    fault = start("leave").invoke().fault
    assert fault is not None
    assert fault.error_type == "Runtime.ExitError"
    assert fault.message.endswith("Runtime exited with error: exit status 7")


def test_a_stream_comes_chunk_by_chunk(start: Start, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    stream = start("steps").stream(str(go_on))
    assert next(stream) == b"one"
    go_on.touch()
    assert list(stream) == [b"two"]
    result = stream.result()
    assert result.stream is not None
    assert (result.stream.content_type, result.stream.chunks, result.stream.prelude) == ("text/plain", [b"one", b"two"], None)
    assert (result.payload, result.logs.text) == (b"onetwo", "streamed\n")


def test_a_streamed_http_response_has_a_prelude_and_a_body(start: Start) -> None:
    stream = start("page").invoke().stream
    assert stream is not None
    assert stream.prelude == {"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["c=d"]}
    assert stream.body == b"<p>\xff"


def test_a_stream_that_fails_has_both_a_body_and_a_fault(start: Start) -> None:
    result = start("breaks").invoke()
    assert result.stream is not None
    assert result.fault is not None
    assert (result.stream.body, result.fault.error_type, result.fault.message) == (b"one", "ValueError", "late")


def test_what_is_not_streamed_has_no_stream(start: Start) -> None:
    stream = start("counted").stream(1)
    assert list(stream) == []
    assert stream.result().response["event"] == 1
    assert stream.result().stream is None


def test_an_invocation_waits_for_the_end_of_the_stream_before(start: Start, tmp_path: Path) -> None:
    runtime = start("steps")
    (tmp_path / "go on").touch()
    first = runtime.stream(str(tmp_path / "go on"))
    assert runtime.invoke(str(tmp_path / "go on")).payload == b"onetwo"
    assert first.result().payload == b"onetwo"


def test_closing_does_not_wait_for_a_stream(start: Start) -> None:
    runtime = start("endless")
    assert next(runtime.stream()) == b"x"
    begun = time.monotonic()
    runtime.close()
    assert time.monotonic() - begun < 10
    with pytest.raises(RuntimeError, match="closed"):
        runtime.invoke()


@pytest.mark.parametrize(
    ("source", "error_type", "said"),
    [
        ("print('importing'); import nothing_of_that_name", "Runtime.ImportModuleError", "importing\n"),
        ("print('importing'); 1 / 0", "ZeroDivisionError", "importing\n"),
        ("import os; print('importing'); os._exit(3)", "Runtime.ExitError", "importing\n"),
        ("print('importing')", "Runtime.HandlerNotFound", "importing\n"),
    ],
)
def test_a_failed_init_is_an_error_with_its_log(
    bootstrap: Path, tmp_path: Path, source: str, error_type: str, said: str
) -> None:
    write_files(tmp_path, {"app.py": source})
    with pytest.raises(InitError) as failed:
        Runtime("app.handler", task=tmp_path, bootstrap=bootstrap)
    assert failed.value.fault.error_type == error_type
    assert failed.value.logs.text.startswith(said)
    assert f"{error_type}: " in str(failed.value)
    assert "\n\nlog:\nimporting\n" in str(failed.value)


def test_what_the_init_phase_wrote_is_apart(bootstrap: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"app.py": "print('importing')\ndef handler(event, context): print('invoked')"})
    with Runtime("app.handler", task=tmp_path, bootstrap=bootstrap) as runtime:
        assert runtime.init_logs.text == "importing\n"
        assert runtime.invoke().logs.text == "invoked\n"


def test_a_folder_that_is_not_there_is_told_in_the_commands_words(bootstrap: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="there is no directory"):
        Runtime("app.handler", task=tmp_path / "elsewhere", bootstrap=bootstrap)


def test_a_command_that_is_not_there_is_told(bootstrap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIPSNAKE_CLI", "")
    with pytest.raises(FileNotFoundError, match="install whipsnake from its wheel"):
        Runtime("app.handler", bootstrap=bootstrap)


def test_no_process_is_left_of_a_caller_that_was_killed(
    cli: Path, bootstrap: Path, task: Path, site: Path, tmp_path: Path
) -> None:
    caller = """
        import sys, time
        from whipsnake.testing import Runtime
        runtime = Runtime("app.counted", task=sys.argv[1], bootstrap=sys.argv[2])
        print(runtime.invoke().response["process"], flush=True)
        time.sleep(60)
    """
    write_files(tmp_path, {"caller.py": caller})
    environment = {**os.environ, "PYTHONPATH": str(site), "WHIPSNAKE_CLI": str(cli)}
    command: list[str | Path] = [sys.executable, tmp_path / "caller.py", task, bootstrap]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        function = json.loads(running.stdout.readline())
        running.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 10
    while Path(f"/proc/{function}").exists():
        assert time.monotonic() < limit
        time.sleep(0.01)

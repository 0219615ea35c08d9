"""The bootstrap under AWS's own emulator."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulators.aws_emulator import AwsEmulator, program, running
from http_events import http_api
from playing import lambda_variables, write_files

type Emulate = Callable[..., contextlib.AbstractContextManager[AwsEmulator]]


@pytest.fixture(scope="session")
def aws_lambda_rie() -> Path:
    found = program()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def emulate(aws_lambda_rie: Path, bootstrap: Path, tmp_path: Path) -> Emulate:
    """AWS's emulator with a function whose module is the text."""

    @contextlib.contextmanager
    def start(module: str, **variables: str) -> Iterator[AwsEmulator]:
        task = tmp_path / "task"
        task.mkdir()
        write_files(task, {"app.py": module})
        environment = {name: str(value) for name, value in lambda_variables(task, tmp_path, "app.handler").items()}
        with running(aws_lambda_rie, bootstrap, tmp_path, {**environment, **variables}) as emulator:
            yield emulator

    return start


def test_an_event_is_echoed(emulate: Emulate) -> None:
    with emulate("def handler(event, context): return [event, context.function_name]") as emulator:
        for event in ({"k": ["é", 1.5, None]}, "text", 0):
            assert emulator.invoke(event) == [event, "f"]


def test_an_error_is_reported_and_the_next_invocation_served_by_the_same_process(emulate: Emulate) -> None:
    module = """
        import os

        def handler(event, context):
            return os.getpid() if event else 1 / event
    """
    with emulate(module) as emulator:
        process = emulator.invoke(1)
        error = emulator.invoke(0)
        assert (error["errorType"], error["errorMessage"]) == ("ZeroDivisionError", "division by zero")
        assert error["stackTrace"][0].endswith(", in handler\n    return os.getpid() if event else 1 / event\n")
        assert emulator.invoke(1) == process


def test_a_failed_import_is_the_answer_to_the_invocation(emulate: Emulate) -> None:
    with emulate("import nothing_of_that_name") as emulator:
        error = emulator.invoke({})
        assert error["errorType"] == "Runtime.ImportModuleError"
        assert error["errorMessage"] == "Unable to import module 'app': No module named 'nothing_of_that_name'"


def test_a_response_of_6_3_megabytes_is_refused_and_the_process_goes_on(emulate: Emulate) -> None:
    module = """
        import os

        def handler(event, context):
            return "x" * event or os.getpid()
    """
    with emulate(module) as emulator:
        process = emulator.invoke(0)
        refused = emulator.invoke(6_300_000)
        assert refused["errorType"] == "Function.ResponseSizeTooLarge"
        assert emulator.invoke(0) == process, "the managed runtime's process would have ended"
        assert "413 Payload Too Large to 6300002 bytes; Lambda takes at most 6291556" in emulator.log


def test_a_time_out_ends_the_invocation_and_the_next_one_is_served(emulate: Emulate) -> None:
    module = """
        import time

        def handler(event, context):
            time.sleep(event)
            return context.get_remaining_time_in_millis()
    """
    with emulate(module, AWS_LAMBDA_FUNCTION_TIMEOUT="1") as emulator:
        assert 0 < emulator.invoke(0) <= 1000
        assert "Task timed out after 1.00 seconds" in str(emulator.invoke(60))
        assert 0 < emulator.invoke(0) <= 1000


# Lambda sends SIGTERM only where an extension is registered. One inside the function's process counts.
EXTENSION = """
    import os, threading, urllib.request

    def extension(path, headers, body=None):
        address = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension/{path}"
        return urllib.request.urlopen(urllib.request.Request(address, body, headers))

    registered = extension("register", {"Lambda-Extension-Name": "inside"}, b'{"events": ["INVOKE"]}')
    identifier = {"Lambda-Extension-Identifier": registered.headers["Lambda-Extension-Identifier"]}

    def poll():
        while True:
            extension("event/next", identifier).read()

    threading.Thread(target=poll, daemon=True).start()
"""


def test_sigterm_reaches_the_functions_handler_while_it_is_idle(emulate: Emulate) -> None:
    module = f"""{EXTENSION}
    import signal, sys

    def stop(number, frame):
        print("cleaned up on", signal.Signals(number).name)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)

    def handler(event, context):
        return event
    """
    with emulate(module) as emulator:
        assert emulator.invoke(1) == 1
        assert "cleaned up on SIGTERM" in emulator.end()


def test_sigterm_without_a_handler_runs_what_atexit_holds(emulate: Emulate) -> None:
    module = f"""{EXTENSION}
    import atexit

    atexit.register(print, "at exit")

    def handler(event, context):
        return event
    """
    with emulate(module) as emulator:
        assert emulator.invoke(1) == 1
        assert "at exit" in emulator.end()


@pytest.mark.parametrize("prefix", ["", "async "])
def test_a_streamed_response_is_collected(emulate: Emulate, prefix: str) -> None:
    module = f"""
        import os, whipsnake

        {prefix}def handler(event, context):
            if event == "http":
                yield whipsnake.HttpResponse(201, {{"X-A": "b"}})
            for _ in range(3):
                yield str(os.getpid())
    """
    with emulate(module) as emulator:
        collected = str(emulator.invoke(1))
        process = collected[: len(collected) // 3]
        assert collected == 3 * process
        prelude = '{"statusCode": 201, "headers": {"x-a": "b"}, "cookies": []}'
        assert emulator.invoke("http") == prelude + 8 * "\0" + 3 * process
        assert str(emulator.invoke(1)) == collected


def test_a_streamed_response_that_fails_ends_and_the_process_goes_on(emulate: Emulate) -> None:
    """It keeps no trailers, but its HTTP stack reads them, and drops the whole where they are too long."""
    dive = "".join(f"\n        def dive{depth}(): dive{depth - 1}()" for depth in range(1, 90))
    module = f"""
        def dive0(): 1 / 0{dive}
        def handler(event, context):
            yield "on the way"
            if event:
                dive89()
    """
    with emulate(module) as emulator:
        assert emulator.invoke(1) == "on the way"
        assert emulator.invoke(0) == "on the way"
        assert "[ERROR] ZeroDivisionError: division by zero" in emulator.log
        assert "could not stream" not in emulator.log


@pytest.mark.parametrize("prefix", ["", "async "])
def test_graceful_shutdown_is_an_extension_that_lambda_takes(emulate: Emulate, prefix: str) -> None:
    module = f"""
        import atexit

        atexit.register(print, "at exit")

        {prefix}def handler(event, context):
            return event
    """
    with emulate(module, WHIPSNAKE_GRACEFUL_SHUTDOWN="1") as emulator:
        assert emulator.invoke(1) == 1
        assert emulator.invoke(2) == 2
        assert "at exit" in emulator.end()
        assert "without a SIGTERM" not in emulator.log


def test_an_applications_lifespan_ends_by_a_graceful_shutdown(emulate: Emulate) -> None:
    module = """
        async def handler(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                print("stopped")
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"{}"})
    """
    with emulate(module, WHIPSNAKE_GRACEFUL_SHUTDOWN="1") as emulator:
        assert emulator.invoke(http_api())["statusCode"] == 200
        assert "stopped" in emulator.end()

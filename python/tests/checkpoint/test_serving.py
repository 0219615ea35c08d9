"""Ways of serving, hooks and logs of a process that was restored."""

import json

import pytest

from checkpoint.conftest import KINDS, Checkpointed, FromCheckpoint, Kind, Pack, Start, is_restored
from http_events import http_api
from playing import when_asked_by

# Several invocations at once.

CONCURRENT = """
    import asyncio, os, threading
    barrier = threading.Barrier(3)
    started = threading.local()

    def handler(event, context):
        barrier.wait(10)
        return [event, context.aws_request_id, os.getpid()]
"""


@pytest.mark.parametrize("kind", KINDS)
def test_threads_serve_at_once(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    events = when_asked_by(3, [1, 2, 3])
    run = from_checkpoint(
        CONCURRENT,
        kind,
        events=events,
        environment={"AWS_LAMBDA_MAX_CONCURRENCY": "3", "WHIPSNAKE_CONCURRENCY": "threads"},
        end_after_answers=True,
    )
    assert sorted(response[0] for response in run.responses) == [1, 2, 3], run.story()
    assert len({response[2] for response in run.responses}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_processes_serve_at_once(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        import os, random
        def handler(event, context): return [event, os.getpid(), random.random()]
    """
    run = from_checkpoint(
        app,
        kind,
        events=when_asked_by(3, [1, 2, 3]),
        environment={"AWS_LAMBDA_MAX_CONCURRENCY": "3", "WHIPSNAKE_CONCURRENCY": "processes"},
        end_after_answers=True,
    )
    assert sorted(response[0] for response in run.responses) == [1, 2, 3], run.story()
    # Those that served several drew several numbers.
    assert len({response[2] for response in run.responses}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_coroutines_serve_at_once(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        import asyncio
        waiting, all_there = 0, asyncio.Event()
        async def handler(event, context):
            global waiting
            waiting += 1
            if waiting == 3:
                all_there.set()
            await asyncio.wait_for(all_there.wait(), 10)
            return event
    """
    run = from_checkpoint(
        app, kind, events=when_asked_by(3, [1, 2, 3]), environment={"AWS_LAMBDA_MAX_CONCURRENCY": "3"}, end_after_answers=True
    )
    assert sorted(run.responses) == [1, 2, 3], run.story()


def test_a_checkpoint_serves_in_every_way(checkpointed: Checkpointed, start: Start) -> None:
    # How many come at once is read again at the restore: one checkpoint for all.
    packed = checkpointed({"app.py": "import os\ndef handler(event, context): return [event, os.getpid()]\n"})
    one = start(packed, events=[1, 2])
    assert is_restored(one)
    assert [response[0] for response in one.responses] == [1, 2]
    for way in ("threads", "processes", "isolated"):
        environment = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": way}
        run = start(packed, events=when_asked_by(2, [1, 2]), environment=environment, end_after_answers=True)
        assert is_restored(run), run.story()
        assert sorted(response[0] for response in run.responses) == [1, 2]


# Streaming and web applications.


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_is_streamed(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        def handler(event, context):
            yield "one "
            yield b"two"
    """
    run = from_checkpoint(app, kind, events=[{}, {}])
    assert [answer.body for answer in run.answers.values()] == [b"one two"] * 2


ASGI = """
    import asyncio, contextlib
    started = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            started.append(asyncio.get_running_loop())
            asyncio.get_running_loop().create_task(asyncio.sleep(0))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await asyncio.sleep(0)
        same = started == [asyncio.get_running_loop()]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"{scope['path']} {len(started)} {same}".encode()})
"""


@pytest.mark.parametrize("kind", KINDS)
def test_an_asgi_application_starts_up_once(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    run = from_checkpoint(ASGI, kind, handler="app.app", events=[http_api("GET", "/one"), http_api("GET", "/two")])
    assert [response["body"] for response in run.responses] == ["/one 1 True", "/two 1 True"], run.story()


# The hooks of SnapStart.

HOOKS = """
    from snapshot_restore_py import register_after_restore, register_before_snapshot
    calls = []

    @register_before_snapshot
    def first_before(): calls.append("first before")

    @register_before_snapshot
    async def second_before(): calls.append("second before")

    @register_after_restore
    def first_after(*arguments): calls.append("first after")

    register_after_restore(lambda what, *, how: calls.append([what, how]), "what", how="how")

    def handler(event, context): return calls
"""


def test_hooks_run_before_and_after_in_their_order(from_checkpoint: FromCheckpoint) -> None:
    # Those before the snapshot run in reverse, as under SnapStart.
    run = from_checkpoint(HOOKS, events=[1, 2])
    assert run.responses == [["second before", "first before", "first after", ["what", "how"]]] * 2


def test_hooks_after_the_restore_run_in_each_copy(checkpointed: Checkpointed, start: Start) -> None:
    packed = checkpointed({"app.py": HOOKS})
    for _ in range(2):
        assert start(packed).response[-2:] == ["first after", ["what", "how"]]


def test_hooks_of_a_checkpoint_of_imports_run_as_at_an_ordinary_start(checkpointed: Checkpointed, start: Start) -> None:
    # The function's module is imported after the restore, so there is no snapshot that it could have hooks around.
    packed = checkpointed({"app.py": HOOKS}, "imports")
    run = start(packed)
    assert is_restored(run)
    assert run.response == start(packed, environment={"WHIPSNAKE_CHECKPOINT": "off"}).response


def test_a_hook_that_raises_after_the_restore_is_reported(checkpointed: Checkpointed, start: Start) -> None:
    app = """
        import os
        from snapshot_restore_py import register_after_restore
        @register_after_restore
        def fail():
            if "HOOK_FAILS" in os.environ:
                raise ValueError("not ready")
        def handler(event, context): return event
    """
    packed = checkpointed({"app.py": app})
    run = start(packed, environment={"HOOK_FAILS": "1"})
    report = run.requests[-1]
    assert (report.json()["errorType"], report.json()["errorMessage"]) == ("ValueError", "not ready"), run.story()
    assert report.call in ("POST init/error", "POST restore/error")
    assert run.answers == {}
    assert run.ending in ("exit code 1", "exit code 65")


def test_a_hook_that_raises_before_the_snapshot_is_refused(pack: Pack) -> None:
    app = """
        from snapshot_restore_py import register_before_snapshot
        @register_before_snapshot
        def fail(): raise ValueError("not ready")
        def handler(event, context): return event
    """
    packed = pack({"app.py": app})
    assert packed.exit_code == 2
    assert "no checkpoint can be made: ValueError: not ready" in packed.stderr
    assert 'app.py", line 3, in fail' in packed.stderr


# Logs.


@pytest.mark.parametrize("kind", KINDS)
def test_log_records_have_the_request_s_id(checkpointed: Checkpointed, start: Start, kind: Kind) -> None:
    app = """
        import logging
        logging.getLogger().setLevel(logging.INFO)
        logging.info("at import")
        def handler(event, context): logging.info("in the handler")
    """
    packed = checkpointed({"app.py": app}, kind)
    run = start(packed, events=[1, 2])
    # What a checkpoint of the whole init phase logs when it is imported, the packer has seen.
    at_import = [["", "at import"]] if kind == "imports" else []
    assert is_restored(run)
    lines = run.stdout.splitlines()
    assert [line.split("\t")[2:] for line in lines] == [
        *at_import,
        ["rid-1", "in the handler"],
        ["rid-2", "in the handler"],
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_json_logs_are_json(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        import logging
        logger = logging.getLogger("app")
        logger.setLevel("DEBUG")
        def handler(event, context): logger.warning("careful", extra={"detail": 7})
    """
    environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    run = from_checkpoint(app, kind, environment=environment)
    (record,) = [json.loads(line) for line in run.stdout.splitlines()]
    assert (record["level"], record["message"], record["requestId"], record["detail"]) == ("WARNING", "careful", "rid-1", 7)


def test_the_log_format_of_the_dumped_process_is_required(checkpointed: Checkpointed, start: Start) -> None:
    packed = checkpointed({"app.py": "import logging\ndef handler(event, context): logging.warning('careful')\n"})
    run = start(packed, environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    assert not is_restored(run)
    assert run.stderr == "whipsnake: starting without the checkpoint: an environment variable differs: AWS_LAMBDA_LOG_FORMAT\n"
    assert json.loads(run.stdout)["message"] == "careful"


@pytest.mark.parametrize("kind", KINDS)
def test_the_telemetry_descriptor_is_used(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        import logging, os
        at_import = os.environ.get("_LAMBDA_TELEMETRY_LOG_FD")
        def handler(event, context):
            logging.warning("framed")
            return [at_import, os.environ.get("_LAMBDA_TELEMETRY_LOG_FD")]
    """
    run = from_checkpoint(app, kind, pipes=["_LAMBDA_TELEMETRY_LOG_FD"])
    assert run.response == [None, None]
    assert b"framed" in run.pipes["_LAMBDA_TELEMETRY_LOG_FD"]
    assert b"\xa5\x5a" in run.pipes["_LAMBDA_TELEMETRY_LOG_FD"]


# Errors.


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_is_reported_with_its_stack(from_checkpoint: FromCheckpoint, kind: Kind) -> None:
    app = """
        def fail(): raise ValueError("no")
        def handler(event, context): fail()
    """
    run = from_checkpoint(app, kind)
    (error,) = run.errors
    assert (error["errorType"], error["errorMessage"], len(error["stackTrace"])) == ("ValueError", "no", 2)
    assert "line 1, in fail" in error["stackTrace"][1]


def test_the_runtime_api_may_be_elsewhere(checkpointed: Checkpointed, start: Start) -> None:
    # Each play has a port of its own.
    packed = checkpointed({"app.py": "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']\n"})
    addresses = {start(packed).response for _ in range(3)}
    assert len(addresses) == 3

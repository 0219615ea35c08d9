"""SnapStart, where it is more than the managed runtime's. The rest is in the conformance suite's section on snapshots."""

import pytest

from conftest import PlayFunction

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}

FOR_THE_CHECKPOINT = pytest.mark.not_from_checkpoint(
    "the hooks run for the checkpoint, before SnapStart's snapshot", kinds=["init"]
)


@FOR_THE_CHECKPOINT
def test_a_hook_may_be_a_coroutine_function(play: PlayFunction) -> None:
    app = """
        import asyncio
        from snapshot_restore_py import register_after_restore, register_before_snapshot

        @register_before_snapshot
        async def close():
            await asyncio.sleep(0)
            print("closed")

        @register_after_restore
        async def connect():
            await asyncio.sleep(0)
            print("connected")

        async def handler(event, context):
            return event
    """
    run = play({"app.py": app}, events=[1], environment=SNAP_START)
    assert run.calls == ["GET restore/next", "GET next", "POST rid-1/response", "GET next"]
    assert (run.stdout, run.stderr) == ("closed\nconnected\n", "")


@FOR_THE_CHECKPOINT
@pytest.mark.parametrize("where", ["before_snapshot", "after_restore"])
def test_a_coroutine_that_raises_fails_as_any_hook_does(play: PlayFunction, where: str) -> None:
    app = f"""
        from snapshot_restore_py import register_{where}

        @register_{where}
        async def hook():
            raise ValueError("not ready")

        def handler(event, context):
            return event
    """
    run = play({"app.py": app}, environment=SNAP_START)
    report = run.requests[-1]
    assert (report.json()["errorType"], report.json()["errorMessage"]) == ("ValueError", "not ready")
    assert [entry.split(", in ")[1].split("\n")[0] for entry in report.json()["stackTrace"]] == ["hook"]
    assert run.ending == ("exit code 64" if where == "before_snapshot" else "exit code 65")


def test_connections_that_were_open_in_the_snapshot_are_not_used_after_it(play: PlayFunction) -> None:
    app = "def handler(event, context): return event"
    run = play({"app.py": app}, events=[1, 2], environment={**SNAP_START, "WHIPSNAKE_GRACEFUL_SHUTDOWN": "1"})
    (restored,) = [request for request in run.requests if request.call == "GET restore/next"]
    following = [request for request in run.requests if request.call.endswith(("GET next", "/response"))]
    assert len(following) == 5
    assert restored.connection not in {request.connection for request in following}


@FOR_THE_CHECKPOINT
def test_an_application_has_started_in_the_snapshot(play: PlayFunction) -> None:
    app = """
        from snapshot_restore_py import register_before_snapshot

        register_before_snapshot(print, "before the snapshot")

        async def handler(scope, receive, send):
            await receive()
            print("started")
            await send({"type": "lifespan.startup.complete"})
            await receive()
    """
    run = play({"app.py": app}, environment=SNAP_START)
    assert run.calls == ["GET restore/next", "GET next"]
    assert run.stdout == "started\nbefore the snapshot\n"

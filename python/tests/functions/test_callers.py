"""The Python frames behind a handler's own."""

import pytest

from conftest import PlayBoth, PlayFunction

STACK = {
    "app.py": """
        import sys
        def names():
            frame, found = sys._getframe(1), []
            while frame:
                found.append(frame.f_code.co_name)
                frame = frame.f_back
            return found
        def handler(event, context): return names()
    """
}


@pytest.mark.parametrize("kind", ["threads", "processes", "isolated"])
def test_with_several_at_once_each_worker_has_callers(play: PlayFunction, kind: str) -> None:
    environment = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": kind}
    run = play(STACK, events=[{}, {}], environment=environment, end="SIGTERM", end_after_answers=True, end_after_ms=100)
    for request_id in ("rid-1", "rid-2"):
        assert run.answers[request_id].json()[:3] == ["handler", "handle_event_request", "run"]


def test_the_stack_does_not_grow_from_one_invocation_to_the_next(play: PlayFunction) -> None:
    run = play(STACK, events=[{}] * 5)
    assert [answer.json() for answer in run.answers.values()] == [["handler", "handle_event_request", "run"]] * 5


def test_a_handler_can_call_itself_as_often_as_on_the_managed_runtime(play_both: PlayBoth) -> None:
    files = {
        "app.py": """
            def depth(reached=0):
                try:
                    return depth(reached + 1)
                except RecursionError:
                    return reached
            def handler(event, context): return depth()
        """
    }
    pair = play_both(files, events=[{}])
    assert 0 <= pair.whipsnake.response - pair.reference.response <= 4


def test_an_exception_that_ends_the_process_has_none_of_these_frames(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): raise KeyboardInterrupt('stop')"}, events=[{}])
    assert "handle_event_request" not in run.stderr
    assert "in handler" in run.stderr

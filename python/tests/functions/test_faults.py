"""Failed invocations, where there is nothing to compare with: see the section of the conformance suite for all else."""

from conftest import PlayFunction


def test_a_failed_invocation_leaves_the_connection_as_it_is(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context):\n    1 / event"}, events=[0, 0, 1])
    assert run.calls[1::2] == ["POST rid-1/error", "POST rid-2/error", "POST rid-3/response"]
    assert len({request.connection for request in run.requests}) == 1


FAILS_AT_LENGTH = """
    def recurse():
        recurse()
    def handler(event, context):
        if event:
            raise ValueError("é" * event)
        recurse()
"""


def test_a_long_cause_for_x_ray_is_cropped_and_the_error_arrives(play: PlayFunction) -> None:
    run = play({"app.py": FAILS_AT_LENGTH}, events=[600_000, 3_000_000, 1, 0])
    assert [len(error["errorMessage"]) for error in run.errors[:3]] == [600_000, 3_000_000, 1]
    assert run.errors[3]["errorType"] == "RecursionError"
    for answer in run.answers.values():
        cause = answer.header("lambda-runtime-function-xray-error-cause")
        assert cause is not None
        assert len(cause.encode()) <= 64 * 1024

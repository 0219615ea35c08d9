"""The requests that Lambda gets, to the byte, and the process that Lambda did not start."""

from pathlib import Path

from conftest import PlayFunction
from playing import Run

ECHO = {
    "app.py": """
        def handler(event, context):
            if event == "fail":
                raise ValueError("failed")
            return event
    """
}


def test_requests_are_plain_http_on_one_connection(play: PlayFunction) -> None:
    run = play(ECHO, events=["a", "fail", "b"])
    assert [f"{request.method} {request.path}" for request in run.requests] == [
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-1/response",
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-2/error",
        "GET /2018-06-01/runtime/invocation/next",
        "POST /2018-06-01/runtime/invocation/rid-3/response",
        "GET /2018-06-01/runtime/invocation/next",
    ]
    assert {request.connection for request in run.requests} == {1}
    for request in run.requests:
        assert request.header("host")
        assert (request.header("user-agent") or "").startswith("whipsnake/")
        for name in ("expect", "transfer-encoding", "connection"):
            assert request.header(name) is None
        if request.method == "POST":
            assert request.header("content-length") == str(len(request.body))


def test_an_answer_that_is_sent_once_more_is_the_same(play: PlayFunction) -> None:
    run = play(ECHO, events=["a"], response=[{"close": "before"}])
    first, second = (request for request in run.requests if request.method == "POST")
    assert (first.path, first.body, first.headers) == (second.path, second.body, second.headers)


def ends_with_a_sentence(run: Run) -> None:
    """Exit code 1, and standard error is one sentence of ours."""
    assert run.ending == "exit code 1", run.story()
    assert run.stderr.startswith("whipsnake: "), run.story()
    assert run.stderr.count("\n") == 1, run.story()
    for word in ("panicked", "Traceback", "RUST_BACKTRACE", "Error {", "Kind("):
        assert word not in run.stderr


def test_proxies_are_not_asked(play: PlayFunction) -> None:
    proxy = "http://127.0.0.1:1"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")
    assert play(ECHO, events=["a"], environment=dict.fromkeys(names, proxy)).response == "a"


def test_a_bootstrap_that_lambda_did_not_start_says_so(play: PlayFunction, bootstrap: Path) -> None:
    run = play(ECHO, command=["/usr/bin/env", "-u", "AWS_LAMBDA_RUNTIME_API", str(bootstrap)])
    ends_with_a_sentence(run)
    assert "AWS_LAMBDA_RUNTIME_API is not set" in run.stderr
    run = play(ECHO, command=["/usr/bin/env", "-i", str(bootstrap)])
    ends_with_a_sentence(run)


def test_lambdas_address_and_the_handler_are_all_that_is_needed(play: PlayFunction, bootstrap: Path) -> None:
    """The function is in the working directory only if PYTHONPATH says so."""
    command = ["/bin/sh", "-c", 'exec /usr/bin/env -i "A=$0" AWS_LAMBDA_RUNTIME_API="$AWS_LAMBDA_RUNTIME_API" '
               f"_HANDLER=app.handler PYTHONPATH=. {bootstrap}"]  # fmt: skip
    assert play(ECHO, events=["a"], command=command).response == "a"

"""What passes through the runtime is nobody's but the function's: its own log tells of none of it."""

from conftest import PlayFunction
from playing import event, payload

SECRET = "a-secret-that-nobody-may-read"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": f"{SECRET}-1", "AWS_SECRET_ACCESS_KEY": f"{SECRET}-2", "AWS_SESSION_TOKEN": f"{SECRET}-3"}
MODULE = {
    "app.py": f"""
        from whipsnake import HttpResponse
        def handler(event, context):
            if event["way"] == "fail":
                raise ValueError("known")
            if event["way"] == "unmarshallable":
                return {{"{SECRET}": object()}}
            if event["way"] == "stream":
                return HttpResponse(headers={{"x-secret": "{SECRET}"}}, body=iter(["{SECRET}"]))
            return event
    """
}


def test_our_own_log_has_no_event_no_response_and_no_credential(play: PlayFunction) -> None:
    ways = ["return", "fail", "unmarshallable", "stream"]
    events = [
        event({"way": way, "value": SECRET}, headers={"Lambda-Runtime-Client-Context": f'{{"custom": {{"key": "{SECRET}"}}}}'})
        for way in ways
    ]
    run = play(MODULE, events=events, environment={**CREDENTIALS, "WHIPSNAKE_LOG": "trace"})
    assert list(run.answers) == [f"rid-{number + 1}" for number in range(len(ways))], run.story()
    assert "invocation" in run.stderr, "the log is on"
    assert SECRET not in run.stdout + run.stderr


def test_a_refused_response_is_not_in_the_log(play: PlayFunction) -> None:
    run = play(MODULE, events=[{"way": "return", "value": SECRET}, {"way": "fail"}], response=[{"status": 413}])
    assert "413" in run.stdout + run.stderr
    assert SECRET not in run.stdout + run.stderr


def test_an_event_that_is_no_json_is_not_in_the_log(play: PlayFunction) -> None:
    run = play(MODULE, events=[payload(b'{"value": "' + SECRET.encode() + b'", }')], environment={"WHIPSNAKE_LOG": "trace"})
    assert run.errors[0]["errorType"] == "Runtime.UnmarshalError"
    assert SECRET not in run.stdout + run.stderr

"""sentry-sdk's Lambda integration: it replaces names of the managed runtime's modules, and has to find them."""

import json
from typing import Any

from conftest import PlayFunction
from ecosystem.backends import HttpBackend, serve
from ecosystem.log_lines import texts
from playing import event

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"
ARN_HEADER = {"Lambda-Runtime-Invoked-Function-Arn": ARN}
# The integration flushes, that is, waits for Sentry's answers. Who goes on without them is faster than this.
SECONDS = 0.6


def set_up(*, traces: bool = False) -> str:
    """As Sentry's documentation has it. The DSN comes from the environment."""
    return f"""
        import sentry_sdk
        from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration
        sentry_sdk.init(integrations=[AwsLambdaIntegration()], traces_sample_rate={1.0 if traces else None})
    """


def dsn(backend: HttpBackend) -> dict[str, str]:
    return {"SENTRY_DSN": backend.url.replace("://", "://key@") + "/1"}


def items(backend: HttpBackend, kind: str) -> list[dict[str, Any]]:
    """What is in the envelopes: each line of JSON that says a type is followed by the item."""
    found = []
    for request in backend.sent_to("/api/1/envelope/"):
        _, *rest = [json.loads(line) for line in request.body.splitlines() if line]
        found += [item for header, item in zip(rest[::2], rest[1::2], strict=True) if header["type"] == kind]
    return found


def test_an_error_is_sent_before_the_answer_goes_out(play_tool: PlayFunction) -> None:
    files = {
        "app.py": f"""
        {set_up()}
        def divide(event):
            return 1 / event["by"]

        def handler(event, context):
            return divide(event)
        """
    }
    api_event = {
        "by": 0,
        "httpMethod": "GET",
        "path": "/divide",
        "headers": {"Host": "example.com", "X-Forwarded-Proto": "https"},
        "queryStringParameters": {"by": "0"},
    }
    with serve(answers_after=SECONDS) as backend:
        run = play_tool(
            files,
            events=[event(api_event, headers=ARN_HEADER), event({"by": 1}, headers=ARN_HEADER)],
            environment=dsn(backend),
        )
    assert run.calls == ["GET next", "POST rid-1/error", "GET next", "POST rid-2/response", "GET next"]
    assert (run.errors[0]["errorType"], run.responses) == ("ZeroDivisionError", [1.0])
    (captured,) = items(backend, "event")
    (exception,) = captured["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ZeroDivisionError", "division by zero")
    assert exception["mechanism"] == {"type": "aws_lambda", "handled": False}
    frames = [(frame["filename"], frame["function"]) for frame in exception["stacktrace"]["frames"] if frame["in_app"]]
    assert frames[-2:] == [("app.py", "handler"), ("app.py", "divide")]
    assert captured["transaction"] == "f"
    assert captured["tags"] == {"aws_region": "eu-central-1"}
    assert captured["request"]["url"] == "https://example.com/divide"
    function = captured["extra"]["lambda"]
    assert function.pop("execution_duration_in_millis") >= 0
    assert 0 < function.pop("remaining_time_in_millis") <= 30_000
    assert function == {
        "aws_request_id": "rid-1",
        "function_name": "f",
        "function_version": "$LATEST",
        "invoked_function_arn": ARN,
    }
    logs = captured["extra"]["cloudwatch logs"]
    assert (logs["log_group"], logs["log_stream"]) == (
        "/aws/lambda/f",
        "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
    )
    assert run.seconds_to_answer(1) >= SECONDS


def test_a_handled_error_and_a_log_record_are_sent_before_the_answer_goes_out(play_tool: PlayFunction) -> None:
    files = {
        "app.py": f"""
        import logging
        {set_up()}
        def handler(event, context):
            logging.getLogger("shop").warning("a breadcrumb")
            try:
                return event["missing"]
            except KeyError as error:
                sentry_sdk.capture_exception(error)
            logging.getLogger("shop").error("went on without %s", "it")
            return "done"
        """
    }
    with serve(answers_after=SECONDS) as backend:
        run = play_tool(files, events=[event({}, headers=ARN_HEADER)], environment=dsn(backend))
    assert run.response == "done"
    handled, logged = items(backend, "event")
    assert handled["exception"]["values"][0]["type"] == "KeyError"
    assert [crumb["message"] for crumb in handled["breadcrumbs"]["values"]] == ["a breadcrumb"]
    assert (logged["logger"], logged["level"], logged["logentry"]["message"]) == ("shop", "error", "went on without %s")
    assert [line.split("\t")[0::3] for line in texts(run)] == [["[WARNING]", "a breadcrumb"], ["[ERROR]", "went on without it"]]
    assert run.seconds_to_answer(1) >= SECONDS


def test_each_invocation_is_a_transaction(play_tool: PlayFunction) -> None:
    files = {
        "app.py": f"""
        {set_up(traces=True)}
        def handler(event, context):
            with sentry_sdk.start_span(op="work", name="compute"):
                return event + 1
        """
    }
    with serve(answers_after=SECONDS) as backend:
        run = play_tool(files, events=[event(1, headers=ARN_HEADER), event(2, headers=ARN_HEADER)], environment=dsn(backend))
    assert run.responses == [2, 3]
    transactions = items(backend, "transaction")
    assert [(one["transaction"], one["contexts"]["trace"]["op"]) for one in transactions] == [("f", "function.aws")] * 2
    assert [span["description"] for one in transactions for span in one["spans"]] == ["compute"] * 2
    assert [one["extra"]["lambda"]["aws_request_id"] for one in transactions] == ["rid-1", "rid-2"]
    assert len({one["contexts"]["trace"]["trace_id"] for one in transactions}) == 2
    assert min(run.seconds_to_answer(1), run.seconds_to_answer(2)) >= SECONDS


def test_a_failed_import_is_sent_before_it_is_reported(play_tool: PlayFunction) -> None:
    files = {
        "app.py": f"""
        {set_up()}
        def configure():
            raise RuntimeError("no configuration")
        configure()
        """
    }
    with serve() as backend:
        run = play_tool(files, environment=dsn(backend))
    assert run.init_error["errorType"] == "RuntimeError"
    assert (run.calls, run.exit_code) == (["POST init/error"], 1)
    (captured,) = items(backend, "event")
    (exception,) = captured["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("RuntimeError", "no configuration")
    assert [frame["function"] for frame in exception["stacktrace"]["frames"]][-2:] == ["<module>", "configure"]


def test_a_package_that_is_missing_is_sent_before_it_is_reported(play_tool: PlayFunction) -> None:
    with serve() as backend:
        run = play_tool({"app.py": f"{set_up()}\n        import no_such_package"}, environment=dsn(backend))
    assert run.init_error["errorType"] == "Runtime.ImportModuleError"
    (captured,) = items(backend, "event")
    (exception,) = captured["exception"]["values"]
    assert "No module named 'no_such_package'" in exception["value"]


def test_set_up_in_the_handler_it_serves_that_invocation_and_those_after(play_tool: PlayFunction) -> None:
    """The invocation has begun: what it captures is flushed before its answer, and errors are caught from the next one on."""
    files = {
        "app.py": """
        import sentry_sdk
        from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

        def handler(event, context):
            if event == "set up":
                sentry_sdk.init(integrations=[AwsLambdaIntegration()])
                sentry_sdk.capture_message("set up")
                return
            raise ValueError(event)
        """
    }
    # The set-up itself takes a moment.
    seconds = 2 * SECONDS
    with serve(answers_after=seconds) as backend:
        steps = [event(value, headers=ARN_HEADER) for value in ("set up", "failed")]
        run = play_tool(files, events=steps, environment=dsn(backend))
    assert (run.responses, run.errors[0]["errorType"]) == ([None], "ValueError")
    message, error = items(backend, "event")
    assert message["message"] == "set up"
    assert error["exception"]["values"][0]["value"] == "failed"
    assert error["extra"]["lambda"]["aws_request_id"] == "rid-2"
    assert min(run.seconds_to_answer(1), run.seconds_to_answer(2)) >= seconds


def test_an_impending_timeout_is_sent_while_the_function_runs(play_tool: PlayFunction) -> None:
    """The play's deadline is in 30 seconds; the warning comes 1.5 seconds before it, here 29."""
    files = {
        "app.py": """
        import threading
        import sentry_sdk
        from sentry_sdk.integrations import aws_lambda

        aws_lambda.TIMEOUT_WARNING_BUFFER = 29_000
        sentry_sdk.init(integrations=[aws_lambda.AwsLambdaIntegration(timeout_warning=True)])

        def handler(event, context):
            watching = [thread for thread in threading.enumerate() if type(thread).__name__ == "TimeoutThread"]
            for thread in watching:
                thread.join()
            return len(watching)
        """
    }
    with serve() as backend:
        run = play_tool(files, events=[event(None, headers=ARN_HEADER)], environment=dsn(backend))
    assert run.response == 1
    (captured,) = items(backend, "event")
    (exception,) = captured["exception"]["values"]
    assert exception["type"] == "ServerlessTimeoutWarning"
    assert captured["extra"]["lambda"]["aws_request_id"] == "rid-1"


def test_without_an_error_nothing_is_sent_and_nothing_said(play_tool: PlayFunction) -> None:
    files = {"app.py": f"{set_up()}\n        def handler(event, context):\n            return event"}
    with serve() as backend:
        run = play_tool(files, events=[event(1, headers=ARN_HEADER)], environment=dsn(backend))
    assert (run.response, backend.received, texts(run), run.stderr) == (1, [], [], "")

"""lumigo-tracer, its handler in the place of the function's: it looks the function up by the managed runtime's own code."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import PlayFunction
from ecosystem.backends import serve
from ecosystem.log_lines import texts
from playing import event

HANDLER = "lumigo_tracer.auto_instrument_handler._handler"
TRACE = {"Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}
ARN = {"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f"}

FUNCTION = {
    "orders/app.py": """
        import logging, urllib.request
        import lumigo_tracer

        def handler(event, context):
            lumigo_tracer.add_execution_tag("order", "7")
            logging.getLogger("shop").warning("made")
            if event.startswith("http"):
                return urllib.request.urlopen(event + "/thing").status
            if event == "fail":
                raise ValueError("as asked")
            return {"statusCode": 200}
    """
}


@pytest.fixture
def spans_folder(tmp_path: Path) -> Path:
    """Where the tracer leaves its spans for Lumigo's extension."""
    folder = tmp_path / "spans"
    folder.mkdir()
    return folder


def environment(spans_folder: Path, handler: str) -> dict[str, str]:
    return {
        "LUMIGO_ORIGINAL_HANDLER": handler,
        "LUMIGO_TRACER_TOKEN": "t_123",
        "LUMIGO_USE_TRACER_EXTENSION": "true",
        "LUMIGO_EXTENSION_SPANS_DIR_KEY": str(spans_folder),
        "LUMIGO_INITIALIZATION_CONNECTION": "false",
    }


def spans(folder: Path, kind: str) -> dict[str, Any]:
    """The function's spans by request id."""
    found = [span for path in folder.glob(f"*_{kind}") for span in json.loads(path.read_text())]
    return {span["id"].removesuffix("_started"): span for span in found if span["type"] == "function"}


def test_each_invocation_leaves_spans(play_tool: PlayFunction, spans_folder: Path, python_version: str) -> None:
    steps = [event(value, headers={**ARN, **TRACE}) for value in ("order", "fail")]
    run = play_tool(FUNCTION, handler=HANDLER, events=steps, environment=environment(spans_folder, "orders/app.handler"))
    assert (run.responses, run.errors[0]["errorType"]) == ([{"statusCode": 200}], "ValueError")
    assert [*sorted(spans(spans_folder, "span"))] == ["rid-1", "rid-2"]
    ended = spans(spans_folder, "end")
    first, second = ended["rid-1"], ended["rid-2"]
    assert (first["name"], first["account"], first["runtime"]) == ("f", "123456789012", f"AWS_Lambda_python{python_version}")
    assert (first["readiness"], second["readiness"]) == ("cold", "warm")
    assert (first["event"], json.loads(first["return_value"])) == ('"order"', {"statusCode": 200})
    assert first["transactionId"] == "bd862e3fe1be46a994272793"
    assert first["isMalformedTransactionId"] is False
    assert (second["error"]["type"], second["error"]["message"]) == ("ValueError", "as asked")
    (frame,) = second["error"]["frames"]
    assert (frame["function"], frame["variables"]["event"]) == ("handler", '"fail"')
    # Not a word of Lumigo's in the log, which it is if it does not find the managed runtime's own function.
    made = [line for line in texts(run) if line.endswith("\tmade")]
    assert texts(run)[0] == made[0]
    assert not [line for line in texts(run) if "lumigo" in line.lower() and not line.startswith("[ERROR]")]


def test_what_the_function_calls_is_a_span(play_tool: PlayFunction, spans_folder: Path) -> None:
    with serve() as backend:
        steps = [event(backend.url, headers={**ARN, **TRACE})]
        run = play_tool(FUNCTION, handler=HANDLER, events=steps, environment=environment(spans_folder, "orders/app.handler"))
    assert run.response == 200
    found = [span for path in spans_folder.glob("*_end") for span in json.loads(path.read_text())]
    (call,) = (span for span in found if span["type"] == "http")
    assert (call["parentId"], call["transactionId"]) == ("rid-1", "bd862e3fe1be46a994272793")
    http = call["info"]["httpInfo"]
    assert (http["request"]["method"], http["request"]["uri"]) == ("GET", "127.0.0.1/thing")
    assert http["response"]["statusCode"] == 200
    # The trace goes on where the function called.
    assert "bd862e3fe1be46a994272793" in backend.received[0].headers["traceparent"]


def test_a_function_that_does_not_exist_is_told_as_by_the_runtime(play_tool: PlayFunction, spans_folder: Path) -> None:
    run = play_tool(
        FUNCTION, handler=HANDLER, events=[event(1, headers=ARN)], environment=environment(spans_folder, "orders/none.handler")
    )
    (error,) = run.errors
    assert error["errorMessage"] == "Unable to import module 'orders/none': No module named 'orders.none'"

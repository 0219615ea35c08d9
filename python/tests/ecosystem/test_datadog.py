"""datadog-lambda, its handler in the place of the function's: metrics and traces go to the log, records carry the trace."""

import re
from pathlib import Path
from typing import Any

from conftest import PlayFunction
from ecosystem.log_lines import objects, texts
from playing import Run, event

HANDLER = "datadog_lambda.handler.handler"
# Without Datadog's extension beside the function, what it has to say goes to the log, and a forwarder reads it there.
ENVIRONMENT = {"DD_LAMBDA_HANDLER": "app.handler", "DD_FLUSH_TO_LOG": "true", "DD_SERVICE": "shop", "DD_ENV": "test"}
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"
ARN_HEADER = {"Lambda-Runtime-Invoked-Function-Arn": ARN}

FUNCTION = {
    "app.py": """
        import logging, signal
        from datadog_lambda.metric import lambda_metric
        from ddtrace import tracer

        log = logging.getLogger("shop")

        @tracer.wrap("compute")
        def compute(number):
            log.warning("computing")
            return number * 2

        def handler(event, context):
            lambda_metric("coffee.order", 12.5, tags=["product:latte"])
            if event == "fail":
                raise ValueError("as asked")
            if event == "wait":
                signal.pause()
            return compute(21)
    """
}


def metrics(run: Run) -> list[tuple[str, float, list[str]]]:
    return [(metric["m"], metric["v"], metric["t"]) for metric in objects(run) if "m" in metric]


def spans(run: Run, *names: str) -> list[dict[str, Any]]:
    """The spans of these names, in the log's order."""
    traces = [trace for line in objects(run) if "traces" in line for trace in line["traces"]]
    return [span for trace in traces for span in trace if span["name"] in names]


def test_metrics_are_lines_of_the_log(play_tool: PlayFunction, python_version: str) -> None:
    steps = [event(value, headers=ARN_HEADER) for value in ("work", "fail")]
    run = play_tool(FUNCTION, handler=HANDLER, events=steps, environment=ENVIRONMENT)
    assert (run.responses, run.errors[0]["errorType"]) == ([42], "ValueError")
    found = metrics(run)
    assert [(name, value) for name, value, _ in found] == [
        ("aws.lambda.enhanced.invocations", 1),
        ("coffee.order", 12.5),
        ("aws.lambda.enhanced.invocations", 1),
        ("coffee.order", 12.5),
        ("aws.lambda.enhanced.errors", 1),
    ]
    layer = f"dd_lambda_layer:datadog-python{python_version.replace('.', '')}_8.130.0"
    assert found[1][2] == ["product:latte", layer]
    tags = ["region:eu-central-1", "account_id:123456789012", "functionname:f", "resource:f", "memorysize:128"]
    starts = ["cold_start:true", "cold_start:false"]
    for (_, _, shown), start in zip((found[0], found[2]), starts, strict=True):
        assert shown == [*tags, start, f"runtime:python{python_version}", "datadog_lambda:v8.130.0", layer]


def test_the_handler_is_redirected_by_datadogs_wrapper(play_tool: PlayFunction, tmp_path: Path) -> None:
    """As the layer's script does it, in a few words."""
    wrapper = tmp_path / "datadog_wrapper"
    wrapper.write_text(f'#!/bin/bash\nexport DD_LAMBDA_HANDLER="$_HANDLER" _HANDLER="{HANDLER}"\nexec "$@"\n')
    wrapper.chmod(0o755)
    environment = {**ENVIRONMENT, "DD_LAMBDA_HANDLER": None, "AWS_LAMBDA_EXEC_WRAPPER": str(wrapper)}
    run = play_tool(FUNCTION, events=[event("work", headers=ARN_HEADER)], environment=environment)
    assert run.response == 42
    assert ("coffee.order", 12.5) in [(name, value) for name, value, _ in metrics(run)]
    assert len(spans(run, "aws.lambda")) == 1


def test_records_of_the_log_carry_the_trace(play_tool: PlayFunction) -> None:
    run = play_tool(FUNCTION, handler=HANDLER, events=[event("work", headers=ARN_HEADER)], environment=ENVIRONMENT)
    (computing,) = [line for line in texts(run) if line.endswith("computing")]
    level, _, request_id, correlation, _ = computing.split("\t")
    assert (level, request_id) == ("[WARNING]", "rid-1")
    found = re.fullmatch(r"\[dd\.trace_id=([0-9a-f]{32}) dd\.span_id=(\d+)\]", correlation)
    assert found, computing
    (span,) = spans(run, "compute")
    assert (found[1][16:].upper(), int(found[2])) == (span["trace_id"], int(span["span_id"], 16))


def test_records_in_json_carry_the_trace(play_tool: PlayFunction) -> None:
    environment = {**ENVIRONMENT, "AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}
    run = play_tool(FUNCTION, handler=HANDLER, events=[event("work", headers=ARN_HEADER)], environment=environment)
    (computing,) = [record for record in objects(run, without=("timestamp",)) if record.get("message") == "computing"]
    assert re.fullmatch("[0-9a-f]{32}", computing.pop("dd.trace_id"))
    assert computing.pop("dd.span_id").isdigit()
    correlation = {"dd.service": "shop", "dd.version": "", "dd.env": "test"}
    assert computing == {"level": "WARNING", "message": "computing", "logger": "shop", "requestId": "rid-1", **correlation}


def test_each_invocation_is_a_trace(play_tool: PlayFunction) -> None:
    steps = [event(value, headers=ARN_HEADER) for value in ("work", "fail")]
    run = play_tool(FUNCTION, handler=HANDLER, events=steps, environment=ENVIRONMENT)
    first, compute, second = spans(run, "aws.lambda", "compute")
    assert (compute["parent_id"], compute["trace_id"]) == (first["span_id"], first["trace_id"])
    assert [(span["service"], span["resource"], span["error"]) for span in (first, second)] == [
        ("shop", "f", 0),
        ("shop", "f", 1),
    ]
    assert [(span["meta"]["request_id"], span["meta"]["cold_start"]) for span in (first, second)] == [
        ("rid-1", "true"),
        ("rid-2", "false"),
    ]
    assert first["meta"]["function_arn"] == ARN
    assert (second["meta"]["error.type"], second["meta"]["error.message"]) == ("builtins.ValueError", "as asked")
    # How long what took to import, at the start.
    (load,) = spans(run, "aws.lambda.load")
    assert load["trace_id"] == first["trace_id"]
    imported = [span["resource"] for span in spans(run, "aws.lambda.import")]
    assert "ddtrace.contrib" in imported


def test_an_impending_timeout_is_marked_while_the_function_runs(play_tool: PlayFunction) -> None:
    """By an alarm: a signal handler that has to run in the middle of the function. The play's deadline is in 30 seconds."""
    environment = {**ENVIRONMENT, "DD_APM_FLUSH_DEADLINE_MILLISECONDS": "29000"}
    steps = [event(value, headers=ARN_HEADER) for value in ("wait", "work")]
    run = play_tool(FUNCTION, handler=HANDLER, events=steps, environment=environment)
    assert run.responses == [42, 42]
    first, second = spans(run, "aws.lambda")
    assert (first["error"], first["meta"]["error.type"]) == (1, "Impending Timeout")
    assert second["error"] == 0

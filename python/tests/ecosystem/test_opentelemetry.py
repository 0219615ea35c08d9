"""OpenTelemetry's instrumentation of Lambda, set up as its layer does it: by the wrapper script, without a change to the
function."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import PlayFunction
from ecosystem.backends import Answer, HttpBackend, Received, serve
from ecosystem.log_lines import texts
from playing import event

SECONDS = 0.4
ARN_HEADER = {"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:f:live"}

# What the layer's two files come to: `otel-instrument`, which sets the variables and execs OpenTelemetry's own command, and the
# module that stands in for the function. On Lambda LAYER is /opt/python.
WRAPPER = """\
#!/bin/bash
export PYTHONPATH="$LAMBDA_RUNTIME_DIR:$LAYER:$PYTHONPATH"
export OTEL_PROPAGATORS="${OTEL_PROPAGATORS:-tracecontext,baggage,xray}"
export OTEL_RESOURCE_ATTRIBUTES="service.name=$AWS_LAMBDA_FUNCTION_NAME,faas.version=$AWS_LAMBDA_FUNCTION_VERSION"
export ORIG_HANDLER="$_HANDLER"
export _HANDLER="otel_wrapper.lambda_handler"
exec python3 "$LAYER/bin/opentelemetry-instrument" "$@"
"""
STAND_IN = """\
import os
from importlib import import_module
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor

AwsLambdaInstrumentor().instrument()
module, _, name = os.environ["ORIG_HANDLER"].rpartition(".")
lambda_handler = getattr(import_module(module.replace("/", ".")), name)
"""

FUNCTION = {
    "app.py": """
        import logging, urllib.request
        import boto3
        s3 = boto3.client("s3")

        def handler(event, context):
            if "get" in event:
                return urllib.request.urlopen(event["get"]).status
            if "head" in event:
                return s3.head_object(Bucket="bucket", Key=event["head"])["ContentLength"]
            logging.getLogger("shop").warning("about to fail")
            raise ValueError("as asked")
    """
}

READ_SPANS = """\
import sys
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
print(MessageToJson(ExportTraceServiceRequest.FromString(sys.stdin.buffer.read()), indent=None))
"""


@pytest.fixture
def layer(tool: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "layer"
    folder.mkdir()
    for entry in tool.iterdir():
        (folder / entry.name).symlink_to(entry)
    (folder / "otel_wrapper.py").write_text(STAND_IN)
    wrapper = folder / "otel-instrument"
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    return folder


@pytest.fixture
def play_traced(play_tool: PlayFunction, layer: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(backend: HttpBackend, files: dict[str, str], events: list[object], handler: str = "app.handler") -> Any:
        variables = {
            "AWS_LAMBDA_EXEC_WRAPPER": str(layer / "otel-instrument"),
            "LAYER": str(layer),
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "AWS_ENDPOINT_URL_S3": backend.url,
        }
        function = tmp_path / "function"
        function.mkdir()
        return play_tool(files, task_root=function, handler=handler, events=events, environment=variables)

    return run


@pytest.fixture
def read_spans(tool: Path) -> Callable[[HttpBackend], list[dict[str, Any]]]:
    """The collector's side, by a process that has the packages."""

    def read(backend: HttpBackend) -> list[dict[str, Any]]:
        found = []
        for request in backend.sent_to("/v1/traces"):
            reader = subprocess.run(
                [sys.executable, "-c", READ_SPANS],
                input=request.body,
                env={"PYTHONPATH": str(tool)},
                capture_output=True,
                check=True,
            )
            for resource in json.loads(reader.stdout)["resourceSpans"]:
                shared = attributes(resource["resource"])
                spans = [span for scope in resource["scopeSpans"] for span in scope["spans"]]
                found += [{**span, "attributes": attributes(span), "resource": shared} for span in spans]
        return found

    return read


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in holder.get("attributes", [])}


def answer(request: Received) -> Answer:
    return Answer(b"" if request.method == "HEAD" else b"{}", content_type="text/plain")


def test_invocations_and_what_they_call_are_spans(
    play_traced: Callable[..., Any], read_spans: Callable[[HttpBackend], list[dict[str, Any]]]
) -> None:
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with serve(answer, answers_after=SECONDS) as backend:
        events = [{"get": f"{backend.url}/thing", "headers": parent}, {"head": "key"}, {}]
        run = play_traced(backend, FUNCTION, [event(value, headers=ARN_HEADER) for value in events])
        spans = read_spans(backend)
    assert run.responses == [200, 0]
    assert run.errors[0]["errorType"] == "ValueError"
    assert [(span["name"], span["kind"].removeprefix("SPAN_KIND_")) for span in spans] == [
        ("GET", "CLIENT"),
        ("f", "SERVER"),
        ("S3.HeadObject", "CLIENT"),
        ("f", "SERVER"),
        ("f", "SERVER"),
    ]
    get, first, head, second, third = spans
    assert (get["parentSpanId"], head["parentSpanId"]) == (first["spanId"], second["spanId"])
    # The spans of one invocation are of one trace; the first goes on with the caller's.
    assert (get["traceId"], head["traceId"]) == (first["traceId"], second["traceId"])
    assert len({first["traceId"], second["traceId"], third["traceId"]}) == 3
    for number, span in enumerate((first, second, third), 1):
        assert span["attributes"]["faas.invocation_id"] == f"rid-{number}"
        assert span["attributes"]["cloud.account.id"] == "123456789012"
        assert span["attributes"]["cloud.resource_id"] == "arn:aws:lambda:eu-central-1:123456789012:function:f"
        assert span["resource"]["service.name"] == "f"
        assert span["resource"]["telemetry.sdk.language"] == "python"
    assert third["status"] == {"code": "STATUS_CODE_ERROR"}
    (raised,) = third["events"]
    assert (attributes(raised)["exception.type"], attributes(raised)["exception.message"]) == ("ValueError", "as asked")
    # The function called with its span's context.
    (called,) = backend.sent_to("/thing")
    identifiers = [base64.b64decode(get[name]).hex() for name in ("traceId", "spanId")]
    assert called.headers["traceparent"] == "00-{}-{}-01".format(*identifiers)
    # All of it is sent before the answer goes out: Lambda may freeze the process then.
    assert run.seconds_to_answer(3) >= SECONDS
    # The log is Lambda's own. That the layer's two files both instrument is old, and said at each start.
    twice, warning, error = texts(run)
    assert twice.split("\t")[0::3] == ["[WARNING]", "Attempting to instrument while already instrumented"]
    assert warning.split("\t")[0::2] == ["[WARNING]", "rid-3"]
    assert warning.endswith("\tabout to fail")
    assert error.startswith("[ERROR] ValueError: as asked\r")
    assert run.stderr == ""


def test_a_request_of_an_api_is_described(
    play_traced: Callable[..., Any], read_spans: Callable[[HttpBackend], list[dict[str, Any]]]
) -> None:
    """Also with a handler in a folder, and AWS X-Ray's header."""
    files = {"functions/app.py": "def handler(event, context):\n    return {'statusCode': 418}"}
    request = {
        "version": "2.0",
        "headers": {"x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"},
        "rawQueryString": "a=1",
        "requestContext": {"domainName": "example.com", "http": {"method": "POST", "path": "/tea", "userAgent": "curl"}},
    }
    with serve(answer) as backend:
        run = play_traced(backend, files, [event(request, headers=ARN_HEADER)], handler="functions/app.handler")
        (span,) = read_spans(backend)
    assert run.response == {"statusCode": 418}
    shown = {name: value for name, value in span["attributes"].items() if name.startswith(("http.", "net.", "faas.trigger"))}
    assert shown == {
        "faas.trigger": "http",
        "net.host.name": "example.com",
        "http.method": "POST",
        "http.user_agent": "curl",
        "http.route": "/tea",
        "http.target": "/tea?a=1",
        "http.status_code": "418",
    }
    assert base64.b64decode(span["traceId"]).hex() == "5759e988bd862e3fe1be46a994272793"
    assert base64.b64decode(span["parentSpanId"]).hex() == "53995c3f42cd8ad8"


def test_a_function_that_cannot_be_imported_is_reported(play_traced: Callable[..., Any]) -> None:
    with serve(answer) as backend:
        run = play_traced(backend, {"app.py": "import no_such_package"}, [])
    assert run.init_error["errorType"] == "Runtime.ImportModuleError"
    found = "unable to import module 'app' while resolving the target for 'handler'"
    assert run.init_error["errorMessage"] == f"Unable to import module 'otel_wrapper': {found}"

"""aws-xray-sdk: the segments that the daemon is sent, below the one that Lambda itself makes of each invocation."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import PlayFunction
from ecosystem.backends import Answer, Received, UdpBackend, serve
from ecosystem.log_lines import texts
from playing import event

FUNCTION = {
    "app.py": """
        import boto3
        from aws_xray_sdk.core import patch_all, xray_recorder
        patch_all()
        s3 = boto3.client("s3")

        @xray_recorder.capture("compute")
        def compute(number):
            if subsegment := xray_recorder.current_subsegment():
                subsegment.put_annotation("number", number)
            if number < 0:
                raise ValueError("negative")
            return number * 2

        def handler(event, context):
            s3.head_object(Bucket="bucket", Key="key")
            return compute(event)
    """
}


@pytest.fixture
def daemon() -> Iterator[UdpBackend]:
    backend = UdpBackend()
    yield backend
    backend.close()


def trace(number: int, *, sampled: int = 1) -> dict[str, str | bytes | None]:
    root = f"Root=1-5759e988-{number:024x}"
    return {"Lambda-Runtime-Trace-Id": f"{root};Parent={number:016x};Sampled={sampled}"}


def segments(daemon: UdpBackend) -> list[dict[str, Any]]:
    headers, bodies = zip(*(datagram.split(b"\n", 1) for datagram in daemon.datagrams()), strict=True)
    assert {json.loads(header)["format"] for header in headers} == {"json"}
    return [json.loads(body) for body in bodies]


def head(_: Received) -> Answer:
    return Answer(b"", content_type="application/xml")


def test_subsegments_hang_below_each_invocations_own_segment(play_tool: PlayFunction, daemon: UdpBackend) -> None:
    events = [event(2, headers=trace(1)), event(-1, headers=trace(2)), event(4, headers=trace(3, sampled=0))]
    with serve(head) as s3:
        environment = {"AWS_XRAY_DAEMON_ADDRESS": daemon.address, "AWS_ENDPOINT_URL_S3": s3.url}
        run = play_tool(FUNCTION, events=events, environment=environment)
    assert (run.responses, [error["errorType"] for error in run.errors]) == ([4, 8], ["ValueError"])
    found = segments(daemon)
    assert [(segment["name"], segment["parent_id"], segment["trace_id"][-2:]) for segment in found] == [
        ("s3", f"{1:016x}", "01"),
        ("compute", f"{1:016x}", "01"),
        ("s3", f"{2:016x}", "02"),
        ("compute", f"{2:016x}", "02"),
    ]
    call, first, _, second = found
    assert (call["namespace"], call["aws"]["operation"], call["aws"]["region"]) == ("aws", "HeadObject", "eu-central-1")
    assert call["http"]["response"]["status"] == 200
    assert (first["annotations"], first["type"]) == ({"number": 2}, "subsegment")
    assert first["end_time"] >= first["start_time"] > 1_600_000_000
    assert second["fault"] is True
    (exception,) = second["cause"]["exceptions"]
    assert (exception["type"], exception["message"]) == ("ValueError", "negative")
    assert [frame["label"] for frame in exception["stack"]][-1] == "compute"
    # What the function calls is told which span called, and whether it is sampled.
    told = [request.headers["x-amzn-trace-id"] for request in s3.received]
    assert told[0] == f"Root=1-5759e988-{1:024x};Parent={call['id']};Sampled=1"
    assert told[2].endswith("Sampled=0")


def test_without_a_trace_the_function_runs_and_the_log_says_so(play_tool: PlayFunction, daemon: UdpBackend) -> None:
    with serve(head) as s3:
        environment = {"AWS_XRAY_DAEMON_ADDRESS": daemon.address, "AWS_ENDPOINT_URL_S3": s3.url}
        run = play_tool(FUNCTION, events=[2], environment=environment)
    assert (run.response, [*daemon.datagrams()]) == (4, [])
    warnings = [line.split("\t")[0::2] for line in texts(run)]
    assert warnings == [["[WARNING]", "rid-1"], ["[WARNING]", "rid-1"]]
    assert [line.split("\t")[3].split()[:3] for line in texts(run)] == [
        ["Subsegment", "s3", "discarded"],
        ["Subsegment", "compute", "discarded"],
    ]

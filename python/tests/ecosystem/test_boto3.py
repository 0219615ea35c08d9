"""boto3: the function's credentials and region, and what AWS is told about who calls."""

import re

from conftest import PlayFunction
from ecosystem.backends import Answer, Received, serve
from playing import event

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0"


class Bucket:
    """S3, as far as an object is put and got."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def answer(self, request: Received) -> Answer:
        if request.method == "PUT":
            self.objects[request.path] = request.body
            return Answer(b"", content_type="application/xml")
        if request.path in self.objects:
            return Answer(self.objects[request.path], content_type="application/octet-stream")
        missing = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
        return Answer(missing, 404, "application/xml")


FUNCTION = {
    "app.py": """
        import boto3
        s3 = boto3.client("s3")

        def handler(event, context):
            if "body" in event:
                s3.put_object(Bucket="bucket", Key=event["key"], Body=event["body"].encode())
            return s3.get_object(Bucket="bucket", Key=event["key"])["Body"].read().decode()
    """
}


def test_an_object_is_put_and_got_as_the_function(play_tool: PlayFunction, python_version: str) -> None:
    with serve(Bucket().answer) as s3:
        events = [event({"key": "a", "body": "é" * 100_000}, headers={"Lambda-Runtime-Trace-Id": TRACE}), {"key": "b"}]
        run = play_tool(FUNCTION, events=events, environment={"AWS_ENDPOINT_URL_S3": s3.url})
    assert run.responses == ["é" * 100_000]
    (error,) = run.errors
    assert error["errorType"] == "NoSuchKey"
    assert error["errorMessage"].endswith("calling the GetObject operation: The specified key does not exist.")
    put, get, missing = (request.headers for request in s3.received)
    for headers in (put, get, missing):
        assert re.match(r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/eu-central-1/s3/", headers["authorization"])
        assert headers["x-amz-security-token"] == "token"
        assert f" exec-env/AWS_Lambda_python{python_version} " in headers["user-agent"]
        assert f" lang/python#{python_version}." in headers["user-agent"]
    # Lambda stops functions that call each other in a circle by this header: it has to be the invocation's own.
    assert [headers.get("x-amzn-trace-id") for headers in (put, get, missing)] == [TRACE, TRACE, None]


def test_a_transfer_by_threads(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import boto3, io, threading
            bucket = boto3.resource("s3").Bucket("bucket")

            def handler(event, context):
                names = []
                bucket.upload_fileobj(io.BytesIO(b"x" * event), "large",
                                      Callback=lambda sent: names.append(threading.current_thread().name))
                received = io.BytesIO()
                bucket.download_fileobj("large", received)
                return len(received.getvalue()), "MainThread" in names
        """
    }

    def answer(request: Received) -> Answer:
        if request.method == "HEAD":
            return Answer(b"", content_type="application/octet-stream")
        return bucket.answer(request)

    bucket = Bucket()
    with serve(answer) as s3:
        run = play_tool(files, events=[1_000_000, 2_000_000], environment={"AWS_ENDPOINT_URL_S3": s3.url})
    assert run.responses == [[1_000_000, False], [2_000_000, False]]


def test_a_decimal_of_the_table_goes_out_as_it_is_stored(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import boto3
            table = boto3.resource("dynamodb").Table("table")
            def handler(event, context):
                return table.get_item(Key={"id": event})["Item"]
        """
    }
    item = b'{"Item": {"id": {"S": "7"}, "price": {"N": "1.10"}, "tags": {"L": [{"BOOL": true}, {"NULL": true}]}}}'
    with serve(lambda request: Answer(item, content_type="application/x-amz-json-1.0")) as dynamodb:  # noqa: ARG005
        run = play_tool(files, events=["7"], environment={"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url})
    assert run.answers["rid-1"].body == b'{"id": "7", "price": 1.10, "tags": [true, null]}'

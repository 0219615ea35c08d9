"""aws-lambda-powertools: what its user finds in the log, in X-Ray, in the table and in the answer."""

import json
from collections.abc import Iterator

import pytest

from conftest import PlayFunction
from ecosystem.backends import Table, UdpBackend, serve
from ecosystem.log_lines import objects, texts
from playing import event

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"
ARN_HEADER = {"Lambda-Runtime-Invoked-Function-Arn": ARN}
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


LOGGER = {
    "app.py": """
        import logging
        from aws_lambda_powertools import Logger

        logger = Logger(service="payment")
        child = Logger(service="payment", child=True)
        logging.getLogger("library").setLevel("INFO")

        @logger.inject_lambda_context(correlation_id_path="requestContext.requestId", log_event=True)
        def handler(event, context):
            logger.append_keys(order=7)
            logger.info("Collecting payment", extra={"amount": 1.5})
            child.warning({"unicode": "é\\u2028"})
            logging.getLogger("library").info("not ours")
            try:
                raise ValueError("no funds")
            except ValueError:
                logger.exception("Payment failed")
            logger.debug("never seen")
            return logger.get_correlation_id()
    """
}


def test_logger_writes_each_record_once_with_the_contexts_keys(play_tool: PlayFunction) -> None:
    headers = {**ARN_HEADER, "Lambda-Runtime-Trace-Id": TRACE}
    run = play_tool(LOGGER, events=[event({"requestContext": {"requestId": "correlated"}}, headers=headers)])
    assert run.response == "correlated"
    logged, collecting, child, failed = objects(run, without=("timestamp",))
    keys = {
        "service": "payment",
        "function_name": "f",
        "function_memory_size": "128",
        "function_arn": ARN,
        "function_request_id": "rid-1",
        "cold_start": True,
        "correlation_id": "correlated",
        "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    }
    assert logged.pop("location")
    assert logged == {**keys, "level": "INFO", "message": {"requestContext": {"requestId": "correlated"}}}
    assert collecting == {
        **keys,
        "level": "INFO",
        "location": "handler:11",
        "message": "Collecting payment",
        "order": 7,
        "amount": 1.5,
    }
    assert child == {**keys, "level": "WARNING", "location": "handler:12", "message": {"unicode": "é\u2028"}, "order": 7}
    assert (failed["level"], failed["exception_name"]) == ("ERROR", "ValueError")
    assert str(failed["exception"]).endswith("ValueError: no funds")
    # Other libraries' records are the runtime's to write, and powertools' own are not written twice.
    assert [line.split("\t")[0::3] for line in texts(run)] == [["[INFO]", "not ours"]]


def test_logger_takes_the_level_from_lambda(play_tool: PlayFunction) -> None:
    """In JSON, other libraries' records are objects as well, the runtime's."""
    environment = {"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    run = play_tool(LOGGER, events=[event({}, headers=ARN_HEADER)], environment=environment)
    assert [(record["level"], record["message"]) for record in objects(run)] == [
        ("INFO", {}),
        ("INFO", "Collecting payment"),
        ("WARNING", {"unicode": "é\u2028"}),
        ("INFO", "not ours"),
        ("ERROR", "Payment failed"),
        ("DEBUG", "never seen"),
    ]
    (other,) = (record for record in objects(run, without=("timestamp",)) if record["message"] == "not ours")
    assert other == {"level": "INFO", "message": "not ours", "logger": "library", "requestId": "rid-1"}


def test_metrics_are_one_embedded_line_an_invocation(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            from aws_lambda_powertools import Metrics
            from aws_lambda_powertools.metrics import MetricUnit

            metrics = Metrics(namespace="shop", service="booking")

            @metrics.log_metrics(capture_cold_start_metric=True)
            def handler(event, context):
                metrics.add_dimension(name="environment", value="prod")
                metrics.add_metric(name="SuccessfulBooking", unit=MetricUnit.Count, value=1)
                metrics.add_metadata(key="booking_id", value=event)
                if event == 2:
                    raise ValueError("metrics are written all the same")
        """
    }
    run = play_tool(files, events=[1, 2])
    found = objects(run)
    assert [sorted({*record} & {"ColdStart", "SuccessfulBooking"}) for record in found] == [
        ["ColdStart"],
        ["SuccessfulBooking"],
        ["SuccessfulBooking"],
    ]
    cold, first, second = found
    assert (cold["function_name"], cold["ColdStart"]) == ("f", [1.0])
    directive = first.pop("_aws")
    assert directive.pop("Timestamp") > 1_600_000_000_000
    assert directive == {
        "CloudWatchMetrics": [
            {
                "Namespace": "shop",
                "Dimensions": [["environment", "service"]],
                "Metrics": [{"Name": "SuccessfulBooking", "Unit": "Count"}],
            }
        ]
    }
    assert first == {"environment": "prod", "service": "booking", "booking_id": 1, "SuccessfulBooking": [1.0]}
    assert second["booking_id"] == 2
    assert run.errors[0]["errorType"] == "ValueError"


@pytest.fixture
def daemon() -> Iterator[UdpBackend]:
    backend = UdpBackend()
    yield backend
    backend.close()


def test_tracer_sends_segments_below_lambdas_own(play_tool: PlayFunction, daemon: UdpBackend) -> None:
    files = {
        "app.py": """
            from aws_lambda_powertools import Tracer
            tracer = Tracer(service="payment")

            @tracer.capture_method
            def collect(amount):
                tracer.put_annotation(key="PaymentStatus", value="SUCCESS")
                return {"collected": amount}

            @tracer.capture_lambda_handler
            def handler(event, context):
                if event == 2:
                    raise ValueError("no funds")
                return collect(event)
        """
    }
    other = "Root=1-5759e988-000000000000000000000002;Parent=0000000000000002;Sampled=1"
    events = [event(1, headers={"Lambda-Runtime-Trace-Id": TRACE}), event(2, headers={"Lambda-Runtime-Trace-Id": other})]
    run = play_tool(files, events=events, environment={"AWS_XRAY_DAEMON_ADDRESS": daemon.address})
    assert (run.responses, len(run.errors)) == ([{"collected": 1}], 1)
    segments = [json.loads(datagram.partition(b"\n")[2]) for datagram in daemon.datagrams()]
    handlers = [segment for segment in segments if segment["name"] == "## handler"]
    assert [segment["parent_id"] for segment in handlers] == ["53995c3f42cd8ad8", "0000000000000002"]
    first, second = handlers
    assert first["trace_id"] == "1-5759e988-bd862e3fe1be46a994272793"
    assert first["annotations"] == {"ColdStart": True, "Service": "payment"}
    (collect,) = (segment for segment in segments if segment["name"] == "## app.collect")
    assert (collect["trace_id"], collect["parent_id"]) == (first["trace_id"], first["id"])
    assert collect["annotations"] == {"PaymentStatus": "SUCCESS"}
    assert collect["metadata"] == {"payment": {"app.collect response": {"collected": 1}}}
    assert (second["fault"], second["annotations"]["ColdStart"]) == (True, False)
    assert second["cause"]["exceptions"][0]["message"] == "no funds"


def test_event_handler_routes_requests(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
            from aws_lambda_powertools.event_handler.exceptions import NotFoundError
            from pydantic import BaseModel

            class Todo(BaseModel):
                title: str
                done: bool = False

            app = APIGatewayHttpResolver(enable_validation=True)

            @app.get("/todos/<identifier>")
            def get_todo(identifier: int) -> Todo:
                if identifier != 7:
                    raise NotFoundError("no such todo")
                return Todo(title=f"é {identifier}")

            @app.post("/todos")
            def create(todo: Todo) -> Response[Todo]:
                return Response(201, "application/json", todo, headers={"Location": "/todos/8"})

            def handler(event, context):
                return app.resolve(event, context)
        """
    }

    def request(method: str, path: str, body: object = None) -> object:
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }

    events = [
        request("GET", "/todos/7"),
        request("GET", "/todos/8"),
        request("GET", "/todos/x"),
        request("POST", "/todos", {"title": "new", "done": True}),
        request("GET", "/nothing"),
    ]
    run = play_tool(files, events=events)
    answers = [(answer["statusCode"], json.loads(answer["body"])) for answer in run.responses]
    assert answers[0] == (200, {"title": "é 7", "done": False})
    assert answers[1] == (404, {"statusCode": 404, "message": "no such todo"})
    assert (answers[2][0], answers[2][1]["detail"][0]["loc"]) == (422, ["path", "identifier"])
    assert answers[3] == (201, {"title": "new", "done": True})
    assert answers[4][0] == 404
    assert run.responses[3]["headers"] == {"Location": "/todos/8", "Content-Type": "application/json"}


MESSAGES = {
    "Records": [
        {
            "messageId": f"m{number}",
            "receiptHandle": "handle",
            "body": json.dumps({"number": number}),
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:queue",
            "awsRegion": "eu-central-1",
        }
        for number in range(4)
    ]
}


@pytest.mark.parametrize("kind", ["", "async "])
def test_batch_reports_the_messages_that_failed(play_tool: PlayFunction, kind: str) -> None:
    processor, process = ("AsyncBatchProcessor", "async_process") if kind else ("BatchProcessor", "process")
    files = {
        "app.py": f"""
            import asyncio
            from aws_lambda_powertools.utilities.batch import (
                {processor}, EventType, {process}_partial_response,
            )

            processor = {processor}(event_type=EventType.SQS)
            seen = []

            {kind}def record_handler(record):
                number = record.json_body["number"]
                {"await asyncio.sleep(0)" if kind else ""}
                if number % 2:
                    raise ValueError(number)
                seen.append(number)

            def handler(event, context):
                failed = {process}_partial_response(
                    event=event, record_handler=record_handler, processor=processor, context=context)
                return [failed, sorted(seen)]
        """
    }
    run = play_tool(files, events=[MESSAGES, MESSAGES])
    failed = {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m3"}]}
    assert run.responses == [[failed, [0, 2]], [failed, [0, 0, 2, 2]]]


def test_idempotency_calls_the_function_once_for_an_order(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            from aws_lambda_powertools.utilities.idempotency import (
                DynamoDBPersistenceLayer, IdempotencyConfig, idempotent,
            )

            calls = 0
            table = DynamoDBPersistenceLayer(table_name="idempotency")

            @idempotent(persistence_store=table, config=IdempotencyConfig(event_key_jmespath="order"))
            def handler(event, context):
                global calls
                calls += 1
                if event["order"] == "broken":
                    raise ValueError("not stored")
                return {"call": calls, "seconds": context.get_remaining_time_in_millis() > 0}
        """
    }
    table = Table()
    orders = [{"order": 1, "x": 1}, {"order": 1, "x": 2}, {"order": "broken"}, {"order": "broken"}, {"order": 2}]
    with serve(table.answer) as dynamodb:
        run = play_tool(files, events=orders, environment={"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url})
    first, second = {"call": 1, "seconds": True}, {"call": 4, "seconds": True}
    assert run.responses == [first, first, second]
    assert [error["errorMessage"] for error in run.errors] == ["not stored", "not stored"]
    stored = [(item["status"]["S"], json.loads(item["data"]["S"])) for item in table.items.values()]
    assert stored == [("COMPLETED", first), ("COMPLETED", second)]
    assert all(int(item["in_progress_expiration"]["N"]) > 1_600_000_000_000 for item in table.items.values())
    agent = dynamodb.received[0].headers["user-agent"]
    assert "exec-env/AWS_Lambda_python3." in agent
    assert "PT/idempotency/3.37.0 PTEnv/AWS_Lambda_python3." in agent

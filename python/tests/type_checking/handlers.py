"""Handlers as people annotate them. A line that a type checker has to object to says so."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict

from whipsnake import HttpResponse, StreamingResponse
from whipsnake.types import (
    AlbEvent,
    AlbResponse,
    ApiGatewayEvent,
    ApiGatewayResponse,
    ApiGatewayV2Event,
    ApiGatewayV2Response,
    AsyncHandler,
    AsyncStreamingHandler,
    BatchResponse,
    Context,
    DynamoDbEvent,
    EventBridgeEvent,
    FunctionUrlEvent,
    Handler,
    KinesisEvent,
    S3Event,
    SnsEvent,
    SqsEvent,
    StreamingHandler,
)


def rest(event: ApiGatewayEvent, context: Context) -> ApiGatewayResponse:
    identity = event["requestContext"]["identity"]["sourceIp"]
    event["rawPath"]  # mistake
    return {"statusCode": 200, "body": identity, "headers": {"X-Request": context.aws_request_id}}


def http(event: ApiGatewayV2Event, context: Context) -> ApiGatewayV2Response:
    if event["requestContext"]["http"]["method"] != "GET":
        return {"status": 405}  # mistake
    asked: str | None = event.get("queryStringParameters", {}).get("q")
    return {"statusCode": 200, "body": asked or "", "cookies": ["a=b"]}


def balanced(event: AlbEvent, context: Context) -> AlbResponse:
    return {"statusCode": "200"} if event["path"] else {"statusCode": 200, "statusDescription": "200 OK"}  # mistake


def queue(event: SqsEvent, context: Context) -> BatchResponse:
    failed = [record["messageId"] for record in event["Records"] if not record["body"]]
    event["records"]  # mistake
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


def others(sns: SnsEvent, s3: S3Event, table: DynamoDbEvent, stream: KinesisEvent) -> list[str]:
    stream["Records"][0]["kinesis"]["arrived"]  # mistake
    return [
        sns["Records"][0]["Sns"]["Message"],
        s3["Records"][0]["s3"]["object"]["key"],
        table["Records"][0]["dynamodb"]["Keys"]["id"]["S"],
        stream["Records"][0]["kinesis"]["data"],
    ]


class Instance(TypedDict):
    state: str


def bus(event: EventBridgeEvent[Instance], context: Context) -> str:
    event["detail"]["stat"]  # mistake
    return event["detail-type"] + event["detail"]["state"]


def told(event: Any, context: Context) -> str | None:
    remaining: int = context.get_remaining_time_in_millis()
    context.log(remaining)
    context.function_nam  # mistake
    if context.client_context is not None and context.client_context.client is not None:
        return context.client_context.client.app_title
    context.client_context.custom  # mistake
    return context.tenant_id or context.identity.cognito_identity_id or context.w3c().get("traceparent")


async def later(event: FunctionUrlEvent, context: Context) -> str:
    await asyncio.sleep(0)
    return event["rawPath"]


def streamed(event: FunctionUrlEvent, context: Context) -> Iterator[bytes | str | HttpResponse]:
    yield HttpResponse(headers={"Content-Type": "text/plain"})
    yield b"a"


async def streamed_later(event: FunctionUrlEvent, context: Context) -> AsyncIterator[StreamingResponse | str]:
    yield StreamingResponse(content_type="text/plain")


handlers: list[Handler[SqsEvent, BatchResponse]] = [queue]
handlers = [rest]  # mistake
asynchronous: AsyncHandler[FunctionUrlEvent, str] = later
streaming: StreamingHandler[FunctionUrlEvent] = streamed
streaming = streamed_later  # mistake
streaming_later: AsyncStreamingHandler[FunctionUrlEvent] = streamed_later


class Nobody:
    cognito_identity_id = cognito_identity_pool_id = None


class Fake:
    """A context of somebody's own tests."""

    aws_request_id = function_name = function_version = invoked_function_arn = memory_limit_in_mb = "1"
    log_group_name = log_stream_name = "1"
    client_context = tenant_id = None
    identity = Nobody()

    def get_remaining_time_in_millis(self) -> int:
        return 1

    def log(self, msg: object) -> None: ...

    def w3c(self) -> dict[str, str]:
        return {}


told({}, Fake())
told({}, object())  # mistake

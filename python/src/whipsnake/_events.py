"""The events of well-known services, as their pages in AWS's documentation show them; `whipsnake.types` has them for everybody.

Not part of the bootstrap. What a service always sends is required, what it sends at times is not.
"""

from typing import Any, Literal, NotRequired, TypedDict

__all__ = [
    "AlbEvent",
    "AlbResponse",
    "ApiGatewayEvent",
    "ApiGatewayResponse",
    "ApiGatewayV2Event",
    "ApiGatewayV2Response",
    "BatchItemFailure",
    "BatchResponse",
    "DynamoDbEvent",
    "DynamoDbRecord",
    "EventBridgeEvent",
    "FunctionUrlEvent",
    "FunctionUrlResponse",
    "KinesisEvent",
    "KinesisRecord",
    "S3Event",
    "S3Record",
    "SnsEvent",
    "SnsRecord",
    "SqsEvent",
    "SqsMessageAttribute",
    "SqsRecord",
]

# API Gateway: a REST API, or an HTTP API with payload format 1.0.


class _ApiGatewayIdentity(TypedDict):
    sourceIp: str
    userAgent: str | None
    accessKey: NotRequired[str | None]
    accountId: NotRequired[str | None]
    apiKey: NotRequired[str | None]
    apiKeyId: NotRequired[str | None]
    caller: NotRequired[str | None]
    clientCert: NotRequired[dict[str, Any] | None]
    cognitoAuthenticationProvider: NotRequired[str | None]
    cognitoAuthenticationType: NotRequired[str | None]
    cognitoIdentityId: NotRequired[str | None]
    cognitoIdentityPoolId: NotRequired[str | None]
    user: NotRequired[str | None]
    userArn: NotRequired[str | None]


class _ApiGatewayRequestContext(TypedDict):
    accountId: str
    apiId: str
    httpMethod: str
    identity: _ApiGatewayIdentity
    path: str
    protocol: str
    requestId: str
    requestTime: str
    requestTimeEpoch: int
    resourceId: str
    resourcePath: str
    stage: str
    authorizer: NotRequired[dict[str, Any] | None]
    domainName: NotRequired[str]


class ApiGatewayEvent(TypedDict):
    """A request to a REST API, or to an HTTP API with payload format 1.0."""

    resource: str
    path: str
    httpMethod: str
    headers: dict[str, str] | None
    multiValueHeaders: dict[str, list[str]] | None
    queryStringParameters: dict[str, str] | None
    multiValueQueryStringParameters: dict[str, list[str]] | None
    pathParameters: dict[str, str] | None
    stageVariables: dict[str, str] | None
    requestContext: _ApiGatewayRequestContext
    body: str | None
    isBase64Encoded: bool


class ApiGatewayResponse(TypedDict):
    """What a REST API wants to be answered."""

    statusCode: int
    headers: NotRequired[dict[str, str]]
    multiValueHeaders: NotRequired[dict[str, list[str]]]
    body: NotRequired[str]
    isBase64Encoded: NotRequired[bool]


# API Gateway: an HTTP API with payload format 2.0, and Function URLs, which have the same.


class _Http(TypedDict):
    method: str
    path: str
    protocol: str
    sourceIp: str
    userAgent: str


class _HttpRequestContext(TypedDict):
    accountId: str
    apiId: str
    domainName: str
    domainPrefix: str
    http: _Http
    requestId: str
    routeKey: str
    stage: str
    time: str
    timeEpoch: int
    authentication: NotRequired[dict[str, Any] | None]
    authorizer: NotRequired[dict[str, Any]]


class ApiGatewayV2Event(TypedDict):
    """A request to an HTTP API with payload format 2.0."""

    version: str
    routeKey: str
    rawPath: str
    rawQueryString: str
    headers: dict[str, str]
    requestContext: _HttpRequestContext
    isBase64Encoded: bool
    body: NotRequired[str]
    cookies: NotRequired[list[str]]
    pathParameters: NotRequired[dict[str, str]]
    queryStringParameters: NotRequired[dict[str, str]]
    stageVariables: NotRequired[dict[str, str]]


class ApiGatewayV2Response(TypedDict, total=False):
    """What an HTTP API wants to be answered, with its own rules for what is left out."""

    statusCode: int
    headers: dict[str, str]
    cookies: list[str]
    body: str
    isBase64Encoded: bool


class FunctionUrlEvent(ApiGatewayV2Event):
    """A request to a Function URL."""


class FunctionUrlResponse(ApiGatewayV2Response):
    """What a Function URL wants to be answered."""


# Application Load Balancer.


class _TargetGroup(TypedDict):
    targetGroupArn: str


class _AlbRequestContext(TypedDict):
    elb: _TargetGroup


class AlbEvent(TypedDict):
    """A request to an Application Load Balancer. Headers and query have several values each where the target group says so."""

    requestContext: _AlbRequestContext
    httpMethod: str
    path: str
    body: str
    isBase64Encoded: bool
    headers: NotRequired[dict[str, str]]
    queryStringParameters: NotRequired[dict[str, str]]
    multiValueHeaders: NotRequired[dict[str, list[str]]]
    multiValueQueryStringParameters: NotRequired[dict[str, list[str]]]


class AlbResponse(ApiGatewayResponse):
    """What an Application Load Balancer wants to be answered."""

    statusDescription: NotRequired[str]


# Queues, topics and streams.


class BatchItemFailure(TypedDict):
    """A record that is to come again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """Which records of a batch failed, for an event source with ReportBatchItemFailures."""

    batchItemFailures: list[BatchItemFailure]


class SqsMessageAttribute(TypedDict):
    """An attribute that the sender set."""

    dataType: str
    stringValue: NotRequired[str]
    binaryValue: NotRequired[str]
    stringListValues: NotRequired[list[str]]
    binaryListValues: NotRequired[list[str]]


class _SqsAttributes(TypedDict):
    ApproximateReceiveCount: str
    SentTimestamp: str
    SenderId: str
    ApproximateFirstReceiveTimestamp: str
    SequenceNumber: NotRequired[str]
    MessageGroupId: NotRequired[str]
    MessageDeduplicationId: NotRequired[str]
    AWSTraceHeader: NotRequired[str]
    DeadLetterQueueSourceArn: NotRequired[str]


class SqsRecord(TypedDict):
    """A message of a queue."""

    messageId: str
    receiptHandle: str
    body: str
    attributes: _SqsAttributes
    messageAttributes: dict[str, SqsMessageAttribute]
    md5OfBody: str
    eventSource: str
    eventSourceARN: str
    awsRegion: str


class SqsEvent(TypedDict):
    """Messages of an SQS queue."""

    Records: list[SqsRecord]


class _SnsAttribute(TypedDict):
    Type: str
    Value: str


class _SnsMessage(TypedDict):
    Type: str
    MessageId: str
    TopicArn: str
    Subject: str | None
    Message: str
    Timestamp: str
    SignatureVersion: str
    Signature: str
    SigningCertUrl: str
    UnsubscribeUrl: str
    MessageAttributes: dict[str, _SnsAttribute]


class SnsRecord(TypedDict):
    """A message of a topic."""

    EventSource: str
    EventVersion: str
    EventSubscriptionArn: str
    Sns: _SnsMessage


class SnsEvent(TypedDict):
    """A message of an SNS topic."""

    Records: list[SnsRecord]


class _KinesisData(TypedDict):
    kinesisSchemaVersion: str
    partitionKey: str
    sequenceNumber: str
    data: str
    approximateArrivalTimestamp: float


class KinesisRecord(TypedDict):
    """A record of a stream; its data is base64."""

    kinesis: _KinesisData
    eventSource: str
    eventVersion: str
    eventID: str
    eventName: str
    invokeIdentityArn: str
    awsRegion: str
    eventSourceARN: str


class KinesisEvent(TypedDict):
    """Records of a Kinesis data stream."""

    Records: list[KinesisRecord]


class _DynamoDbChange(TypedDict):
    """Values are DynamoDB's own: `{"S": "text"}`, `{"N": "1"}`."""

    Keys: dict[str, dict[str, Any]]
    SequenceNumber: str
    SizeBytes: int
    StreamViewType: str
    ApproximateCreationDateTime: NotRequired[float]
    NewImage: NotRequired[dict[str, dict[str, Any]]]
    OldImage: NotRequired[dict[str, dict[str, Any]]]


class DynamoDbRecord(TypedDict):
    """A change of a table."""

    eventID: str
    eventName: Literal["INSERT", "MODIFY", "REMOVE"]
    eventVersion: str
    eventSource: str
    awsRegion: str
    dynamodb: _DynamoDbChange
    eventSourceARN: str


class DynamoDbEvent(TypedDict):
    """Changes of a DynamoDB table, by its stream."""

    Records: list[DynamoDbRecord]


# Storage and events.


class _S3Bucket(TypedDict):
    name: str
    arn: str
    ownerIdentity: dict[str, str]


class _S3Object(TypedDict):
    key: str
    sequencer: str
    size: NotRequired[int]
    eTag: NotRequired[str]
    versionId: NotRequired[str]


class _S3(TypedDict):
    s3SchemaVersion: str
    configurationId: str
    bucket: _S3Bucket
    object: _S3Object


class S3Record(TypedDict):
    """What happened to an object. Its key is quoted as in a URL."""

    eventVersion: str
    eventSource: str
    awsRegion: str
    eventTime: str
    eventName: str
    userIdentity: dict[str, str]
    requestParameters: dict[str, str]
    responseElements: dict[str, str]
    s3: _S3


class S3Event(TypedDict):
    """What happened in an S3 bucket."""

    Records: list[S3Record]


# Its keys are no names of Python's.
_EventBridge = TypedDict("_EventBridge", {"detail-type": str})


class EventBridgeEvent[Detail](_EventBridge):
    """An event of an EventBridge bus or schedule; `EventBridgeEvent[dict[str, Any]]`, or with a TypedDict of the detail."""

    id: str
    source: str
    account: str
    time: str
    region: str
    resources: list[str]
    detail: Detail
    version: NotRequired[str]

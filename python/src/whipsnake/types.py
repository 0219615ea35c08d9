"""Types for handlers: the context, the events of well-known services, what they want to be answered, and handlers themselves.

They are for type checkers. While a function runs, an event is a dict whatever its type says, so that is what these names are
then, and their import costs nothing: `typing` stays away.
"""

from _collections_abc import AsyncIterator, Callable, Coroutine, Iterator

import whipsnake

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from whipsnake._context import *  # noqa: F403
    from whipsnake._events import *  # noqa: F403
else:
    Client = ClientContext = CognitoIdentity = Context = object
    AlbEvent = AlbResponse = dict
    ApiGatewayEvent = ApiGatewayResponse = ApiGatewayV2Event = ApiGatewayV2Response = dict
    BatchItemFailure = BatchResponse = dict
    DynamoDbEvent = DynamoDbRecord = dict
    EventBridgeEvent = dict
    FunctionUrlEvent = FunctionUrlResponse = dict
    KinesisEvent = KinesisRecord = dict
    S3Event = S3Record = dict
    SnsEvent = SnsRecord = dict
    SqsEvent = SqsMessageAttribute = SqsRecord = dict

type Handler[Event, Response] = Callable[[Event, Context], Response]
type AsyncHandler[Event, Response] = Callable[[Event, Context], Coroutine[object, object, Response]]

type Chunk = bytes | bytearray | memoryview | str
type StreamingHandler[Event] = Callable[[Event, Context], Iterator[Chunk | whipsnake.StreamingResponse]]
type AsyncStreamingHandler[Event] = Callable[[Event, Context], AsyncIterator[Chunk | whipsnake.StreamingResponse]]

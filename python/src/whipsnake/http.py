"""What a handler returns, or a generator yields first, to say more about its response than the body."""

# What type checkers take for true, without the import of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    type Chunk = bytes | bytearray | memoryview | str
    type Body = Chunk | Iterator[Chunk] | AsyncIterator[Chunk] | None


class StreamingResponse:
    """A streamed response of any content type.

    The body is bytes, a str, or an iterator of them, async or not; None where a generator yields the response first and the
    body after it.
    """

    def __init__(self, body: "Body" = None, content_type: str = "application/octet-stream") -> None:
        self.body = body
        self.content_type = content_type


class HttpResponse(StreamingResponse):
    """A streamed response for what speaks HTTP, such as a Function URL: status, headers and cookies go out before the body.

    A cookie is the whole value of a `Set-Cookie`.
    """

    def __init__(
        self,
        status: int = 200,
        headers: "Mapping[str, str] | None" = None,
        cookies: "Iterable[str] | None" = None,
        body: "Body" = None,
    ) -> None:
        super().__init__(body, "application/vnd.awslambda.http-integration-response")
        self.status = status
        self.headers = headers
        self.cookies = cookies

"""HTTP requests as events tell of them, and responses as their senders understand them.

What load balancers send, and the payload formats 1.0 (REST APIs) and 2.0 (HTTP APIs and Function URLs). Read as Mangum reads
them, so that an application sees and answers the same.
"""

import base64
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, unquote_plus, urlencode

type Headers = Iterable[tuple[bytes, bytes]]

# Documents that travel as text where they are UTF-8: front ends that are told of no binary types show base64 as it is.
_TEXTS = ("text/", "json", "xml", "javascript", "vnd.oai.openapi", "x-www-form-urlencoded")

# About the connection, which is not the application's.
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})

INTERNAL_SERVER_ERROR = (500, [(b"content-type", b"text/plain; charset=utf-8")], b"Internal Server Error")


class HttpEvent:
    """A request. Header names are in lower case; the path is decoded and begins below the root path."""

    # Whether its sender can take a stream.
    streams = False

    def __init__(
        self,
        event: dict[str, Any],
        method: str,
        path: str | None,
        query: str,
        headers: list[tuple[str, str]],
        client: str | None,
    ) -> None:
        self.event = event
        self.method = method
        self.path = unquote(path or "/")
        self.root_path = ""
        self.query = query
        self.headers = headers
        self.client = client
        self.body = _bytes_of(event)
        last_of_each = dict(headers)
        self.scheme = last_of_each.get("x-forwarded-proto", "https")
        host, colon, port = last_of_each.get("host", "localhost").rpartition(":")
        if not colon or not port.isdigit():
            # What looks like a port in an address such as [::1] is none.
            host, port = host + colon + port, last_of_each.get("x-forwarded-port", "")
        self.server = host, int(port) if port.isdigit() else 80 if self.scheme == "http" else 443

    def mount(self, root_path: str) -> None:
        """Says where the application lies. Some senders tell of that place in the path, and some leave it out."""
        self.root_path = root_path
        if self.path == root_path or self.path.startswith(root_path + "/"):
            self.path = self.path.removeprefix(root_path) or "/"

    def response(self, status: int, headers: Headers, body: bytes) -> dict[str, object]:
        """A whole response, in the sender's form."""
        raise NotImplementedError


class LoadBalancerEvent(HttpEvent):
    """From an Application Load Balancer."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._has_lists = "multiValueHeaders" in event
        if self._has_lists:
            headers = [(name.lower(), value) for name, values in event["multiValueHeaders"].items() for value in values]
        else:
            headers = [(name.lower(), value) for name, value in (event.get("headers") or {}).items()]
        # The last address is the one that the load balancer has seen.
        client = dict(headers).get("x-forwarded-for", "").rpartition(",")[2].strip()
        super().__init__(event, event["httpMethod"], event.get("path"), self._query(event), headers, client)

    @staticmethod
    def _query(event: dict[str, Any]) -> str:
        # As they came, and not decoded.
        parameters = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
        decoded = {
            unquote_plus(name): unquote_plus(value) if isinstance(value, str) else [unquote_plus(item) for item in value]
            for name, value in parameters.items()
        }
        return urlencode(decoded, doseq=True)

    def response(self, status: int, headers: Headers, body: bytes) -> dict[str, object]:
        lists = _lists(headers)
        text, is_base64 = _body(body, lists)
        response: dict[str, object] = {"statusCode": status, "body": text, "isBase64Encoded": is_base64}
        if self._has_lists:
            response["multiValueHeaders"] = lists
        else:
            # One value a name, but to a load balancer the case makes another name of it.
            response["headers"] = {
                _recased(name, number): value for name, values in lists.items() for number, value in enumerate(values)
            }
        return response


class Format1Event(HttpEvent):
    """Payload format 1.0. REST APIs stream; an HTTP API tells of itself by the format's version."""

    def __init__(self, event: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        for name, values in (event.get("multiValueHeaders") or {}).items():
            headers[name.lower()] = ("; " if name.lower() == "cookie" else ", ").join(values)
        parameters = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
        client = (event["requestContext"].get("identity") or {}).get("sourceIp")
        query = urlencode(parameters, doseq=True)
        super().__init__(event, event["httpMethod"], event.get("path"), query, list(headers.items()), client)
        self.streams = "version" not in event

    def response(self, status: int, headers: Headers, body: bytes) -> dict[str, object]:
        lists = _lists(headers)
        text, is_base64 = _body(body, lists)
        return {
            "statusCode": status,
            "headers": {name: values[0] for name, values in lists.items() if len(values) == 1},
            "multiValueHeaders": {name: values for name, values in lists.items() if len(values) > 1},
            "body": text,
            "isBase64Encoded": is_base64,
        }


class Format2Event(HttpEvent):
    """Payload format 2.0. Of what sends it, only Function URLs stream."""

    def __init__(self, event: dict[str, Any]) -> None:
        context = event["requestContext"]
        http = context["http"]
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        if event.get("cookies"):
            headers["cookie"] = "; ".join(event["cookies"])
        query = event.get("rawQueryString") or ""
        path = http.get("path") or event.get("rawPath")
        super().__init__(event, http["method"], path, query, list(headers.items()), http.get("sourceIp"))
        self.streams = ".lambda-url." in context.get("domainName", "")

    def response(self, status: int, headers: Headers, body: bytes) -> dict[str, object]:
        lists = _lists(headers)
        cookies = lists.pop("set-cookie", None)
        # What it is taken for anyway.
        lists.setdefault("content-type", ["application/json"])
        text, is_base64 = _body(body, lists)
        response: dict[str, object] = {
            "statusCode": status,
            "body": text,
            "headers": {name: ",".join(values) for name, values in lists.items()},
            "isBase64Encoded": is_base64,
        }
        if cookies:
            response["cookies"] = cookies
        return response


def read(event: Any, root_path: str = "") -> HttpEvent:
    """The request that an event is. Raises a ValueError for all other events."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    request: HttpEvent
    if isinstance(context, dict) and "elb" in context:
        request = LoadBalancerEvent(event)
    elif isinstance(context, dict) and "http" in context:
        request = Format2Event(event)
    elif isinstance(context, dict) and "httpMethod" in event:
        request = Format1Event(event)
    else:
        raise ValueError(_not_understood(event, context))
    if root_path:
        request.mount(root_path)
    return request


def head_of_stream(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """Headers and cookies as streamed responses have them. Whoever streams says by himself where the body ends."""
    lists = _lists(headers)
    cookies = lists.pop("set-cookie", [])
    return {name: ", ".join(values) for name, values in lists.items() if name not in _OF_THE_CONNECTION}, cookies


def _not_understood(event: object, context: object) -> str:
    if isinstance(context, dict) and "connectionId" in context:
        return "the event is one of a WebSocket API, and a web application is given HTTP requests"
    if isinstance(event, dict):
        found = f"an object with {', '.join(map(repr, list(event)[:8])) or 'nothing in it'}"
    else:
        found = f"of type {type(event).__name__}"
    return (
        "the event is no HTTP request as API Gateway (payload format 1.0 or 2.0), a Function URL or a load balancer sends it: "
        f"it is {found}"
    )


def _bytes_of(event: dict[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _lists(headers: Headers) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(_text(name).lower(), []).append(_text(value))
    return lists


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _body(body: bytes, headers: dict[str, list[str]]) -> tuple[str, bool]:
    """The body as JSON can have it, and whether that is base64."""
    content_type = headers.get("content-type", [""])[0].lower()
    if not body:
        return "", False
    if any(text in content_type for text in _TEXTS):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _recased(name: str, number: int) -> str:
    """A name in the case that is number `number` of all that there are."""
    letters = []
    for letter in name:
        if letter.isalpha():
            letters.append(letter.upper() if number & 1 else letter)
            number >>= 1
        else:
            letters.append(letter)
    return "".join(letters)

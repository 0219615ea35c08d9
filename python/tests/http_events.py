"""Requests as their senders put them into events. What a test says of a request goes on top of what is always there."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

type Event = dict[str, Any]
type RequestHeaders = Sequence[tuple[str, str]]

HOST = "example.com"


def function_url(method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b"") -> Event:
    return http_api(method, url, headers, body, domain="abcdefg.lambda-url.eu-central-1.on.aws")


def http_api(
    method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b"", domain: str = HOST
) -> Event:
    """Payload format 2.0."""
    path, query = _split(url)
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): ",".join(values) for name, values in _all(headers).items() if name.lower() != "cookie"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefg",
            "domainName": domain,
            "domainPrefix": "abcdefg",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "test"},
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:07:00:09 +0000",
            "timeEpoch": 1795244409000,
        },
        **_body(body),
    }
    cookies = [cookie for name, value in headers if name.lower() == "cookie" for cookie in value.split("; ")]
    return {**event, "cookies": cookies} if cookies else event


def rest_api(method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b"") -> Event:
    """Payload format 1.0. Its path is below the stage."""
    path, query = _split(url)
    parameters = _lists(parse_qsl(query, keep_blank_values=True))
    every = _all(headers)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in every.items()},
        "multiValueHeaders": every,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "pathParameters": {"proxy": path.strip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefg",
            "domainName": HOST,
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.7", "userAgent": "test"},
            "path": f"/prod{path}",
            "protocol": "HTTP/1.1",
            "requestId": "request",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": None,
        **_body(body),
    }


def http_api_with_format_1(method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b"") -> Event:
    """An HTTP API that was told to send payload format 1.0."""
    return {"version": "1.0", **rest_api(method, url, headers, body)}


def load_balancer(
    method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b"", lists: bool = False
) -> Event:
    """An Application Load Balancer's, with one value a name or with lists of them. The query stays encoded."""
    path, query = _split(url)
    pairs = [pair.partition("=")[::2] for pair in query.split("&")] if query else []
    parameters = _lists(pairs)
    every = _all([("x-forwarded-for", "192.0.2.7"), *headers])
    event: Event = {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/t/1"}},
        "httpMethod": method,
        "path": path,
        "body": "",
        "isBase64Encoded": False,
        **_body(body),
    }
    if lists:
        return {**event, "multiValueHeaders": every, "multiValueQueryStringParameters": parameters}
    return {
        **event,
        "headers": {name: values[-1] for name, values in every.items()},
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()},
    }


def load_balancer_with_lists(
    method: str = "GET", url: str = "/", headers: RequestHeaders = (), body: bytes | str = b""
) -> Event:
    return load_balancer(method, url, headers, body, lists=True)


SENDERS = [function_url, http_api, http_api_with_format_1, rest_api, load_balancer, load_balancer_with_lists]


def answer_of(response: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a client gets of a response: status, headers in order of their names, body."""
    headers = [(name.lower(), value) for name, value in (response.get("headers") or {}).items()]
    for name, values in (response.get("multiValueHeaders") or {}).items():
        headers += [(name.lower(), value) for value in values]
    headers += [("set-cookie", cookie) for cookie in response.get("cookies") or ()]
    text = response.get("body") or ""
    return response["statusCode"], sorted(headers), base64.b64decode(text) if response["isBase64Encoded"] else text.encode()


def _split(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return quote(parts.path, safe="/%"), parts.query


def _all(headers: RequestHeaders) -> dict[str, list[str]]:
    return _lists([("host", HOST), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443"), *headers])


def _lists(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _body(body: bytes | str) -> Event:
    if isinstance(body, str):
        return {"body": body, "isBase64Encoded": False}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True} if body else {"isBase64Encoded": False}

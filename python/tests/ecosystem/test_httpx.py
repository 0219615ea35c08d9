"""httpx in a FastAPI application: a client made at import, requests of the handler's, both ways of calling."""

import json

from conftest import PlayFunction

FUNCTION = {
    "app.py": """
        import asyncio
        import httpx
        from fastapi import FastAPI
        from mangum import Mangum
        from pydantic import BaseModel

        def stock(request):
            if request.url.path == "/broken":
                raise httpx.ConnectError("nobody listens", request=request)
            return httpx.Response(200, json={"article": request.url.path[1:], "agent": request.headers["x-agent"]})

        client = httpx.Client(base_url="https://stock.example.com", transport=httpx.MockTransport(stock))
        app = FastAPI()

        class Order(BaseModel):
            article: str

        @app.post("/orders")
        def place(order: Order):
            try:
                return client.get("/" + order.article, headers={"x-agent": "shop"}).json()
            except httpx.ConnectError as error:
                return {"error": str(error)}

        @app.post("/later")
        async def place_later(order: Order):
            transport = httpx.MockTransport(stock)
            async with httpx.AsyncClient(base_url="https://stock.example.com", transport=transport) as client:
                paths = [order.article, "second"]
                answers = await asyncio.gather(*(client.get("/" + path, headers={"x-agent": "async"}) for path in paths))
            return [answer.json()["article"] for answer in answers]

        handler = Mangum(app, lifespan="off")
    """
}


def request(path: str, body: object) -> dict[str, object]:
    http = {"method": "POST", "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1", "userAgent": "agent"}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "shop.example.com"},
        "requestContext": {"http": http, "domainName": "shop.example.com", "stage": "$default"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_a_client_made_at_import_serves_every_request(play_tool: PlayFunction) -> None:
    events = [request("/orders", {"article": "chair"}), request("/orders", {"article": "broken"}), request("/orders", {})]
    run = play_tool(FUNCTION, events=[*events, request("/later", {"article": "first"})])
    answers = [(response["statusCode"], json.loads(response["body"])) for response in run.responses]
    assert answers[0] == (200, {"article": "chair", "agent": "shop"})
    assert answers[1] == (200, {"error": "nobody listens"})
    assert answers[2][0] == 422
    assert answers[3] == (200, ["first", "second"])

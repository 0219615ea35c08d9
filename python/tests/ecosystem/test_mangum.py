"""Mangum with FastAPI: a web application as a function."""

import base64
import json

from conftest import PlayFunction
from ecosystem.log_lines import texts

FUNCTION = {
    "main.py": """
        from contextlib import asynccontextmanager
        import asyncio
        from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
        from mangum import Mangum
        from pydantic import BaseModel

        started = []

        @asynccontextmanager
        async def lifespan(app):
            started.append("started")
            print("started")
            yield
            print("stopped")

        app = FastAPI(lifespan=lifespan)

        class Item(BaseModel):
            name: str
            price: float

        @app.get("/items/{identifier}")
        async def read(identifier: int, q: str | None = None):
            await asyncio.sleep(0)
            if identifier == 404:
                raise HTTPException(404, "no such item")
            return {"identifier": identifier, "q": q, "started": len(started)}

        @app.post("/items", status_code=201)
        def create(item: Item, request: Request, response: Response, background: BackgroundTasks):
            background.add_task(print, "sold", item.name)
            response.set_cookie("seen", "yes")
            return {"name": item.name, "request_id": request.scope["aws.context"].aws_request_id}

        @app.get("/image")
        async def image():
            return Response(b"\\x89PNG", media_type="image/png")

        @app.get("/broken")
        async def broken():
            raise ValueError("as asked")

        handler = Mangum(app)
    """
}


def request(method: str, path: str, query: str = "", body: object = None) -> dict[str, object]:
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "example.com", "content-type": "application/json"},
        "requestContext": {
            "domainName": "example.com",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl"},
            "requestId": "request",
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": 1583348638390,
        },
        "body": None if body is None else base64.b64encode(json.dumps(body).encode()).decode(),
        "isBase64Encoded": body is not None,
    }


def test_requests_are_answered_by_the_application(play_tool: PlayFunction) -> None:
    events = [
        request("GET", "/items/7", "q=%C3%A9"),
        request("POST", "/items", body={"name": "chair", "price": 9.5}),
        request("POST", "/items", body={"name": "chair"}),
        request("GET", "/items/404"),
        request("GET", "/image"),
        request("GET", "/items/8"),
    ]
    run = play_tool(FUNCTION, handler="main.handler", events=events)
    read, created, invalid, missing, image, again = run.responses
    assert (read["statusCode"], json.loads(read["body"])) == (200, {"identifier": 7, "q": "é", "started": 1})
    assert read["headers"]["content-type"] == "application/json"
    assert (created["statusCode"], json.loads(created["body"])) == (201, {"name": "chair", "request_id": "rid-2"})
    assert created["cookies"] == ["seen=yes; Path=/; SameSite=lax"]
    assert (invalid["statusCode"], json.loads(invalid["body"])["detail"][0]["loc"]) == (422, ["body", "price"])
    assert (missing["statusCode"], json.loads(missing["body"])) == (404, {"detail": "no such item"})
    assert (image["isBase64Encoded"], base64.b64decode(image["body"])) == (True, b"\x89PNG")
    # The application's life is an invocation long.
    assert json.loads(again["body"])["started"] == 6
    assert texts(run).count("started") == texts(run).count("stopped") == 6
    assert texts(run).count("sold chair") == 1


def test_an_error_of_the_application_is_an_answer_and_a_record(play_tool: PlayFunction) -> None:
    run = play_tool(FUNCTION, handler="main.handler", events=[request("GET", "/broken")])
    assert (run.response["statusCode"], run.response["body"]) == (500, "Internal Server Error")
    (record,) = [line for line in texts(run) if line.startswith("[ERROR]\t")]
    assert record.split("\t")[2] == "rid-1"
    assert record.split("\t")[3].startswith("An error occurred running the application.")


def test_an_event_that_is_no_request_is_the_functions_error(play_tool: PlayFunction) -> None:
    run = play_tool(FUNCTION, handler="main.handler", events=[{"no": "request"}])
    assert run.errors[0]["errorType"] == "RuntimeError"
    assert "was unable to infer a handler" in run.errors[0]["errorMessage"]

import json

notes = ["buy tea"]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["method"] == "POST":
        notes.append((await receive())["body"].decode())
        await answer(send, 201, notes)
    else:
        await answer(send, 200, notes)


async def lifespan(receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print(f"{len(notes)} notes to save")
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send, status, content):
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})

import time

from whipsnake import HttpResponse


def lambda_handler(event, context):
    yield HttpResponse(headers={"Content-Type": "text/event-stream"})
    asked = event.get("queryStringParameters") or {}
    for number in range(int(asked.get("from", 3)), 0, -1):
        yield f"data: {number}\n\n"
        time.sleep(0.1)
    yield "data: lift-off\n\n"

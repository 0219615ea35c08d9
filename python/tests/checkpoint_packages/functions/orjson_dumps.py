import datetime
import uuid

import orjson


def handler(event, context):
    value = {"at": datetime.datetime(2026, 1, 1), "id": uuid.UUID(int=1), "text": event}
    try:
        orjson.loads("{")
    except ValueError as error:
        return [orjson.dumps(value).decode(), orjson.loads(orjson.dumps(event)) == event, type(error).__name__]

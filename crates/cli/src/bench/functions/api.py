"""A small HTTP API: what a function behind API Gateway mostly is made of."""

import base64
import json
import logging
import os
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal

logger = logging.getLogger()
logger.setLevel(os.environ.get("LEVEL", "WARNING"))


@dataclass
class Order:
    number: str
    total: Decimal
    placed: datetime


def handler(event, context):
    body = event.get("body") or "{}"
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    try:
        wanted = json.loads(body)
    except ValueError:
        logger.info("not JSON: %r", body)
        wanted = {}
    order = Order(str(uuid.uuid4()), Decimal(str(wanted.get("price", "9.90"))) * 3, datetime.now(timezone.utc))
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"path": event.get("rawPath"), **asdict(order)}, default=str),
    }

"""Takes orders from a queue. A message that is no order comes again."""

import json
import logging
import os

from whipsnake.types import BatchItemFailure, BatchResponse, Context, SqsEvent

TABLE = os.environ["TABLE"]

logger = logging.getLogger()
logger.setLevel("INFO")


def lambda_handler(event: SqsEvent, context: Context) -> BatchResponse:
    failed: list[BatchItemFailure] = []
    for record in event["Records"]:
        if context.get_remaining_time_in_millis() < 1000:
            failed.append({"itemIdentifier": record["messageId"]})
            continue
        try:
            order = json.loads(record["body"])
            logger.info("order %s goes to %s", order["id"], TABLE)
        except (ValueError, KeyError, TypeError) as error:
            logger.error("%s is no order: %r", record["messageId"], error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}

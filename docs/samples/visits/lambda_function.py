import logging
import threading
from contextvars import ContextVar

logger = logging.getLogger()
logger.setLevel("INFO")

# Each invocation has its own value.
visitor = ContextVar("visitor")

# Shared by all invocations that this process serves.
visits = {}
lock = threading.Lock()


def count():
    with lock:
        visits[visitor.get()] = visits.get(visitor.get(), 0) + 1
        return visits[visitor.get()]


def lambda_handler(event, context):
    visitor.set(event["first_name"])
    number = count()
    logger.info("visit %d of %s", number, visitor.get())
    return {"visit": number}

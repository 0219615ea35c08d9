import logging
import threading
from contextvars import ContextVar

logger = logging.getLogger()
logger.setLevel("INFO")

# Each invocation's own, wherever it is asked for.
visitor = ContextVar("visitor")

# In common to all invocations that the process serves, at the same time or not.
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

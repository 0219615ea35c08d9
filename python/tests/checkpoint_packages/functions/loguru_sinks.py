import sys

from loguru import logger

logger.remove()
logger.add(sys.stdout, format="{level} {message}")
logger.add(sys.stderr, format="{message}", level="ERROR")
logger.info("imported")


def handler(event, context):
    logger.bind(order=event).error("order {}", event)
    return event

import structlog

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.JSONRenderer(),
    ],
    cache_logger_on_first_use=True,
)
log = structlog.get_logger()
log.info("imported")


def handler(event, context):
    structlog.contextvars.bind_contextvars(request=context.aws_request_id)
    log.warning("order", number=event)
    return event

"""structlog: events as lines of JSON, of its own and through the standard library's logging."""

import json

from conftest import PlayFunction
from ecosystem.log_lines import objects, texts


def test_events_are_lines_of_json_with_the_invocations_request_id(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import structlog
            structlog.configure(
                processors=[
                    structlog.contextvars.merge_contextvars,
                    structlog.processors.add_log_level,
                    structlog.processors.dict_tracebacks,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ]
            )
            log = structlog.get_logger()

            def handler(event, context):
                structlog.contextvars.clear_contextvars()
                structlog.contextvars.bind_contextvars(request_id=context.aws_request_id)
                log.info("collecting", amount=event, unit="€")
                try:
                    1 / event
                except ZeroDivisionError:
                    log.exception("failed")
        """
    }
    run = play_tool(files, events=[1, 0])
    assert run.responses == [None, None]
    first, second, failed = objects(run)
    assert first == {"amount": 1, "unit": "€", "request_id": "rid-1", "level": "info", "event": "collecting"}
    assert second == {"amount": 0, "unit": "€", "request_id": "rid-2", "level": "info", "event": "collecting"}
    (exception,) = failed.pop("exception")
    assert (exception["exc_type"], exception["frames"][-1]["name"]) == ("ZeroDivisionError", "handler")
    assert failed == {"request_id": "rid-2", "level": "error", "event": "failed"}
    assert texts(run) == []


def test_through_logging_events_are_lambdas_records(play_tool: PlayFunction) -> None:
    """As structlog's documentation does it for Lambda: JSON in the record's message, the rest is the runtime's."""
    files = {
        "app.py": """
            import logging, structlog
            structlog.configure(
                processors=[
                    structlog.stdlib.filter_by_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.JSONRenderer(),
                ],
                logger_factory=structlog.stdlib.LoggerFactory(),
                wrapper_class=structlog.stdlib.BoundLogger,
            )
            logging.getLogger().setLevel("INFO")

            def handler(event, context):
                log = structlog.get_logger("shop").bind(order=event)
                log.debug("never seen")
                log.info("collecting")
        """
    }
    run = play_tool(files, events=[7])
    (line,) = texts(run)
    level, _, request_id, message = line.split("\t")
    assert (level, request_id) == ("[INFO]", "rid-1")
    assert json.loads(message) == {"order": 7, "logger": "shop", "event": "collecting"}


def test_through_logging_in_json_events_are_lambdas_records(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import structlog
            structlog.configure(
                processors=[structlog.stdlib.render_to_log_kwargs],
                logger_factory=structlog.stdlib.LoggerFactory(),
                wrapper_class=structlog.stdlib.BoundLogger,
            )
            def handler(event, context):
                structlog.get_logger("shop").warning("collecting", order=event)
        """
    }
    run = play_tool(files, events=[7], environment={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    (record,) = objects(run, without=("timestamp",))
    assert record == {"level": "WARNING", "message": "collecting", "logger": "shop", "requestId": "rid-1", "order": 7}

"""loguru, which writes to the standard streams itself."""

import re

from conftest import PlayFunction
from ecosystem.log_lines import objects, texts


def test_records_go_to_standard_error_by_default(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            from loguru import logger
            def handler(event, context):
                logger.info("collecting {amount}", amount=event)
        """
    }
    run = play_tool(files, events=[7])
    assert run.response is None
    assert re.fullmatch(r"[-\d]{10} [:.\d]{12} \| INFO     \| app:handler:\d+ - collecting 7\n", run.stderr)


def test_records_as_json_on_standard_output(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import sys
            from loguru import logger
            logger.remove()
            logger.add(sys.stdout, serialize=True)

            def handler(event, context):
                with logger.contextualize(request_id=context.aws_request_id):
                    logger.bind(amount=event).warning("collecting é")
                    try:
                        1 / event
                    except ZeroDivisionError:
                        logger.exception("failed")
        """
    }
    run = play_tool(files, events=[1, 0])
    found = [record["record"] for record in objects(run)]
    assert [(record["level"]["name"], record["message"], record["extra"]) for record in found] == [
        ("WARNING", "collecting é", {"request_id": "rid-1", "amount": 1}),
        ("WARNING", "collecting é", {"request_id": "rid-2", "amount": 0}),
        ("ERROR", "failed", {"request_id": "rid-2"}),
    ]
    assert found[2]["exception"]["type"] == "ZeroDivisionError"
    assert (found[0]["function"], found[0]["thread"]["name"]) == ("handler", "MainThread")


def test_records_of_the_thread_that_writes_are_there_when_the_answer_is(play_tool: PlayFunction) -> None:
    files = {
        "app.py": """
            import sys
            from loguru import logger
            logger.remove()
            logger.add(sys.stdout, format="{level} {message}", enqueue=True)

            def handler(event, context):
                for number in range(event):
                    logger.info(number)
                logger.complete()
        """
    }
    run = play_tool(files, events=[200])
    assert texts(run) == [f"INFO {number}" for number in range(200)]


def test_logging_can_be_sent_to_loguru(play_tool: PlayFunction) -> None:
    """By loguru's documentation: its own handler in place of the runtime's."""
    files = {
        "app.py": """
            import logging, sys
            from loguru import logger

            class InterceptHandler(logging.Handler):
                def emit(self, record):
                    logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())

            logging.basicConfig(handlers=[InterceptHandler()], level=0, force=True)
            logger.remove()
            logger.add(sys.stdout, format="{level}|{message}")

            def handler(event, context):
                logging.getLogger("library").warning("made %s", event)
        """
    }
    run = play_tool(files, events=[7])
    assert texts(run) == ["WARNING|made 7"]

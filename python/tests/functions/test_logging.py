"""Log records' times, which comparisons with the managed runtime leave out."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import PlayFunction
from playing import Files

FAILS_IN_TOKYO: Files = {
    "app.py": """
        import logging, os, time
        def handler(event, context):
            os.environ["TZ"] = "Asia/Tokyo"
            time.tzset()
            logging.error("m")
            1 / 0
    """
}


def test_the_time_of_a_text_record_is_now_in_utc(play: PlayFunction) -> None:
    before = datetime.now(UTC)
    record = play(FAILS_IN_TOKYO, events=[{}]).stdout.split("\n")[0]
    assert is_between(before, record.split("\t")[1], milliseconds=True)


def test_the_times_of_json_records_and_errors_are_now_in_utc(play: PlayFunction) -> None:
    for precision in ("seconds", "milliseconds"):
        before = datetime.now(UTC)
        environment = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_TIMESTAMP_PRECISION": precision}
        record, error = play(FAILS_IN_TOKYO, events=[{}], environment=environment).stdout.splitlines()
        for line in (record, error):
            assert is_between(before, json.loads(line)["timestamp"], milliseconds=precision == "milliseconds")


def is_between(before: datetime, written: str, *, milliseconds: bool) -> bool:
    """Whether a time was written in this precision, and is neither before nor to come."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d" + (r"\.\d{3}" if milliseconds else "") + "Z", written), written
    earliest = before.replace(microsecond=before.microsecond // 1000 * 1000 if milliseconds else 0)
    return earliest <= datetime.fromisoformat(written) <= datetime.now(UTC)


# Started with a pipe for frames that nobody reads but the function.
OWN_PIPE = """
import os, sys
reader, writer = os.pipe()
os.set_inheritable(reader, True)
os.set_inheritable(writer, True)
os.environ.update(_LAMBDA_TELEMETRY_LOG_FD=str(writer), READER=str(reader))
os.execv(sys.argv[1], sys.argv[1:])
"""

LOGS_MORE_THAN_A_PIPE_TAKES = """
import os, threading, time
reader = int(os.environ["READER"])
def drain():
    while piece := os.read(reader, 65536): yield piece
"""


@pytest.mark.parametrize("count", [1, 3])
def test_threads_go_on_while_a_frame_is_written_that_lambda_does_not_read(
    play: PlayFunction, bootstrap: Path, count: int
) -> None:
    source = f"""{LOGS_MORE_THAN_A_PIPE_TAKES}
def handler(event, context):
    loggers = [threading.Thread(target=context.log, args=[str(n) * 200_000]) for n in range({count})]
    for logger in loggers: logger.start()
    time.sleep(0.2)
    text, whole = bytearray(), {count} * (200_000 + 16)
    while len(text) < whole: text += os.read(reader, 65536)
    for logger in loggers: logger.join()
    return [text.count(str(n).encode() * 200_000) for n in range({count})]
"""
    run = play({"app.py": source}, events=[{}], command=[sys.executable, "-c", OWN_PIPE, str(bootstrap)])
    assert run.response == [1] * count


def test_a_child_that_is_forked_while_a_frame_is_written_can_write_one(play: PlayFunction, bootstrap: Path) -> None:
    source = f"""{LOGS_MORE_THAN_A_PIPE_TAKES}
def handler(event, context):
    logger = threading.Thread(target=context.log, args=["x" * 200_000])
    logger.start()
    time.sleep(0.2)
    child = os.fork()
    if not child:
        context.log("child")
        os._exit(0)
    text = bytearray()
    while b"child" not in text or text.count(b"x") < 200_000: text += os.read(reader, 65536)
    return os.waitpid(child, 0)[1]
"""
    run = play({"app.py": source}, events=[{}], command=[sys.executable, "-W", "ignore", "-c", OWN_PIPE, str(bootstrap)])
    assert run.response == 0

"""Log records' times, which comparisons with the managed runtime leave out."""

import json
import re
from datetime import UTC, datetime

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

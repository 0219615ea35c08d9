"""`whipsnake events`: sample events by name."""

import base64
import gzip
import json
from pathlib import Path

from command.conftest import Whipsnake


def test_every_event_that_is_listed_can_be_shown(whipsnake: Whipsnake) -> None:
    listed = whipsnake("events", "list")
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert {"apigw-v1", "apigw-v2", "function-url", "alb", "s3", "sqs", "sns", "dynamodb", "kinesis", "msk"} <= set(names)
    assert "Apache-2.0" in listed.stderr
    for name in names[::7]:
        assert isinstance(json.loads(whipsnake("events", "show", name).stdout), dict), name


def test_a_word_finds_events_by_name_and_by_what_they_are_about(whipsnake: Whipsnake) -> None:
    names = [line.split()[0] for line in whipsnake("events", "list", "websocket").stdout.splitlines()]
    assert names == ["apigw-websocket", "apigw-websocket-connect"]
    nothing = whipsnake("events", "list", "telex")
    assert (nothing.returncode, nothing.stderr) == (
        2,
        "whipsnake: no sample event is about telex; `whipsnake events list` has all of them\n",
    )


def test_another_name_shows_the_same_event(whipsnake: Whipsnake) -> None:
    assert whipsnake("events", "show", "http-api").stdout == whipsnake("events", "show", "apigw-v2").stdout


def test_what_is_encoded_can_be_decoded(whipsnake: Whipsnake) -> None:
    logs = json.loads(whipsnake("events", "show", "cloudwatch-logs").stdout)["awslogs"]["data"]
    assert json.loads(gzip.decompress(base64.b64decode(logs)))["messageType"] == "DATA_MESSAGE"
    record = json.loads(whipsnake("events", "show", "kinesis").stdout)["Records"][0]["kinesis"]["data"]
    assert json.loads(base64.b64decode(record)) == {"order": 42}


def test_a_new_event_is_written_once(whipsnake: Whipsnake, task: Path) -> None:
    written = whipsnake("events", "new", "sqs", "--set", "Records.0.body=hello")
    assert (written.returncode, written.stderr) == (0, "whipsnake: wrote sqs.json (SQS: a message)\n")
    assert json.loads((task / "sqs.json").read_text())["Records"][0]["body"] == "hello"
    again = whipsnake("events", "new", "sqs")
    assert (again.returncode, again.stderr) == (
        2,
        "whipsnake: sqs.json exists; --force replaces it, or name another file\n",
    )
    assert whipsnake("events", "new", "sqs", "--force").returncode == 0
    assert json.loads((task / "sqs.json").read_text())["Records"][0]["body"] != "hello"


def test_a_name_that_is_unknown_is_answered_with_those_that_are_near(whipsnake: Whipsnake) -> None:
    ran = whipsnake("events", "show", "mq")
    assert ran.returncode == 0, "it is another name of activemq"
    ran = whipsnake("events", "show", "cognit")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "there is no sample event cognit; there are cognito-pre-sign-up, " in ran.stderr

"""The sample functions and the sample events of this repository."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from conftest import CompareBoth, PlayBoth, PlayFunction
from playing import payload
from reference import Pair

HANDLER = "lambda_function.lambda_handler"


@pytest.fixture(scope="module")
def samples(repository: Path) -> Path:
    return repository / "docs/samples"


@pytest.fixture(scope="module")
def events(repository: Path) -> Path:
    return repository / "crates/cli/events"


def test_greeting_greets_by_name(both: CompareBoth, samples: Path, events: Path) -> None:
    body = (events / "greeting.json").read_bytes()
    pair = both(task_root=samples / "greeting", handler=HANDLER, events=[payload(body)])
    assert pair.whipsnake.answers["rid-1"].body == b'{"message": "Hello John Smith!"}'


def test_region_answers_an_http_request(both: CompareBoth, samples: Path, events: Path) -> None:
    body = (events / "region.json").read_bytes()
    run = both(task_root=samples / "region", handler=HANDLER, events=[payload(body)]).whipsnake
    assert run.response["statusCode"] == 200
    assert run.response["headers"] == {"Content-Type": "application/json"}
    assert json.loads(run.response["body"]) == {"Region ": "eu-central-1"}


def test_calculator_answers_and_logs_one_record(both: CompareBoth, samples: Path, events: Path) -> None:
    increment = payload((events / "calculator.json").read_bytes())
    run = both(task_root=samples / "calculator", handler=HANDLER, events=[increment, {"action": "divide"}]).whipsnake
    assert run.responses == [{"result": 4}, {"result": None}]
    first, second = run.stdout.splitlines()
    assert first.startswith("[INFO]\t")
    assert first.endswith("Z\trid-1\tCalculated result of 4")
    assert second.startswith("[ERROR]\t")


def test_orders_awaits_several_things_at_once(play: PlayFunction, samples: Path, events: Path) -> None:
    body = (events / "orders.json").read_bytes()
    run = play(task_root=samples / "orders", handler=HANDLER, events=[payload(body), {"items": []}])
    assert run.responses == [{"total": 21}, {"total": 0}]


def test_countdown_streams_events(play: PlayFunction, samples: Path, events: Path) -> None:
    body = (events / "apigateway-v2.json").read_bytes()
    run = play(task_root=samples / "countdown", handler=HANDLER, events=[payload(body)])
    prelude, *chunks = run.answers["rid-1"].pieces
    assert json.loads(prelude.rstrip(b"\0"))["headers"] == {"content-type": "text/event-stream"}
    assert chunks == [b"data: 3\n\n", b"data: 2\n\n", b"data: 1\n\n", b"data: lift-off\n\n"]


def test_notes_answers_requests_and_saves_at_the_end(play: PlayFunction, samples: Path, events: Path) -> None:
    event = json.loads((events / "apigateway-v2.json").read_bytes())
    reading = {**event, "body": None, "requestContext": {**event["requestContext"], "http": {"method": "GET"}}}
    run = play(task_root=samples / "notes", handler="lambda_function.app", events=[event, reading], end="SIGTERM")
    assert [response["statusCode"] for response in run.responses] == [201, 200]
    assert json.loads(run.responses[1]["body"]) == ["buy tea", '{"test":"body"}']
    assert run.stdout == "2 notes to save\n"


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_visits_counts_for_several_at_once(play: PlayFunction, samples: Path, events: Path, kind: str) -> None:
    body = (events / "greeting.json").read_bytes()
    run = play(
        task_root=samples / "visits",
        handler=HANDLER,
        events=[payload(body)] * 12,
        environment={"AWS_LAMBDA_MAX_CONCURRENCY": "4", "WHIPSNAKE_CONCURRENCY": kind},
        end_after_answers=True,
    )
    counted = sorted(response["visit"] for response in run.responses)
    assert len(counted) == 12
    assert counted == [*range(1, 13)] or kind == "processes", "one count in one process"
    assert sorted(re.findall(r"\t(rid-\d+)\tvisit \d+ of John\n", run.stdout)) == sorted(f"rid-{n}" for n in range(1, 13))


@pytest.mark.parametrize(
    ("guide", "sample"),
    [("async", "orders"), ("streaming", "countdown"), ("web-applications", "notes"), ("concurrency", "visits")],
)
def test_the_guides_show_the_samples_as_they_are(repository: Path, samples: Path, guide: str, sample: str) -> None:
    text = (repository / f"docs/guides/{guide}.md").read_text()
    assert f"```python\n{(samples / sample / 'lambda_function.py').read_text()}```" in text


def test_sdk_versions_prints_two_lines(both: CompareBoth, samples: Path, tmp_path: Path) -> None:
    """The SDK travels with the function, as links to the tests' own."""
    for package in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"):
        spec = importlib.util.find_spec(package)
        assert spec is not None, f"install python/pyproject.toml's test group: it has {package}"
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (tmp_path / source.name).symlink_to(source)
    sample = samples / "sdk_versions/lambda_function.py"
    run = both({"lambda_function.py": sample.read_text()}, task_root=tmp_path, handler=HANDLER, events=[{}]).whipsnake
    assert run.response is None
    boto3, botocore = run.stdout.splitlines()
    assert boto3.startswith("boto3 version: 1.")
    assert botocore.startswith("botocore version: 1.")


EVENTS = ["apigateway-v1", "apigateway-v2", "sqs", "s3", "eventbridge", "greeting", "region", "calculator", "orders"]


@pytest.fixture(scope="module")
def echoed(play_both: PlayBoth, events: Path) -> Pair:
    files = {"app.py": "def handler(event, context): return event"}
    return play_both(files, events=[payload((events / f"{name}.json").read_bytes()) for name in EVENTS])


@pytest.mark.parametrize("name", EVENTS)
def test_a_sample_event_comes_back_unchanged(echoed: Pair, events: Path, name: str) -> None:
    request_id = f"rid-{EVENTS.index(name) + 1}"
    echoed.assert_same_answer(request_id)
    assert echoed.whipsnake.answers[request_id].json() == json.loads((events / f"{name}.json").read_bytes())


def test_every_sample_event_is_tested(events: Path) -> None:
    assert sorted(path.stem for path in events.glob("*.json")) == sorted(EVENTS)


def test_every_sample_is_tested_and_listed(samples: Path) -> None:
    names = sorted(path.parent.name for path in samples.glob("*/lambda_function.py"))
    assert names == ["calculator", "countdown", "greeting", "notes", "orders", "region", "sdk_versions", "tested", "visits"]
    table = (samples / "README.md").read_text()
    assert all(f"| `{name}` |" in table for name in names)


TYPES = {"{}": "dict", "[]": "list", '"text"': "str", "1": "int", "1.5": "float", "null": "NoneType", "true": "bool"}


def test_an_event_has_the_type_that_awss_page_lists(play: PlayFunction) -> None:
    files = {"app.py": "def handler(event, context): return type(event).__name__"}
    run = play(files, events=[payload(body.encode()) for body in TYPES])
    assert run.responses == list(TYPES.values())


def test_unicode_text_is_seventeen_bytes_and_not_escaped(play: PlayFunction) -> None:
    run = play({"app.py": "def handler(event, context): return 'こんにちは'"}, events=[{}])
    assert run.answers["rid-1"].body == '"こんにちは"'.encode()
    assert len(run.answers["rid-1"].body) == 17


def test_no_return_statement_is_null(play: PlayFunction) -> None:
    assert play({"app.py": "def handler(event, context): pass"}, events=[{}]).answers["rid-1"].body == b"null"


def test_an_object_that_json_cannot_write_is_an_error_that_names_its_type_and_the_request(play: PlayFunction) -> None:
    files = {"app.py": "class Connection: pass\ndef handler(event, context): return Connection()"}
    error = play(files, events=[{}]).errors[0]
    assert error == {
        "errorMessage": "Unable to marshal response: Object of type Connection is not JSON serializable",
        "errorType": "Runtime.MarshalError",
        "requestId": "rid-1",
        "stackTrace": [],
    }


def test_a_clean_up_at_shutdown_is_in_the_log(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import signal, sqlite3, sys
            connection = sqlite3.connect(":memory:")
            def clean_up(number, frame):
                print("received", signal.Signals(number).name)
                connection.close()
                print("closed")
                sys.exit(0)
            signal.signal(signal.SIGTERM, clean_up)
            def handler(event, context):
                return connection.execute("select 1 + 1").fetchone()[0]
        """
    }
    run = play(files, events=[{}, {"key1": "value1"}], end="SIGTERM")
    assert (run.responses, run.stdout, run.exit_code) == ([2, 2], "received SIGTERM\nclosed\n", 0)

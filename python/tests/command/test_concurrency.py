"""`whipsnake invoke --concurrency`: several invocations at once, each of them told apart."""

import json
import re
import subprocess
from pathlib import Path

from command.conftest import Whipsnake
from playing import write_files

# Each waits until all are there.
MEET = """
    import asyncio, logging

    logging.getLogger().setLevel("INFO")
    here = []

    async def handler(event, context):
        here.append(context.aws_request_id)
        logging.info("of %s", context.aws_request_id)
        print("of nobody")
        while len(here) < event["of"]:
            await asyncio.sleep(0.01)
        if event.get("fails") and here.index(context.aws_request_id) == 1:
            raise ValueError("as asked")
        return context.aws_request_id
"""

ID = r"[0-9a-f]{8}-[0-9a-f-]{27}"


def test_as_many_run_at_once_as_are_asked_for(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", "--concurrency", "3", "-e", '{"of": 3}', module=MEET)
    responses = ran.stdout.split()
    assert (ran.returncode, len({*responses})) == (0, 3), ran.stderr
    for word in ("START", "END", "REPORT"):
        assert sorted(re.findall(rf"^{word} RequestId: ({ID})", ran.stderr, re.MULTILINE)) == sorted(map(json.loads, responses))


def test_a_response_stands_before_its_end_and_report(cli: Path, bootstrap: Path, task: Path) -> None:
    write_files(task, {"app.py": MEET})
    command: list[str | Path] = [cli, "invoke", "app.handler", "--concurrency", "4", "-e", '{"of": 4}']
    command += ["--bootstrap", bootstrap]
    both = subprocess.STDOUT
    ran = subprocess.run(command, cwd=task, stdout=subprocess.PIPE, stderr=both, text=True, timeout=30, check=True)
    ends = re.findall(rf'^"({ID})"\nEND RequestId: ({ID})\nREPORT RequestId: ({ID})\t', ran.stdout, re.MULTILINE)
    assert len(ends) == 4, ran.stdout
    assert all(len({*ids}) == 1 for ids in ends)


def test_json_has_a_line_for_each_in_order_with_its_own_log(whipsnake: Whipsnake) -> None:
    event = '{"of": 3, "fails": true}'
    ran = whipsnake("invoke", "app.handler", "--concurrency", "3", "--repeat", "7", "--json", "-e", event, module=MEET)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (ran.returncode, len(told)) == (1, 7), ran.stderr
    assert [outcome["fault"]["errorType"] for outcome in told if outcome["fault"]] == ["ValueError"]
    for outcome in told:
        request_id = outcome["report"]["requestId"]
        assert (outcome["response"] or outcome["fault"]["requestId"]) == request_id
        lines = outcome["logs"].splitlines()
        assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
        assert lines[-2] == f"END RequestId: {request_id}"
        assert lines[-1].startswith(f"REPORT RequestId: {request_id}\t")
        assert json.loads(lines[1])["message"] == f"of {request_id}"
        assert {*re.findall(ID, outcome["logs"])} == {request_id}
    assert ran.stderr == "of nobody\n" * 7


def test_streams_are_printed_one_after_the_other(whipsnake: Whipsnake) -> None:
    module = """
        import asyncio

        async def handler(event, context):
            for number in range(3):
                await asyncio.sleep(0.05)
                yield f"{context.aws_request_id} {number}\\n"
    """
    ran = whipsnake("invoke", "app.handler", "--concurrency", "3", module=module)
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert [number for _, number in lines] == ["0", "1", "2"] * 3
    assert all(len({request_id for request_id, _ in lines[first : first + 3]}) == 1 for first in (0, 3, 6))


def test_one_that_fails_fails_the_command(whipsnake: Whipsnake) -> None:
    ran = whipsnake("invoke", "app.handler", "--concurrency", "2", "-e", '{"of": 2, "fails": true}', module=MEET)
    assert ran.returncode == 1
    assert "ValueError" in ran.stdout
    ran = whipsnake("invoke", "app.missing", "--concurrency", "2", module=MEET)
    assert ran.returncode == 1
    assert ran.stdout.count("Runtime.HandlerNotFound") == 2
    ran = whipsnake("invoke", "app.handler", "--concurrency", "2", "--repeat", "9", "--task", "missing", module=MEET)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("whipsnake: ") == 1

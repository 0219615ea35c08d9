"""sys.stdout and sys.stderr on a machine without Lambda's locale, and in many threads."""

import shutil
from pathlib import Path

import pytest

from conftest import PlayFunction


def handler(*lines: str) -> dict[str, str]:
    return {"app.py": "import sys\ndef handler(event, context):\n" + "".join(f"    {line}\n" for line in lines)}


def test_the_streams_are_utf_8_whatever_the_locale(play: PlayFunction) -> None:
    for environment in ({}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": None, "LC_ALL": None}):
        run = play(handler("print('é😀')", "return sys.stdout.encoding, sys.stdout.errors, open('/dev/null').encoding"),
                   events=[{}], environment=environment)  # fmt: skip
        assert run.response[0].lower() == "utf-8"
        assert run.response[1] == "surrogateescape"
        assert run.response[2].lower() == "utf-8"
        assert run.stdout == "é😀\n"


@pytest.mark.parametrize("kind", ["", "threads", "tasks"])
def test_the_lines_of_threads_that_print_at_once_are_whole(play: PlayFunction, kind: str) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": kind} if kind else {}
    files = {
        "app.py": f"""
            import sys, threading
            sys.setswitchinterval(1e-6)
            def work(number):
                for i in range(200):
                    print("thread", number, [i], {{"number": number}}, sep="|")
            {"async " if kind == "tasks" else ""}def handler(event, context):
                threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
        """
    }
    run = play(files, events=[{}], environment=variables, end="SIGTERM", end_after_answers=True, end_after_ms=100)
    lines = [f"thread|{number}|[{i}]|{{'number': {number}}}" for number in range(5) for i in range(200)]
    assert sorted(run.stdout.splitlines()) == sorted(lines)


def test_unfinished_text_of_a_helper_thread_is_out_with_several_invocations_at_once(play: PlayFunction) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": "threads"}
    lines = (
        "import os, threading",
        "t = threading.Thread(target=print, args=['half'], kwargs={'end': ''})",
        "t.start(); t.join()",
    )
    run = play(handler(*lines, "os._exit(7)"), events=[{}], environment=variables, end="SIGTERM", end_after_answers=True)
    assert (run.stdout, run.ending) == ("half", "exit code 7")


@pytest.mark.not_from_checkpoint("standard output is flushed before the dump, which takes as long", kinds=["init"])
def test_a_flush_of_the_functions_own_does_not_delay_the_response(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import io, sys, time
            slow = lambda: time.sleep(30)
            sys.stdout.flush = slow
            class Slow(io.StringIO):
                def flush(self): slow()
            def handler(event, context):
                print("printed")
                if event == 1: sys.stdout = sys.stderr = Slow()
                return event
        """
    }
    run = play(files, events=[0, 1, 2])
    assert (run.responses, run.stdout) == ([0, 1, 2], "printed\nprinted\n")
    assert run.seconds_to_answer(3) < 20


def test_text_in_a_stream_on_top_of_the_buffer_is_out_with_the_response(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import io, sys
            sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
            def handler(event, context): print("é", end="")
        """
    }
    assert play(files, events=[{}]).stdout == "é"


def test_a_print_that_is_not_cpythons_stays(play: PlayFunction) -> None:
    files = {
        "sitecustomize.py": "import builtins\nprinted = builtins.print\nbuiltins.print = lambda *texts: printed('own', *texts)\n",
        "app.py": "import os\ndef handler(event, context):\n    print('a', 'b')\n    os._exit(5)\n",
    }
    assert play(files, events=[{}], environment={"PYTHONPATH": "."}).stdout == "own a b\n"


def test_nothing_of_ours_is_written(play: PlayFunction) -> None:
    run = play(handler("return 1"), events=[{}, {}])
    assert (run.stdout, run.stderr) == ("", "")


def test_a_stream_says_whether_it_is_closed(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import io, sys
            def of(stream, change):
                try:
                    change(stream)
                    return stream.closed
                except Exception as error:
                    return str(error)
            def handler(event, context):
                changes = [lambda stream: None, lambda stream: stream.close(), lambda stream: stream.detach()]
                return [of(type(sys.stdout)(io.BytesIO()), change) for change in changes]
        """
    }
    assert play(files, events=[{}]).response == [False, True, "underlying buffer has been detached"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_no_thread_waits_for_itself(play: PlayFunction, bootstrap: Path, tmp_path: Path) -> None:
    """CPython without the GIL locks a stream that is flushed, and may ask for that lock again: it yields, then sleeps."""
    calls = tmp_path / "calls"
    command = ["strace", "-f", "-e", "trace=sched_yield,futex", "-o", str(calls), str(bootstrap)]
    lines = ("for n in range(100):", "    sys.stdout.flush()", "    print(n)")
    run = play(handler(*lines), events=[{}], command=command)
    assert run.stdout.split() == [str(number) for number in range(100)]
    assert len(calls.read_text().splitlines()) < 2000

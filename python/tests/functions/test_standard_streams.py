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


def test_writes_from_threads_do_not_lose_anything(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import threading
            def work(number):
                for i in range(200):
                    print("thread", number, i)
            def handler(event, context):
                threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
        """
    }
    run = play(files, events=[{}])
    words = [word for number in range(4) for i in range(200) for word in ("thread", str(number), str(i))]
    assert sorted(run.stdout.split()) == sorted(words)


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

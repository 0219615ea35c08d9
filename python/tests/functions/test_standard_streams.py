"""sys.stdout and sys.stderr on a machine without Lambda's locale, and in many threads."""

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
    for environment in ({}, {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "WHIPSNAKE_CONCURRENCY": "threads"}):
        run = play(files, events=[{}], environment=environment, end_after_answers=True)
        assert run.responses == [[False, True, "underlying buffer has been detached"]]

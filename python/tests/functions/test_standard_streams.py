"""sys.stdout and sys.stderr."""

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, event, step


def handler(*lines: str) -> dict[str, str]:
    return {"app.py": "import sys\ndef handler(event, context):\n" + "".join(f"    {line}\n" for line in lines)}


@pytest.mark.parametrize(
    "expression",
    [
        "sys.stdout.encoding",
        "sys.stderr.encoding",
        "sys.stdout.fileno()",
        "sys.stderr.fileno()",
        "sys.stdout.isatty()",
        "sys.stdout.writable()",
        "sys.stdout.writelines(['a', 'b\\n'])",
        "sys.stdout.name",
        "sys.stdout.mode",
        "sys.stdout.newlines",
        "hasattr(sys.stdout, 'reconfigure')",
        "sys.__stdout__.fileno()",
        "sys.stdin.read()",
        "sys.stdin.encoding",
    ],
)
def test_a_stream_is_like_the_managed_runtimes(both: CompareBoth, expression: str) -> None:
    both(handler(f"return repr({expression})"), events=[{}])


def test_the_streams_are_strict_utf_8_whatever_the_locale(play: PlayFunction) -> None:
    for environment in ({}, {"LANG": "C"}, {"LC_ALL": "POSIX"}, {"LANG": None, "LC_ALL": None}):
        run = play(handler("print('é😀')", "return sys.stdout.encoding, sys.stdout.errors, open('/dev/null').encoding"),
                   events=[{}], environment=environment)  # fmt: skip
        assert run.response[0].lower() == "utf-8"
        assert run.response[1] == "strict"
        assert run.response[2].lower() == "utf-8"
        assert run.stdout == "é😀\n"


def test_a_lone_surrogate_cannot_be_printed(play: PlayFunction) -> None:
    """As on Lambda. Where its locale is missing, as here, the managed runtime would print a byte."""
    run = play(handler("print('\\ud800')"), events=[{}])
    assert run.errors[0]["errorType"] == "UnicodeEncodeError"


def test_output_of_all_sorts_comes_in_order(both: CompareBoth) -> None:
    both(
        {
            "app.py": """
                import os, subprocess, sys
                print("import")
                def handler(event, context):
                    print("a", "b", 1, sep="-")
                    os.write(1, b"descriptor\\n")
                    print("c")
                    subprocess.run(["echo", "child"])
                    sys.stdout.buffer.write(b"buffer\\n")
                    print("d")
                    sys.__stdout__.write("e\\n")
                    print("last")
            """
        },
        events=[{}, {}],
    )


def test_a_line_is_out_before_the_handler_returns(play: PlayFunction) -> None:
    """The signal is sent when the line has arrived, and nothing else ends the handler."""
    files = handler(
        "import signal",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
        "print('here')",
        "print('there', file=sys.stderr)",
        "return signal.sigtimedwait([signal.SIGUSR1], 10) is not None",
    )
    for line in ("here", "there"):
        run = play(files, events=[event({}, signal={"name": "SIGUSR1", "until_output": f"{line}\n"})])
        assert run.response is True


def test_text_without_a_line_end_is_out_before_the_answer(play: PlayFunction) -> None:
    run = play(handler("sys.stdout.write('no end')", "sys.stderr.write('none')"), events=[{}])
    assert (run.stdout, run.stderr) == ("no end", "none")
    assert play(handler("sys.stdout.buffer.write(b'raw\\xff')"), events=[{}]).stdout == "raw\\xff"


def test_a_line_printed_in_parts_is_one_write(play: PlayFunction) -> None:
    """The managed runtime makes four of it, for other threads and processes to cut into."""
    files = {
        "app.py": """
            import os, sys
            def handler(event, context):
                reader, writer = os.pipe()
                os.set_blocking(reader, False)
                saved = os.dup(1)
                os.dup2(writer, 1)
                sizes = []
                print("a", "b", end="")
                try:
                    sizes.append(len(os.read(reader, 100)))
                except BlockingIOError:
                    sizes.append(0)
                print()
                sizes.append(len(os.read(reader, 100)))
                os.dup2(saved, 1)
                return sizes
        """
    }
    assert play(files, events=[{}]).response == [0, 4]


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


REDIRECTIONS = {
    "redirect_stdout": """
        import contextlib, io, logging
        def handler(event, context):
            target = io.StringIO()
            with contextlib.redirect_stdout(target):
                print("printed")
                logging.error("record")
                context.log("logged")
            text = target.getvalue()
            return [text.startswith("printed\\n[ERROR]\\t"), text.endswith("\\trecord\\nlogged")]
    """,
    "a stream that is replaced": """
        import io, sys
        def handler(event, context):
            sys.stdout = sys.stderr = io.StringIO()
            print("lost")
            1 / 0
    """,
    "redirected while failing": """
        import io, os, sys
        class Shout(io.StringIO):
            def write(self, text): return os.write(1, text.upper().encode())
        def handler(event, context):
            sys.stdout = Shout()
            raise ValueError("quiet")
    """,
    "with sys.stdout": """
        import sys
        def handler(event, context):
            print("a")
            print("b", file=sys.stderr)
    """,
}


@pytest.mark.parametrize("name", REDIRECTIONS)
def test_the_function_may_redirect_standard_output(both: CompareBoth, name: str) -> None:
    both({"app.py": REDIRECTIONS[name]}, events=[{}, {}])


def test_a_with_statement_on_a_stream_does_not_close_it(both: CompareBoth) -> None:
    files = handler("with sys.stdout as out: out.write('a\\n')", "print('b')")
    assert both(files, events=[{}]).whipsnake.stdout == "a\nb\n"


@pytest.mark.parametrize("line", ["sys.stdout.close()", "sys.stdout = None", "import os; os.close(1)", "del sys.stdout"])
def test_a_function_that_loses_its_output_is_still_served(play: PlayFunction, line: str) -> None:
    run = play(handler(f"if event == 0:\n        {line}", "return event"), events=[0, 1, 2])
    assert run.responses == [0, 1, 2]
    assert run.ending == ENDED_AFTER_THE_LAST_EVENT


def test_warnings_go_to_standard_error_in_pythons_form(both: CompareBoth) -> None:
    pair = both(handler("import warnings", "warnings.warn('careful')"), events=[{}])
    assert pair.whipsnake.stderr == pair.reference.stderr
    assert "UserWarning: careful\n" in pair.whipsnake.stderr


def test_nothing_of_ours_is_written(play: PlayFunction) -> None:
    run = play(handler("return 1"), events=[{}, {}])
    assert (run.stdout, run.stderr) == ("", "")


def test_large_output_is_whole(both: CompareBoth) -> None:
    both(handler("print('x' * 1_000_000)", "print('é' * 300_000, file=sys.stderr)"), events=[{}])


def test_what_a_thread_prints_between_invocations_is_not_lost(both: CompareBoth) -> None:
    """It is waited for by the script: the second event comes only with the output."""
    files = {
        "app.py": """
            import threading
            def handler(event, context):
                if event == 1:
                    threading.Timer(0.05, print, ["from a thread"]).start()
        """
    }
    pair = both(files, events=[1, step(idle_signal={"name": "SIGCONT", "until_output": "from a thread\n"}), 2])
    assert pair.whipsnake.stdout == "from a thread\n"

"""Threads, signals and the end of the process."""

import signal

import pytest

from conftest import CompareBoth, PlayFunction
from playing import ENDED_AFTER_THE_LAST_EVENT, event, step
from reference import Better

THREADS = """
    import os, threading
    here = [threading.current_thread() is threading.main_thread(), len(os.listdir("/proc/self/task"))]
    def handler(event, context):
        return [here, threading.current_thread() is threading.main_thread(), len(os.listdir("/proc/self/task")),
                [thread.name for thread in threading.enumerate()], os.getpid() == threading.get_native_id()]
"""


def test_import_and_handler_run_on_the_main_thread_which_is_the_only_one(both: CompareBoth) -> None:
    run = both({"app.py": THREADS}, events=[{}, {}]).whipsnake
    assert run.responses == [[[True, 1], True, 1, ["MainThread"], True]] * 2


SIGNALS_AT_IMPORT = [
    "signal.getsignal(signal.SIGTERM)",
    "signal.getsignal(signal.SIGINT)",
    "signal.getsignal(signal.SIGPIPE)",
    "signal.getsignal(signal.SIGHUP)",
    "signal.getsignal(signal.SIGALRM)",
    "signal.getsignal(signal.SIGUSR1)",
    "signal.getsignal(signal.SIGSEGV)",
    "signal.getsignal(signal.SIGBUS)",
    "signal.getsignal(signal.SIGCHLD)",
    "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
]


@pytest.mark.parametrize("expression", SIGNALS_AT_IMPORT)
def test_signals_are_as_python_leaves_them(both: CompareBoth, expression: str) -> None:
    files = {
        "app.py": f"import signal\ntext = str({expression})\ndef handler(event, context):\n    return [text, str({expression})]"
    }
    both(files, events=[{}, {}])


def test_a_timer_interrupts_the_handler(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import signal, threading
            def late(*_): raise TimeoutError("too late")
            def handler(event, context):
                signal.signal(signal.SIGALRM, late)
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                threading.Event().wait(10)
        """
    }
    assert both(files, events=[{}, {}]).whipsnake.errors[1]["errorMessage"] == "too late"


@pytest.mark.parametrize("body", ["asyncio.run(work())", "asyncio.new_event_loop().run_until_complete(work())"])
def test_the_function_may_run_an_event_loop_with_signal_handlers_of_its_own(both: CompareBoth, body: str) -> None:
    files = {
        "app.py": f"""
            import asyncio, signal
            async def work():
                done = asyncio.Event()
                asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, done.set)
                signal.raise_signal(signal.SIGUSR1)
                await done.wait()
                asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
                return "done"
            def handler(event, context): return {body}
        """
    }
    both(files, events=[{}, {}])


HANDLES_SIGTERM = """
    import atexit, os, signal, sys
    atexit.register(print, "at exit", flush=True)
    def on_sigterm(number, frame):
        print("handled", number, flush=True)
        {reaction}
    signal.signal(signal.SIGTERM, on_sigterm)
    def handler(event, context):
        return event
"""
# Not at once: a signal that comes while the managed runtime's main thread is on its way into its wait is lost until the next event.
SETTLED = 50  # milliseconds
IDLE_SIGTERM = step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED, "until_output": "handled 15\n"})
REACTIONS = {
    "that returns": ("pass", ENDED_AFTER_THE_LAST_EVENT),
    "that exits with 0": ("sys.exit(0)", "exit code 0"),
    "that exits with 5": ("sys.exit(5)", "exit code 5"),
    "that raises": ("raise RuntimeError('in the handler')", "exit code 1"),
    "that exits at once": ("os._exit(6)", "exit code 6"),
}


def sigterm_handler(reaction: str) -> dict[str, str]:
    return {"app.py": HANDLES_SIGTERM.format(reaction=reaction)}


@pytest.mark.parametrize("name", REACTIONS)
def test_a_handler_of_sigterm_runs_while_the_function_is_idle(play: PlayFunction, name: str) -> None:
    """At once: the script gives no event before its output."""
    reaction, ending = REACTIONS[name]
    run = play(sigterm_handler(reaction), events=[1, IDLE_SIGTERM, 2])
    assert run.stdout.startswith("handled 15\n")
    assert run.ending == ending
    assert run.responses == ([1, 2] if ending == ENDED_AFTER_THE_LAST_EVENT else [1])
    assert ("at exit" in run.stdout) == (name in ("that exits with 0", "that exits with 5", "that raises"))


@pytest.mark.parametrize("name", ["that returns", "that exits with 0", "that exits with 5", "that exits at once"])
def test_a_handler_of_sigterm_while_idle_looks_alike_to_the_platform(both: CompareBoth, name: str) -> None:
    both(sigterm_handler(REACTIONS[name][0]), events=[1, IDLE_SIGTERM, 2])


def test_a_handler_of_sigterm_runs_again_and_again(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import os, signal
            count = 0
            def on_sigterm(*_):
                global count
                count += 1
                os.write(1, b"handled %d\\n" % count)
            signal.signal(signal.SIGTERM, on_sigterm)
            def handler(event, context): return count
        """
    }
    signals = [step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED, "until_output": f"handled {n}\n"}) for n in (1, 2, 3)]
    assert both(files, events=[*signals, 0, 0]).whipsnake.responses == [3, 3]


def busy_function(reaction: str) -> dict[str, str]:
    """Its output is written below Python's streams, and it waits without a lock: a signal handler must enter neither again."""
    return {
        "app.py": f"""
            import atexit, os, signal, sys, time
            atexit.register(os.write, 1, b"at exit")
            arrived = []
            def on_sigterm(number, frame):
                arrived.append(number)
                os.write(1, b"handled")
                {reaction}
            signal.signal(signal.SIGTERM, on_sigterm)
            def handler(event, context):
                if event == 1:
                    os.write(1, b"busy")
                    while not arrived:
                        time.sleep(0.01)
                return event
        """
    }


BUSY_SIGTERM = event(1, signal={"name": "SIGTERM", "until_output": "busy"})


@pytest.mark.parametrize("name", [name for name in REACTIONS if name != "that raises"])
def test_a_handler_of_sigterm_runs_while_the_function_is_busy(both: CompareBoth, name: str) -> None:
    pair = both(busy_function(REACTIONS[name][0]), events=[BUSY_SIGTERM, 2])
    assert pair.whipsnake.stdout.startswith("busyhandled")


def test_what_a_handler_of_sigterm_raises_is_the_busy_functions_own_failure(play: PlayFunction) -> None:
    run = play(busy_function(REACTIONS["that raises"][0]), events=[BUSY_SIGTERM, 2])
    assert run.errors[0]["errorMessage"] == "in the handler"
    assert run.responses == [2]


def test_sigterm_without_a_handler_ends_a_busy_process_at_once(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import atexit, threading
            atexit.register(print, "at exit", flush=True)
            def handler(event, context):
                print("busy", flush=True)
                threading.Event().wait(10)
        """
    }
    pair = both(files, events=[event({}, signal={"name": "SIGTERM", "until_output": "busy\n"})])
    assert pair.whipsnake.ending == f"signal {signal.SIGTERM}"


def test_sigterm_without_a_handler_ends_an_idle_process_in_good_order(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import atexit, sys
            atexit.register(print, "at exit")
            def handler(event, context): pass
        """
    }
    pair = both(
        files,
        events=[{}],
        end="SIGTERM",
        better=Better("exit functions run before the process dies of the signal", {"stdout": "at exit\n"}),
    )
    assert pair.whipsnake.ending == f"signal {signal.SIGTERM}"
    assert pair.whipsnake.stderr == ""


def test_a_second_sigterm_ends_exit_functions_that_take_too_long(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import atexit, os, signal, threading
            @atexit.register
            def slow():
                os.kill(os.getpid(), signal.SIGTERM)
                threading.Event().wait(15)
                print("never")
            def handler(event, context): pass
        """
    }
    run = play(files, events=[{}], end="SIGTERM")
    assert run.ending == f"signal {signal.SIGTERM}"
    assert run.stdout == ""


@pytest.mark.parametrize("action", ["SIG_IGN", "SIG_DFL"])
def test_sigterm_set_to_an_action_has_that_action(both: CompareBoth, action: str) -> None:
    files = {
        "app.py": f"import signal\nsignal.signal(signal.SIGTERM, signal.{action})\ndef handler(event, context): return event"
    }
    both(files, events=[1, step(idle_signal={"name": "SIGTERM", "after_ms": SETTLED}), 2])


def test_sigint_is_a_keyboard_interrupt(play: PlayFunction) -> None:
    """Where the managed runtime would wait for the next event first."""
    run = play({"app.py": "def handler(event, context): return event"}, events=[1], end="SIGINT")
    assert run.ending == f"signal {signal.SIGINT}"
    assert run.stderr.endswith("KeyboardInterrupt\n")
    assert "panicked" not in run.stderr


def test_signals_that_come_with_an_event_do_not_harm_its_answer(play: PlayFunction) -> None:
    files = {
        "app.py": """
            import signal
            signal.signal(signal.SIGUSR1, lambda *_: None)
            def handler(event, context): return event
        """
    }
    events = [event(number, signal={"name": "SIGUSR1"}) for number in range(200)]
    assert play(files, events=events).responses == list(range(200))


def test_threads_of_the_function_run_on_between_invocations(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import threading
            beats = 0
            def beat():
                global beats
                while True:
                    beats += 1
                    if beats == 1000:
                        print("a thousand", flush=True)
                        return
            def handler(event, context):
                if event == "start":
                    threading.Thread(target=beat).start()
                return event
        """
    }
    both(
        files,
        events=["start", step(idle_signal={"name": "SIGCONT", "after_ms": SETTLED, "until_output": "a thousand\n"}), "after"],
    )


def test_globals_and_context_variables_stay_from_one_invocation_to_the_next(both: CompareBoth) -> None:
    files = {
        "app.py": """
            import contextvars, decimal, threading
            variable = contextvars.ContextVar("variable", default=0)
            local = threading.local()
            count = 0
            def handler(event, context):
                global count
                count += 1
                variable.set(variable.get() + 1)
                local.x = getattr(local, "x", 0) + 1
                decimal.getcontext().prec += 1
                return [count, variable.get(), local.x, decimal.getcontext().prec]
        """
    }
    assert both(files, events=[{}] * 3).whipsnake.responses[2][:3] == [3, 3, 3]


@pytest.mark.parametrize("event_count", [1000])
def test_an_invocation_leaves_nothing_behind(play: PlayFunction, event_count: int) -> None:
    """Objects that Python counts; what the first ones warm up is not."""
    files = {
        "app.py": """
            import gc, sys
            def handler(event, context):
                if event is None:
                    raise ValueError("é")
                gc.collect()
                return [len(gc.get_objects()), len(__import__("os").listdir("/proc/self/fd"))]
        """
    }
    warm = [{"a": [1.5, "x"]}, None, {}]
    run = play(files, events=[*warm, *warm, {}, *([{}] * 5), *([None] * (event_count // 10)), {}])
    counts = [response for response in run.responses if isinstance(response, list)]
    assert counts[-1] == counts[-2]
    assert counts[-1][1] == counts[0][1]


def test_the_depth_of_the_handlers_stack_leaves_the_function_its_thousand_calls(both: CompareBoth) -> None:
    files = {
        "app.py": """
            def dive(n): return n if n == 0 else dive(n - 1)
            def handler(event, context): return dive(event)
        """
    }
    assert both(files, events=[980]).whipsnake.response == 0


def test_memory_of_a_large_event_is_given_back(play: PlayFunction) -> None:
    files = {
        "app.py": """
            def handler(event, context):
                line = next(l for l in open("/proc/self/status") if l.startswith("VmRSS"))
                return int(line.split()[1])
        """
    }
    before, *_, after = play(files, events=[1, *(["x" * 5_000_000] * 6), 1]).responses
    assert after - before < 16_000

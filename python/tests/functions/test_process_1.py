"""The bootstrap as process 1 of a container, as an image whose entry point it is has it."""

import shutil
import subprocess

import pytest

from conftest import PlayFunction
from playing import event

IN_A_CONTAINER = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]


def no_containers() -> str | None:
    """Why this machine cannot have a process 1 for tests."""
    if shutil.which("unshare") is None:
        return "unshare is needed (util-linux)"
    ran = subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, text=True, check=False, timeout=20)
    return None if ran.returncode == 0 else f"no namespaces for processes: {ran.stderr.strip()}"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_ends_process_1_with_the_code_that_shells_give_it(
    play: PlayFunction, bootstrap: object, name: str, code: int
) -> None:
    """The kernel ignores what process 1 sends itself, so it cannot die of the signal."""
    if why := no_containers():
        pytest.skip(why)
    app = f"""
        import atexit, os, signal, threading, time
        atexit.register(os.write, 2, b"atexit\\n")
        def soon():
            time.sleep(0.2)
            os.kill(os.getpid(), signal.{name})
        def handler(event, context):
            threading.Thread(target=soon, daemon=True).start()
            return os.getpid()
    """
    run = play({"app.py": app}, events=[event(0)], end="wait", command=[*IN_A_CONTAINER, str(bootstrap)])
    assert run.response == 1
    assert run.exit_code == code, run.story()
    assert "atexit\n" in run.stderr

"""`whipsnake watch`: saved code is served at once."""

import json
import re
import textwrap
import threading
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from command.conftest import Whipsnake
from command.watching import Watching, save, watching
from emulators.serving import boto3_client

type Watch = Callable[..., AbstractContextManager[Watching]]


def version(number: int) -> str:
    """Always of the same size."""
    return f"def handler(event, context): return [{number}, event]\n"


@pytest.fixture
def watch(cli: Path, bootstrap: Path, task: Path) -> Watch:
    (task / "app.py").write_text(version(1))
    return partial(watching, cli, bootstrap, task)


@pytest.fixture
def app(task: Path) -> Path:
    return task / "app.py"


def test_a_save_is_served_within_200_milliseconds(watch: Watch, app: Path) -> None:
    with watch() as running:
        assert running.invoke({}) == [1, {}]
        took = []
        # Within the same second, and of the same size: what CPython knows a compiled module by.
        for number in range(2, 7):
            save(app, version(number))
            line = running.until(" ms\n").splitlines()[-1]
            ready = re.fullmatch(r"whipsnake: app\.py changed; ready after (\d+) ms", line)
            assert ready, line
            took.append(int(ready[1]))
            assert running.invoke({}) == [number, {}]
        assert min(took) < 200


def test_a_request_right_after_a_save_gets_the_saved_code(watch: Watch, app: Path) -> None:
    with watch() as running:
        for number in range(2, 14):
            save(app, version(number))
            assert running.invoke({}) == [number, {}]


def test_a_request_right_after_a_save_in_place_gets_the_saved_code(watch: Watch, app: Path, task: Path) -> None:
    with watch() as running:
        app.write_text("import values\ndef handler(event, context): return values.VALUE\n")
        for number in range(12):
            (task / "values.py").write_text(f"VALUE = {number}\n")
            assert running.invoke({}) == number


def test_a_function_that_writes_into_its_own_folder_all_the_time_is_served(watch: Watch, task: Path) -> None:
    with watch() as running:
        done = threading.Event()

        def write() -> None:
            while not done.wait(0.005):
                (task / "output.txt").write_text("more")

        writing = threading.Thread(target=write)
        writing.start()
        try:
            assert running.invoke({}) == [1, {}]
        finally:
            done.set()
            writing.join(20)


def test_an_invocation_keeps_the_code_it_began_with_while_the_new_one_answers(watch: Watch, app: Path, task: Path) -> None:
    waiting = """
        import pathlib, time

        def handler(event, context):
            if event:
                print("waits")
            while event and not pathlib.Path("go").exists():
                time.sleep(0.01)
            return "old"
    """
    app.write_text(textwrap.dedent(waiting))
    with watch() as running:
        answers: list[object] = []
        old = threading.Thread(target=lambda: answers.append(running.invoke(1)))
        old.start()
        running.until("waits\n")
        save(app, version(2))
        running.until("ready after")
        assert running.invoke(1) == [2, 1]
        assert answers == []
        (task / "go").touch()
        old.join(20)
        assert answers == ["old"]


def test_code_that_does_not_start_is_told_and_answers_with_its_fault_until_it_is_mended(watch: Watch, app: Path) -> None:
    with watch() as running:
        save(app, "import nothing_of_that_name\n")
        line = running.until("does not start: ")
        assert "app.py changed, and the function " in line
        assert running.until("\n") == (
            "Runtime.ImportModuleError: Unable to import module 'app': No module named 'nothing_of_that_name'\n"
        )
        assert running.invoke({})["errorType"] == "Runtime.ImportModuleError"
        save(app, version(3))
        running.until("app.py changed; ready")
        assert running.invoke({}) == [3, {}]


def test_what_tools_leave_behind_is_no_change(watch: Watch, app: Path, task: Path) -> None:
    (task / "environment").mkdir()
    (task / "environment/pyvenv.cfg").touch()
    names = ("__pycache__/a.py", ".git/HEAD", "node_modules/a.js", "environment/lib/a.py", "output/a", "b.log", ".app.py.swp")
    for folder in ("__pycache__", ".git", "node_modules", "environment/lib", "output"):
        (task / folder).mkdir(exist_ok=True)
    with watch("--ignore", "output", "--ignore", "*.log") as running:
        for name in names:
            (task / name).write_text("")
        save(app, version(2))
        assert running.until(" ms\n").count("changed") == 1
        assert running.invoke({}) == [2, {}]
        assert running.said.count("changed") == 1


def test_files_that_are_saved_together_are_one_change(watch: Watch, app: Path, task: Path) -> None:
    with watch() as running:
        for number in range(20):
            save(task / f"module{number}.py", "")
        save(app, version(2))
        assert "app.py and 20 more changed; ready after" in running.until(" ms\n")
        assert running.said.count("changed") == 1


def test_a_folder_that_comes_later_is_watched_too(watch: Watch, app: Path, task: Path) -> None:
    with watch() as running:
        (task / "package/inner").mkdir(parents=True)
        save(task / "package/inner/values.py", "VALUE = 1\n")
        save(app, "from package.inner import values\ndef handler(event, context): return values.VALUE\n")
        running.until("ready after")
        assert running.invoke({}) == 1
        save(task / "package/inner/values.py", "VALUE = 2\n")
        running.until("package/inner/values.py changed; ready after")
        assert running.invoke({}) == 2


def test_a_file_of_variables_counts_wherever_it_is(watch: Watch, app: Path, tmp_path: Path) -> None:
    app.write_text("import os\ndef handler(event, context): return os.environ['A']\n")
    variables = tmp_path / ".env"
    variables.write_text("A=1\n")
    with watch("--env-file", str(variables)) as running:
        assert running.invoke({}) == "1"
        (tmp_path / "other").touch()
        save(variables, "A=2\n")
        assert ".env changed; ready" in running.until(" ms\n")
        assert running.invoke({}) == "2"
        save(variables, "A\n")
        assert "is not NAME=VALUE; the code before goes on" in running.until("goes on\n")
        assert running.invoke({}) == "2"


def test_a_save_during_the_init_phase_starts_it_anew(watch: Watch, app: Path) -> None:
    with watch() as running:
        save(app, "print('begins')\nimport time\ntime.sleep(60)\n")
        running.until("begins\n")
        save(app, version(2))
        between = running.until("app.py changed; ready after")
        assert "does not start" not in between
        assert "INIT_REPORT" not in between
        assert running.invoke({}) == [2, {}]


def test_ctrl_c_sends_sigterm_and_tells_how_long_the_function_took(watch: Watch, app: Path) -> None:
    app.write_text(
        "import signal, sys, time\n"
        "def stop(*_): time.sleep(0.1); print('cleaned up'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "def handler(event, context): return event\n"
    )
    with watch() as running:
        assert running.invoke(1) == 1
        assert running.interrupt() == 130
        told = running.until("whipsnake: it ended after ")
        assert "SIGTERM to the function, which has 500 ms, as on Lambda with an extension\ncleaned up\n" in told
        assert 100 <= int(running.until("\n").split()[0]) < 500


def test_a_function_that_does_not_end_on_sigterm_is_killed(watch: Watch, app: Path) -> None:
    app.write_text("import signal\nsignal.signal(signal.SIGTERM, print)\ndef handler(event, context): return event\n")
    with watch() as running:
        assert running.invoke(1) == 1
        assert running.interrupt() == 130
        assert "whipsnake: it did not end, and was killed" in running.until("killed\n")


def test_boto3_and_the_function_url_reach_the_new_code(watch: Watch, app: Path) -> None:
    with watch() as running:
        client = boto3_client(running.invoke_api)
        save(app, "def handler(event, context):\n    yield 'a'\n    yield event.get('rawPath', '/boto3')\n")
        running.until("ready after")
        assert client.invoke(FunctionName="function", Payload=b"{}")["Payload"].read() == b"a/boto3"
        with urllib.request.urlopen(f"{running.function_url}/browser", timeout=20) as answer:
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.read() == b"a/browser"


def test_events_are_recorded_and_replayed_after_each_save(watch: Watch, app: Path, task: Path, tmp_path: Path) -> None:
    folder = task / "events"
    with watch("--record", str(folder)) as running:
        for event in ({"n": 1}, {"n": 2}):
            running.invoke(event)
        assert "changed" not in running.said, "what is recorded is no change"
    assert [json.loads(file.read_text()) for file in sorted(folder.iterdir())] == [{"n": 1}, {"n": 2}]
    with watch("--record", str(folder)) as running:
        running.invoke({"n": 3})
    assert sorted(file.name for file in folder.iterdir()) == ["0001.json", "0002.json", "0003.json"]
    (folder / "0003.json").unlink()
    with watch("--replay", str(folder)) as running:
        for _ in range(2):
            running.until("REPORT ")
        save(app, version(2))
        for _ in range(2):
            running.until("REPORT ")
    responses = [json.loads(line) for line in (tmp_path / "stdout").read_text().splitlines()]
    assert responses == [[1, {"n": 1}], [1, {"n": 2}], [2, {"n": 1}], [2, {"n": 2}]]


def test_the_active_virtual_environment_is_imported_from(watch: Watch, app: Path, tmp_path: Path) -> None:
    packages = tmp_path / "venv/lib/python3.14/site-packages"
    packages.mkdir(parents=True)
    (packages / "dependency.py").write_text("NAME = 'installed'\n")
    app.write_text("import dependency\ndef handler(event, context): return dependency.NAME\n")
    with watch(VIRTUAL_ENV=str(tmp_path / "venv")) as running:
        assert running.invoke({}) == "installed"


def test_control_c_after_a_crash_sends_nothing(watch: Watch, app: Path) -> None:
    app.write_text("import os\ndef handler(event, context): os._exit(3)\n")
    with watch() as running:
        assert running.invoke({})["errorType"] == "Runtime.ExitError"
        assert running.interrupt() == 130
        running.until("whipsnake: the function has no process that could be told: it has crashed, or did not start\n")
        assert "SIGTERM to the function" not in running.said


@pytest.fixture
def debugpy(tmp_path: Path) -> Path:
    """A virtual environment with a debugpy that tells what is asked of it."""
    package = tmp_path / "venv/lib/python3.14/site-packages/debugpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os\ndef listen(address): os.write(2, f'listens on {address}\\n'.encode())\n")
    return tmp_path / "venv"


def test_debugpy_listens_in_every_process(watch: Watch, app: Path, debugpy: Path) -> None:
    with watch("--venv", str(debugpy), "--debugpy") as running:
        assert "listens on ('127.0.0.1', 5678)\n" in running.said
        assert "sitecustomize" not in running.said
        save(app, version(2))
        running.until("listens on ('127.0.0.1', 5678)\n")
        running.until("ready after")
        assert running.invoke({}) == [2, {}]
    with watch("--venv", str(debugpy), "--debugpy", "1234") as running:
        assert "listens on ('127.0.0.1', 1234)\n" in running.said


def test_errors_name_a_way_out(whipsnake: Whipsnake, watch: Watch, bootstrap: Path) -> None:
    watched = ("watch", "app.handler", "--bootstrap", str(bootstrap), "--listen", "127.0.0.1:0")
    with watch() as running:
        address = running.invoke_api.removeprefix("http://")
        for arguments, told in {
            ("--listen", address): "Address already in use (os error 98); choose another address with --listen",
            ("--function-url", address): "Address already in use (os error 98); choose another address with --function-url",
            ("--debugpy",): "install it with `uv pip install debugpy`",
            ("--replay", "nowhere"): "replaying events from nowhere: No such file or directory",
            ("--venv", "."): ". is no virtual environment",
        }.items():
            ran = whipsnake(*(watched[:4] if arguments[0] == "--listen" else watched), *arguments)
            assert (ran.returncode, ran.stdout) == (2, ""), arguments
            assert told in ran.stderr

"""AWS_LAMBDA_EXEC_WRAPPER, which on OS-only runtimes is the runtime's to run.

Most of it is compared with the managed runtime, in conformance/sections/wrapper_script.py. Here is what cannot be: shells and
interpreters that word things in their own way, processes that outlive the play.
"""

import textwrap
from pathlib import Path

import pytest

from conftest import PlayFunction

VARIABLE = "AWS_LAMBDA_EXEC_WRAPPER"

APP = {
    "app.py": """
        import os, sys
        print("imported once")
        def handler(event, context): return eval(event)
    """
}


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    return tmp_path / "wrapper"


def write(wrapper: Path, script: str, mode: int = 0o755) -> dict[str, str]:
    wrapper.write_text(script)
    wrapper.chmod(mode)
    return {VARIABLE: str(wrapper)}


def test_a_wrapper_without_a_first_line_is_a_shell_script(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, 'export ADDED=1\nexec "$@"\n')
    assert play(APP, events=["os.environ['ADDED']"], environment=environment).response == "1"


def test_a_wrapper_that_cannot_be_run_is_told_in_a_sentence(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, "#!/no/such/interpreter\n"))
    assert (run.calls, run.exit_code) == ([], 1)
    assert run.stderr.startswith(f"whipsnake: could not run AWS_LAMBDA_EXEC_WRAPPER {wrapper}: ")
    assert run.stderr.count("\n") == 1


def test_a_wrapper_may_add_interpreter_options_before_the_last_argument(play: PlayFunction, wrapper: Path) -> None:
    """AWS's documentation does it this way."""
    script = """#!/bin/bash
args=("$@")
extra_args=("-X" "importtime")
args=("${args[@]:0:$#-1}" "${extra_args[@]}" "${args[@]: -1}")
exec "${args[@]}"
"""
    files = {**APP, "app.py": "import inner\n" + textwrap.dedent(APP["app.py"]), "inner.py": ""}
    run = play(files, events=["sys._xoptions"], environment=write(wrapper, script))
    assert run.response == {"importtime": True}
    assert "import time: self [us] | cumulative | imported package\n" in run.stderr
    assert "| inner\n" in run.stderr


def test_an_option_that_python_does_not_know_is_told(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, '#!/bin/bash\nexec "$1" --no-such-option "$2"\n'))
    assert run.exit_code not in (0, None)
    assert "no-such-option" in run.stderr
    assert "panicked" not in run.stderr


def test_the_first_argument_runs_python_programs_too(play: PlayFunction, wrapper: Path) -> None:
    """What the OpenTelemetry layer's wrapper does: `python3`, a program, and the runtime's command line, which it execs."""
    program = "import os, sys; os.environ['ADDED'] = '1'; os.execl(sys.argv[1], *sys.argv[1:])"
    script = f'#!/bin/bash\nexec -a python3 "$1" -c "{program}" "$@"\n'
    assert play(APP, events=["os.environ['ADDED']"], environment=write(wrapper, script)).response == "1"


def test_a_wrapper_may_start_the_runtime_as_a_child(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, events=["os.getppid() != 1"], environment=write(wrapper, '#!/bin/bash\n"$@"\n'))
    assert run.response is True

"""AWS_LAMBDA_EXEC_WRAPPER, which on OS-only runtimes is the runtime's to run."""

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


def test_a_wrapper_that_does_not_exist_is_the_shells_127(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment={VARIABLE: str(wrapper)})
    assert (run.stdout, run.stderr, run.exit_code) == (f"{wrapper}: does not exist\n", "", 127)
    run = play(APP, environment={VARIABLE: str(wrapper.parent)})
    assert (run.stdout, run.exit_code) == (f"{wrapper.parent}: does not exist\n", 127)


def test_a_wrapper_that_is_not_executable_is_the_shells_126(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, "#!/bin/bash\n", mode=0o644))
    assert (run.stdout, run.stderr, run.exit_code) == (f"{wrapper}: is not an executable\n", "", 126)


def test_a_wrapper_without_a_first_line_is_a_shell_script(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, 'export ADDED=1\nexec "$@"\n')
    assert play(APP, events=["os.environ['ADDED']"], environment=environment).response == "1"


def test_a_wrapper_that_cannot_be_run_is_told_in_a_sentence(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, "#!/no/such/interpreter\n"))
    assert (run.calls, run.exit_code) == ([], 1)
    assert run.stderr.startswith(f"whipsnake: could not run AWS_LAMBDA_EXEC_WRAPPER {wrapper}: ")
    assert run.stderr.count("\n") == 1


def test_the_descriptor_for_log_records_gets_through(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, '#!/bin/bash\nexec "$@"\n')
    run = play(APP, events=["context.log('framed')"], environment=environment, pipes=["_LAMBDA_TELEMETRY_LOG_FD"])
    assert run.pipes["_LAMBDA_TELEMETRY_LOG_FD"].endswith(b"framed")


def test_an_empty_name_is_none(play: PlayFunction) -> None:
    assert play(APP, events=["1"], environment={VARIABLE: ""}).response == 1


def test_a_wrapper_may_export_a_variable(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, '#!/bin/bash\nexport ADDED="by the wrapper"\nunset AWS_REGION\nexec -- "$@"\n')
    run = play(APP, events=["[os.environ['ADDED'], os.environ.get('AWS_REGION'), sys.argv]"], environment=environment)
    added, region, arguments = run.response
    assert (added, region) == ("by the wrapper", None)
    assert [Path(argument).name for argument in arguments] == ["bootstrap.py"]
    assert run.stdout == "imported once\n"


def test_a_wrapper_may_name_another_handler(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, '#!/bin/bash\nexport ORIGINAL=$_HANDLER _HANDLER=other.handler\nexec "$@"\n')
    files = {**APP, "other.py": "import os\ndef handler(event, context): return os.environ['ORIGINAL']"}
    assert play(files, events=[{}], environment=environment).response == "app.handler"


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


@pytest.mark.parametrize(
    ("options", "expression", "expected"),
    [
        ("-O", "sys.flags.optimize", 1),
        ("-W error", "sys.warnoptions", ["error"]),
        ("-X dev", "sys.flags.dev_mode", True),
        ("-X utf8=0 -B", "sys.dont_write_bytecode", True),
        ("-E", "sys.flags.ignore_environment", 1),
        ("-b", "sys.flags.bytes_warning", 1),
        ("-v", "sys.flags.verbose", 1),
        ("-X faulthandler", "__import__('faulthandler').is_enabled()", True),
    ],
)
def test_options_mean_what_they_mean_to_python(
    play: PlayFunction, wrapper: Path, options: str, expression: str, expected: object
) -> None:
    environment = write(wrapper, f'#!/bin/bash\nexec "$1" {options} "${{@: -1}}"\n')
    assert play(APP, events=[expression], environment=environment).response == expected


def test_an_option_that_python_does_not_know_is_told(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, '#!/bin/bash\nexec "$1" --no-such-option "$2"\n'))
    assert run.exit_code not in (0, None)
    assert "no-such-option" in run.stderr
    assert "panicked" not in run.stderr


def test_the_wrapper_gets_an_interpreter_and_a_script_and_nothing_else(play: PlayFunction, wrapper: Path) -> None:
    run = play(
        APP, environment=write(wrapper, '#!/bin/bash\necho "$#"\n[ -x "$1" ] && echo executable\n[ -f "$2" ] && echo file\n')
    )
    assert run.stdout == "2\nexecutable\nfile\n"
    assert run.exit_code == 0


def test_the_first_argument_runs_python_programs_too(play: PlayFunction, wrapper: Path) -> None:
    """What the OpenTelemetry layer's wrapper does: `python3`, a program, and the runtime's command line, which it execs."""
    program = "import os, sys; os.environ['ADDED'] = '1'; os.execl(sys.argv[1], *sys.argv[1:])"
    script = f'#!/bin/bash\nexec -a python3 "$1" -c "{program}" "$@"\n'
    assert play(APP, events=["os.environ['ADDED']"], environment=write(wrapper, script)).response == "1"


def test_a_wrapper_that_exits_is_the_end(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, environment=write(wrapper, "#!/bin/bash\necho no\nexit 3\n"))
    assert (run.calls, run.stdout, run.exit_code) == ([], "no\n", 3)


def test_a_wrapper_may_start_the_runtime_as_a_child(play: PlayFunction, wrapper: Path) -> None:
    run = play(APP, events=["os.getppid() != 1"], environment=write(wrapper, '#!/bin/bash\n"$@"\n'))
    assert run.response is True


def test_sys_executable_is_still_an_interpreter(play: PlayFunction, wrapper: Path) -> None:
    environment = write(wrapper, '#!/bin/bash\nexec "$@"\n')
    expression = "__import__('subprocess').run([sys.executable, '-c', 'print(5)'], capture_output=True, text=True).stdout"
    assert play(APP, events=[expression], environment=environment).response == "5\n"

"""`whipsnake completions`: scripts that the shells take."""

import shutil
import subprocess

import pytest

from command.conftest import Whipsnake


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_takes_its_completions(whipsnake: Whipsnake, shell: str) -> None:
    ran = whipsnake("completions", shell)
    assert ran.returncode == 0
    for word in ("invoke", "watch", "events", "doctor", "simulate", "replay"):
        assert word in ran.stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=ran.stdout, capture_output=True, text=True, timeout=20, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_bash_completes_the_options_of_a_verb(whipsnake: Whipsnake) -> None:
    ask = 'COMP_WORDS=(whipsnake watch --re); COMP_CWORD=2; _whipsnake whipsnake --re watch; echo "${COMPREPLY[@]}"'
    script = f"{whipsnake('completions', 'bash').stdout}\n{ask}"
    answered = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert answered.stdout.split() == ["--record", "--replay", "--region"]

"""Failed imports, where there is nothing to compare with: see the section of the conformance suite for all else."""

from conftest import PlayFunction


def test_the_log_has_no_word_about_managed_runtime_updates(play: PlayFunction) -> None:
    run = play({"app.py": "raise ValueError('v')"})
    assert run.stdout.startswith("[ERROR] ValueError: v\rTraceback (most recent call last):\r")
    assert run.stderr == ""

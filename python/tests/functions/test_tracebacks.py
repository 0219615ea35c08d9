"""What the log has of an exception beyond the report: causes and contexts, in Python's words."""

from conftest import PlayFunction

DOUBTFUL = {
    "app.py": r"""
        import re
        def cause(pattern):
            return [re.compile(pattern).nothing + 1, re.compile("\d\.") .nothing]
        def handler(event, context):
            try:
                return cause("x") + (
                    "\w" +
                    "b")
            except AttributeError as error:
                raise ValueError("\p") from error
    """
}
"""Its source has escape sequences that are none. Python warns of them when it compiles the source."""


def test_the_lines_of_a_stack_are_not_warned_of_again(play: PlayFunction) -> None:
    run = play(DOUBTFUL, events=[{}, {}])
    assert [error["errorType"] for error in run.errors] == ["ValueError"] * 2
    assert "<unknown>" not in run.stderr
    # Python's own words all the same, with marks where there is nothing to warn of.
    assert run.stdout.count("The above exception was the direct cause of the following exception:") == 2
    assert 'raise ValueError("\\p") from error' in run.stdout


def test_other_lines_have_their_marks(play: PlayFunction) -> None:
    files = {
        "app.py": """
            def handler(event, context):
                try:
                    return event["a"]["b"] + 1
                except TypeError as error:
                    raise ValueError from error
        """
    }
    run = play(files, events=[{"a": None}])
    assert "~~~~~~~~~~^^^^^" in run.stdout

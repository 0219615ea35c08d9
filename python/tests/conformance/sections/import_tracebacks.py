"""Imports that fail and have a traceback that the managed runtime shows nowhere: it is in our log."""

import re
from collections.abc import Iterator

from conformance import error_record
from conformance.case import Case
from playing import Files
from reference import Better

NOWHERE = "the report is the same; the log shows where it happened, as Python itself would"
UNSEEN = "the report is the same; the log shows them, as Python itself would"


def traced(name: str, source: str, headline: str, traceback: str, files: Files | None = None) -> Iterator[Case]:
    """Such an import, logged in both formats."""
    error_type = headline.partition(": ")[0]
    is_stated = error_type.startswith("Runtime.")
    for suffix, log_format, record in (
        ("", "Text", error_record.as_text(headline, traceback)),
        (" (JSON)", "JSON", error_record.as_json(traceback)),
    ):
        yield Case(
            name=name + suffix,
            files={"app.py": source, **(files or {})},
            environment={"AWS_LAMBDA_LOG_FORMAT": log_format},
            shows={
                "calls": ["POST init/error"],
                "ending": "exit code 1",
                "init/error": {"error-type": error_type},
                "stdout": re.compile(re.escape(error_type)),
            },
            better=Better(NOWHERE if is_stated else UNSEEN, {"stdout": record}),
        )


def syntax_error(name: str, source: str, reason: str, traceback: str, files: Files | None = None) -> Iterator[Case]:
    headline = f"Runtime.UserCodeSyntaxError: Syntax error in module 'app': {reason}"
    return traced(name, source, headline, traceback, files)


def import_error(name: str, source: str, reason: str, traceback: str, files: Files | None = None) -> Iterator[Case]:
    headline = f"Runtime.ImportModuleError: Unable to import module 'app': {reason}"
    return traced(name, source, headline, traceback, files)


SYNTAX_ERRORS = [
    *syntax_error(
        "in a module it imports",
        "import other",
        "invalid syntax (other.py, line 1)",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            import other
          File "/var/task/other.py", line 1
            x =
               ^
        SyntaxError: invalid syntax
        """,
        {"other.py": "x ="},
    ),
    *syntax_error(
        "raised by hand",
        "raise SyntaxError('by hand')",
        "by hand",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            raise SyntaxError('by hand')
        SyntaxError: by hand
        """,
    ),
    *syntax_error(
        "from compile()",
        "compile('x = = 1', '<template>', 'exec')",
        "invalid syntax (<template>, line 1)",
        # Which marks are under the call depends on the version of Python.
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            compile('x = = 1', '<template>', 'exec')...
          File "<template>", line 1
            x = = 1
                ^
        SyntaxError: invalid syntax
        """,
    ),
]

IMPORT_ERRORS = [
    *import_error(
        "a module that does not exist",
        "import no_such_module",
        "No module named 'no_such_module'",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            import no_such_module
        ModuleNotFoundError: No module named 'no_such_module'
        """,
    ),
    *import_error(
        "in a module it imports",
        "import other",
        "No module named 'no_such_module'",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            import other
          File "/var/task/other.py", line 1, in <module>
            import no_such_module
        ModuleNotFoundError: No module named 'no_such_module'
        """,
        {"other.py": "import no_such_module"},
    ),
    *import_error(
        "a name that a module does not have",
        "from json import no_such_name",
        "cannot import name 'no_such_name' from 'json' (...)",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            from json import no_such_name
        ImportError: cannot import name 'no_such_name' from 'json' (...)
        """,
    ),
    *import_error(
        "raised by hand",
        "raise ImportError('by hand')",
        "by hand",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            raise ImportError('by hand')
        ImportError: by hand
        """,
    ),
    *import_error(
        "without a message",
        "raise ImportError",
        "",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 1, in <module>
            raise ImportError
        ImportError
        """,
    ),
    *import_error(
        "with a cause",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ImportError('i') from e",
        "i",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 2, in <module>
            1 / 0
            ~~^~~
        ZeroDivisionError: division by zero

        The above exception was the direct cause of the following exception:

        Traceback (most recent call last):
          File "/var/task/app.py", line 4, in <module>
            raise ImportError('i') from e
        ImportError: i
        """,
    ),
]

CAUSES_NOTES_GROUPS = [
    *traced(
        "a cause",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('v') from e",
        "ValueError: v",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 2, in <module>
            1 / 0
            ~~^~~
        ZeroDivisionError: division by zero

        The above exception was the direct cause of the following exception:

        Traceback (most recent call last):
          File "/var/task/app.py", line 4, in <module>
            raise ValueError('v') from e
        ValueError: v
        """,
    ),
    *traced(
        "a note",
        "e = ValueError('v')\ne.add_note('noted')\nraise e",
        "ValueError: v",
        """
        Traceback (most recent call last):
          File "/var/task/app.py", line 3, in <module>
            raise e
        ValueError: v
        noted
        """,
    ),
    *traced(
        "a group",
        "raise ExceptionGroup('g', [ValueError('a'), KeyError('b')])",
        "ExceptionGroup: g (2 sub-exceptions)",
        """
          + Exception Group Traceback (most recent call last):
          |   File "/var/task/app.py", line 1, in <module>
          |     raise ExceptionGroup('g', [ValueError('a'), KeyError('b')])
          | ExceptionGroup: g (2 sub-exceptions)
          +-+---------------- 1 ----------------
            | ValueError: a
            +---------------- 2 ----------------
            | KeyError: 'b'
            +------------------------------------
        """,
    ),
]

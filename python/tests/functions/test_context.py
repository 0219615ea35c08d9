"""What the context takes from the environment, whatever the function makes of that between invocations."""

import pytest

from conftest import CompareBoth

SHOWN = "[context.function_name, context.memory_limit_in_mb, context.log_group_name]"


@pytest.mark.parametrize(
    "change",
    [
        "os.environ['AWS_LAMBDA_FUNCTION_NAME'] = 'other'",
        "os.environ['AWS_LAMBDA_FUNCTION_NAME'] = 'é'",
        "del os.environ['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']",
        "os.environ.clear()",
        "os.putenv('AWS_LAMBDA_FUNCTION_NAME', 'unseen')",
        "os.environ = {'AWS_LAMBDA_FUNCTION_NAME': 'of a dict'}",
        "os.environ = os._Environ({}, os.fsencode, os.fsdecode, os.fsencode, os.fsdecode)",
        "os.environ = type('Own', (type(os.environ),), {'get': lambda self, name: 'own ' + name})({}, *[os.fsencode] * 4)",
    ],
)
def test_a_variable_that_the_function_changes(both: CompareBoth, change: str) -> None:
    files = {
        "app.py": f"""
            import os
            def handler(event, context):
                if event == 1:
                    {change}
                return {SHOWN}
        """
    }
    both(files, events=[0, 1, 2, 3])


def test_a_variable_that_is_changed_before_os_is_imported(both: CompareBoth) -> None:
    files = {
        "app.py": f"""
            import posix
            def handler(event, context):
                if event == 1:
                    posix.environ[b"AWS_LAMBDA_FUNCTION_NAME"] = b"other"
                if event == 2:
                    import os
                    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "another"
                return {SHOWN} if event > 2 else None
        """
    }
    both(files, events=[0, 1, 2, 3, 4])

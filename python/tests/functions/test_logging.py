"""The root logger's handler: text, JSON, levels, and the descriptor for framed records."""

import json
from datetime import UTC, datetime

import pytest

from conftest import CompareBoth, PlayFunction
from playing import event
from reference import Better

TEXT: dict[str, str | None] = {"AWS_LAMBDA_LOG_FORMAT": None}
JSON: dict[str, str | None] = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
FORMATS = {"text": TEXT, "JSON": JSON}


def handler(*lines: str, top: str = "") -> dict[str, str]:
    body = "".join(f"    {line}\n" for line in lines)
    return {"app.py": f"import logging\nlogger = logging.getLogger('my.logger')\n{top}\ndef handler(event, context):\n{body}"}


SETUP = [
    "[type(h).__name__ for h in logging.getLogger().handlers]",
    "[type(h).__mro__[1].__name__ == 'Handler' or 'Lambda' in type(h).__mro__[1].__name__ for h in logging.getLogger().handlers]",
    "[h.level for h in logging.getLogger().handlers]",
    "[hasattr(h, 'log_sink') for h in logging.getLogger().handlers]",
    "[len(h.filters) for h in logging.getLogger().handlers]",
    "[isinstance(h.formatter, logging.Formatter) for h in logging.getLogger().handlers]",
    "[h.formatter.datefmt for h in logging.getLogger().handlers]",
    "[isinstance(h, logging.Handler) for h in logging.getLogger().handlers]",
    "logging.Formatter.converter.__name__",
    "logging.getLogger().level",
    "logging.getLogger().disabled",
    "logging.basicConfig(level=10) or [len(logging.getLogger().handlers), logging.getLogger().level]",
    "logging.lastResort is not None",
]


@pytest.mark.parametrize("expression", SETUP)
@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("level", [None, "INFO", "bogus", ""])
def test_logging_is_set_up_as_by_the_managed_runtime(
    both: CompareBoth, expression: str, log_format: str, level: str | None
) -> None:
    both(handler(f"return {expression}"), events=[{}], environment={**FORMATS[log_format], "AWS_LAMBDA_LOG_LEVEL": level})


def test_the_text_format_is_known_to_third_party_tools(both: CompareBoth) -> None:
    both(handler("return logging.getLogger().handlers[0].formatter._fmt"), events=[{}])


RECORDS = {
    "an error": "logger.error('message')",
    "every level": "[logger.log(level, 'at %d', level) for level in range(0, 70, 5)]",
    "arguments": "logger.error('%s and %d', 'a', 2)",
    "a dict as arguments": "logger.error('%(a)s', {'a': 1})",
    "no message": "logger.error('')",
    "a message of many lines": "logger.error('a\\n  b\\rc')",
    "text that is no ASCII": "logger.error('é日本😀')",
    "quotes": "logger.error('\"q\" \\\\')",
    "a dict as message": "logger.error({'a': 1, 'é': [None]})",
    "a dict as argument and nothing else": "logger.error('%s', {'a': 1})",
    "a list as message": "logger.error([1, 'a'])",
    "a number as message": "logger.error(5)",
    "an object as message": "logger.error(ValueError('v'))",
    "None as message": "logger.error(None)",
    "a nested dict that json cannot write": "logger.error({'a': {1, }})",
    "the root logger": "logging.error('root')",
    "extra fields": "logger.error('m', extra={'k': 1, 'obj': {'a': [1]}, 'none': None, 'é': 'ü'})",
    "extra fields that json cannot write": "logger.error('m', extra={'when': __import__('datetime').date(2026, 1, 1)})",
    "extra fields with taken names": "logger.error('m', extra={'timestamp': 1, 'level': 2, 'logger': 3, 'requestId': 4, 'location': 5, 'errorType': 6, 'errorMessage': 7, 'stackTrace': 8, 'tenantId': 9})",
    "extra numbers that JSON has no word for": "logger.error('m', extra={'n': float('nan')})",
    "extra keys of a nested dict": "logger.error('m', extra={'d': {1: 2, None: 3}})",
    "a level of its own": "logging.addLevelName(25, 'NOTICE') or logger.log(45, 'm')",
    "a record made by hand": "logger.handle(logging.LogRecord('n', 40, 'p', 1, 'by %s', ('hand',), None))",
    "a disabled logger": "logging.disable(50) or logger.error('m')",
    "stacklevel": "logger.error('m', stacklevel=2)",
    "a child of a logger": "logger.getChild('child').error('m')",
    "a logger that does not propagate": "setattr(logger, 'propagate', False) or logger.warning('m')",
    "a warning captured": "logging.captureWarnings(True) or logging.getLogger('py.warnings').warning('w')",
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("log_format", FORMATS)
def test_a_record_is_written_alike(both: CompareBoth, name: str, log_format: str) -> None:
    files = handler(RECORDS[name], top="logging.getLogger().setLevel(0)")
    both(files, events=[{}], environment=FORMATS[log_format])


WITH_STACK = {
    "logger.exception": "logger.exception('m')",
    "exc_info": "logger.error('m', exc_info=True)",
    "exc_info of another": "logger.error('m', exc_info=ValueError('v'))",
    "exc_info as a tuple": "logger.error('m', exc_info=__import__('sys').exc_info())",
    "stack_info": "logger.error('m', stack_info=True)",
    "with extra": "logger.exception('m', extra={'k': 1})",
}


@pytest.mark.parametrize("name", WITH_STACK)
def test_an_exception_in_a_record_is_written_alike_as_json(both: CompareBoth, name: str) -> None:
    files = handler("try: 1 / 0", f"except ZeroDivisionError: {WITH_STACK[name]}")
    both(files, events=[{}], environment=JSON)


@pytest.mark.parametrize("name", WITH_STACK)
def test_an_exception_in_a_text_record_ends_its_line(both: CompareBoth, name: str) -> None:
    files = handler("try: 1 / 0", f"except ZeroDivisionError: {WITH_STACK[name]}", "logger.error('next')")
    both(
        files,
        events=[{}],
        better=Better(
            "otherwise the next record begins in the middle of a line",
            {"stdout": lambda text: text.endswith("\n[ERROR]\t<time>\trid-1\tnext\n") and "\n\n" not in text},
        ),
    )


def test_an_exception_outside_of_a_handler_does_not_break_the_record(both: CompareBoth) -> None:
    both(
        handler("logger.error('m', exc_info=True)"),
        events=[{}],
        environment=JSON,
        better=Better("the managed runtime fails the invocation", {"rid-1": {"body": "null"}, "stdout": lambda text: '"message": "m"' in text, "calls": lambda calls: "POST rid-1/response" in calls}),
    )  # fmt: skip


def test_a_record_that_cannot_be_formatted_is_told_on_standard_error(both: CompareBoth) -> None:
    pair = both(
        handler("logger.error('x', 'y')", "return 1"),
        events=[{}],
        better=Better(
            "as the standard library's handlers do; the managed runtime fails the invocation",
            {"rid-1": {"body": "1"}, "stdout": "", "calls": lambda calls: "POST rid-1/response" in calls},
        ),
    )
    assert "--- Logging error ---" in pair.whipsnake.stderr


LEVELS = ["DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "NOTSET", "TRACE", "debug", "Info", "trace",
          "bogus", "10", " INFO", ""]  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("log_format", FORMATS)
def test_the_level_is_the_environments_where_python_knows_it(both: CompareBoth, level: str, log_format: str) -> None:
    files = handler("[logger.log(n, 'at %d', n) for n in (5, 10, 20, 30, 40, 50)]", "return logging.getLogger().level")
    both(files, events=[{}], environment={**FORMATS[log_format], "AWS_LAMBDA_LOG_LEVEL": level})


@pytest.mark.parametrize("name", ["json", "Json", " JSON", "Text", "TEXT", "", "bogus"])
def test_the_format_is_json_when_it_is_called_so(both: CompareBoth, name: str) -> None:
    both(handler("logger.error('m')"), events=[{}], environment={"AWS_LAMBDA_LOG_FORMAT": name})


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_record_names_its_invocation_and_tenant(both: CompareBoth, log_format: str) -> None:
    files = handler("logger.error('m')", top="logger.error('at import')")
    events = [event({}, headers={"Lambda-Runtime-Aws-Tenant-Id": tenant}) for tenant in ("t-1", None, "t-2")]
    pair = both(files, events=events, environment=FORMATS[log_format])
    assert pair.whipsnake.stdout.count("rid-") == 3


FORMATTERS = {
    "a format of its own": "logging.getLogger().handlers[0].setFormatter(logging.Formatter('%(aws_request_id)s %(tenant_id)s %(levelname)s %(message)s\\n'))",
    "basicConfig with force": "logging.basicConfig(force=True, format='%(message)s')",
    "handlers cleared": "logging.getLogger().handlers.clear()",
    "a second handler": "logging.getLogger().addHandler(logging.StreamHandler())",
    "a filter that drops": "logging.getLogger().handlers[0].addFilter(lambda record: False)",
    "dictConfig": "__import__('logging.config').config.dictConfig({'version': 1, 'disable_existing_loggers': False, 'root': {'level': 'INFO'}})",
    "a level on the handler": "logging.getLogger().handlers[0].setLevel(50)",
    "setLevel": "logging.getLogger().setLevel('INFO')",
    "a record factory": "logging.setLogRecordFactory(lambda *a, **k: logging.LogRecord(*a, **k))",
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATTERS)
@pytest.mark.parametrize("log_format", FORMATS)
def test_the_function_may_change_the_set_up(both: CompareBoth, name: str, log_format: str) -> None:
    files = handler("logger.error('m')", "logger.info('i')", top=FORMATTERS[name])
    pair = both(files, events=[{}], environment=FORMATS[log_format])
    assert pair.whipsnake.stderr == pair.reference.stderr


def test_a_format_without_a_line_end_gets_one(both: CompareBoth) -> None:
    both(
        handler("logger.error('a')", "logger.error('b')",
                top="logging.getLogger().handlers[0].setFormatter(logging.Formatter('%(message)s'))"),
        events=[{}],
        better=Better("otherwise records run together", {"stdout": "a\nb\n"}),
    )  # fmt: skip


@pytest.mark.parametrize("log_format", FORMATS)
def test_records_inside_asyncio_are_alike(both: CompareBoth, log_format: str) -> None:
    files = handler("import asyncio", "async def work(): logger.error('m')", "asyncio.run(work())")
    both(files, events=[{}], environment=FORMATS[log_format])


@pytest.mark.parametrize("log_format", FORMATS)
def test_records_of_threads_are_alike(both: CompareBoth, log_format: str) -> None:
    files = handler("import threading", "t = threading.Thread(target=logger.error, args=('m',))", "t.start()", "t.join()")
    both(files, events=[{}, {}], environment=FORMATS[log_format])


def test_times_are_utc_and_now(play: PlayFunction) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    files = handler("import os, time", "os.environ['TZ'] = 'Asia/Tokyo'", "time.tzset()", "logger.error('m')", "1 / 0")
    for log_format in FORMATS.values():
        run = play(files, events=[{}], environment=log_format)
        record = run.stdout.split("\n")[0]
        time = record.split("\t")[1] if log_format is TEXT else json.loads(record)["timestamp"]
        assert before <= datetime.fromisoformat(time) <= datetime.now(UTC)
        if log_format is JSON:
            assert before <= datetime.fromisoformat(json.loads(run.stdout.split("\n")[1])["timestamp"]) <= datetime.now(UTC)


FRAMED = {
    "text": TEXT,
    "JSON": JSON,
    "text with a level": {**TEXT, "AWS_LAMBDA_LOG_LEVEL": "DEBUG"},
    "JSON with a level": {**JSON, "AWS_LAMBDA_LOG_LEVEL": "DEBUG"},
    "text with an unknown level": {**TEXT, "AWS_LAMBDA_LOG_LEVEL": "bogus"},
}


@pytest.mark.parametrize("environment", FRAMED.values(), ids=FRAMED)
def test_records_go_to_the_descriptor_in_frames_that_tell_their_level(
    both: CompareBoth, environment: dict[str, str | None]
) -> None:
    files = handler(
        "for level in (5, 10, 11, 20, 25, 30, 40, 50, 60): logger.log(level, 'é at %d', level)",
        "context.log('as it is')",
        "print('printed')",
        "try: 1 / 0",
        "except ZeroDivisionError: logger.exception('exception')",
        "raise ValueError('é\\n  second line')",
        top="logging.getLogger().setLevel(0)\nlogger.error('at import')",
    )
    pair = both(files, events=[{}], environment=environment, pipes=["_LAMBDA_TELEMETRY_LOG_FD"])
    assert pair.whipsnake.stdout == "printed\n"


def test_an_init_error_goes_to_the_descriptor(both: CompareBoth) -> None:
    files = {"app.py": "raise ValueError('v')"}
    for log_format in FORMATS.values():
        pair = both(
            files,
            environment=log_format,
            pipes=["_LAMBDA_TELEMETRY_LOG_FD"],
            free={"_LAMBDA_TELEMETRY_LOG_FD": "the managed runtime adds its warning"},
        )
        assert b"ValueError" in pair.whipsnake.pipes["_LAMBDA_TELEMETRY_LOG_FD"]


def test_the_descriptors_variable_is_gone_and_the_descriptor_is_not_inherited_by_name(both: CompareBoth) -> None:
    files = handler("import os", "return '_LAMBDA_TELEMETRY_LOG_FD' in os.environ",
                    top="import os\nprint('_LAMBDA_TELEMETRY_LOG_FD' in os.environ)")  # fmt: skip
    both(files, events=[{}], pipes=["_LAMBDA_TELEMETRY_LOG_FD"])


@pytest.mark.parametrize("number", ["97", "abc", "-1", ""])
def test_a_descriptor_that_is_none_costs_no_record(play: PlayFunction, number: str) -> None:
    run = play(handler("logger.error('m')"), events=[{}], environment={"_LAMBDA_TELEMETRY_LOG_FD": number})
    assert run.stdout.endswith("\trid-1\tm\n")

"""What the functions of log_records.py log: Python expressions."""

# What is logged, by what is particular about it; and a text that has to be found in both formats.
PLAIN = {
    "messages with arguments": (
        [
            "logger.error('message')",
            "logger.error('%s and %d', 'a', 2)",
            "logger.error('%(a)s', {'a': 1})",
            "logger.error('%s', {'a': 1})",
            "logger.error('')",
        ],
        "a and 2",
    ),
    "a message of many lines": (["logger.error('first\\n  second\\rthird\\n')"], "first"),
    "letters beyond ASCII": (["logger.error('é日本😀')", "logger.error('\\x85\\u2028\\x00\\x7f')"], "é日本😀"),
    "quotes and backslashes": (["logger.error('quoted: \"q\" \\\\')"], "quoted: "),
    "the root logger and children": (
        ["logging.error('root')", "logger.getChild('child').error('of a child')", "logging.getLogger('é').error('é')"],
        "of a child",
    ),
    "a record made by hand": (
        ["logger.handle(logging.LogRecord('n', 40, 'p', 1, 'by %s', ('hand',), None))"],
        "by hand",
    ),
    "captured warnings": (["logging.captureWarnings(True) or warnings.warn('captured')"], "UserWarning: captured"),
    "threads": (
        ["[t := threading.Thread(target=logger.error, args=['of a thread']), t.start(), t.join()]"],
        "of a thread",
    ),
    "inside asyncio": (["asyncio.run(inside_asyncio())"], "inside asyncio"),
}

MESSAGES = {
    "a dict as message": (["logger.error({'a': 1, 'é': [None]})", "logger.error({})", "logger.error({'a': {1, }})"], "é"),
    "other values as messages": (
        [f"logger.error({value})" for value in ("[1, 'a']", "5", "1.5", "ValueError('v')", "None", "b'bytes'")],
        "[1, 'a']",
    ),
}

EXTRAS = {
    "extra fields": (
        [
            "logger.error('with extra', extra={'k': 1, 'obj': {'a': [1]}, 'none': None, 'é': 'ü'})",
            "logger.error('m', extra={'d': {1: 2, None: 3}})",
        ],
        "with extra",
    ),
    "extra fields that JSON cannot write": (
        [
            "logger.error('a date', extra={'when': datetime.date(2026, 1, 1)})",
            "logger.error('m', extra={'n': float('nan'), 'set': {1}, 'type': int})",
        ],
        "a date",
    ),
    "extra fields with taken names": (
        [
            "logger.error('taken', extra={name: 1 for name in ('timestamp', 'level', 'logger', 'requestId', 'location',"
            " 'errorType', 'errorMessage', 'stackTrace', 'tenantId', 'stack', '_frame')})"
        ],
        "taken",
    ),
}

LEVELS = {
    "every five levels": (["[logger.log(level, 'at %d', level) for level in range(0, 70, 5)]", "logger.log(-5, 'm')"], "at 65"),
    "a level with a name of its own": (
        ["logging.addLevelName(25, 'NOTICE') or logger.log(25, 'noticed')", "logger.log(45, 'm')"],
        "noticed",
    ),
}

WITH_STACK = [
    "logger.error('m', exc_info=True)",
    "logger.error('m', exc_info=ValueError('v'))",
    "logger.error('m', exc_info=sys.exc_info())",
    "logger.error('m', stack_info=True)",
    "logger.exception('m', extra={'k': 1})",
    "logger.exception('m', stacklevel=2)",
]

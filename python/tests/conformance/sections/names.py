"""The names of awslambdaric that third-party tools look for and replace."""

import re

from conformance.case import Behaviour, Case, Section
from conformance.sections.replaced_names import CASES as REPLACED
from playing import Files, event, payload
from reference import Better

# How Sentry finds the module whose functions it replaces.
BOOTSTRAP = """
    import sys
    bootstrap = sys.modules["__main__"].awslambdaricmain.bootstrap
"""


def app(source: str, before: str = BOOTSTRAP) -> Files:
    return {"app.py": before + source}


def evaluated(*expressions: str) -> list[object]:
    return [*expressions]


EVALUATE = """
    import awslambdaric, awslambdaric.bootstrap, awslambdaric.lambda_context, awslambdaric.lambda_runtime_client
    import awslambdaric.lambda_runtime_exception, awslambdaric.lambda_runtime_marshaller, snapshot_restore_py
    from awslambdaric import bootstrap
    import decimal, logging

    def handler(event, context):
        try:
            return eval(event)
        except Exception as error:
            return [type(error).__name__, getattr(error, "msg", str(error)), getattr(error, "trace", None)]
"""

WRAPPED_HANDLER = """
    original = bootstrap.handle_event_request

    def handle_event_request(client, request_handler, *args, **kwargs):
        def wrapped(event, context):
            try:
                return {"wrapped": request_handler(event, context)}
            except KeyError:
                return "rescued"
        return original(client, wrapped, *args, **kwargs)

    bootstrap.handle_event_request = handle_event_request

    def handler(event, context):
        if event == "key":
            raise KeyError(event)
        if event == "value":
            raise ValueError(event)
        return event
"""

ARGUMENTS = """
    original = bootstrap.handle_event_request

    def handle_event_request(*args, **kwargs):
        print(len(args), kwargs, [type(argument).__name__ for argument in args[2:10]], args[2:8], args[9], args[11:])
        return original(*args, **kwargs)

    bootstrap.handle_event_request = handle_event_request
    def handler(event, context): return context.invoked_function_arn
"""

METHODS = """
    def say(name, method):
        def wrapped(self, *args, **kwargs):
            print(name, args, kwargs)
            return method(self, *args, **kwargs)
        return wrapped

    Client = bootstrap.LambdaRuntimeClient
    for name in ("post_invocation_result", "post_invocation_error", "post_init_error"):
        setattr(Client, name, say(name, getattr(Client, name)))

    def handler(event, context):
        if event == "error":
            raise ValueError(event)
        return event if event != "bytes" else b"raw"
"""

REPLACED_IN_THE_HANDLER = """
    import __main__

    def replace():
        client = __main__.awslambdaricmain.bootstrap.LambdaRuntimeClient
        if hasattr(client, "is_replaced"):
            return
        client.is_replaced = True
        for name in ("post_invocation_result", "post_invocation_error"):
            def replacement(self, *args, name=name, method=getattr(client, name), **kwargs):
                print(name, args, kwargs)
                return method(self, *args, **kwargs)
            setattr(client, name, replacement)

    def handler(event, context):
        replace()
        if event == "error":
            raise ValueError(event)
        return event
"""

INIT_ERROR = """
    def post_init_error(self, error, error_type_override=None):
        print(error["errorType"], "|", error["errorMessage"], "|", error["stackTrace"][-1:], "|", self is not None)
        return original(self, error, error_type_override)

    original = bootstrap.LambdaRuntimeClient.post_init_error
    bootstrap.LambdaRuntimeClient.post_init_error = post_init_error
"""

CHANGED_ANSWER = """
    original = bootstrap.LambdaRuntimeClient.post_invocation_result

    def post_invocation_result(self, invoke_id, data, content_type="application/json", invocation_id=None):
        return original(self, invoke_id, data.upper(), content_type="text/plain; charset=utf-8", invocation_id=invocation_id)

    bootstrap.LambdaRuntimeClient.post_invocation_result = post_invocation_result
    def handler(event, context): return event
"""

MARSHALLER = """
    import json
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    class Marshaller:
        def unmarshal_request(self, request, content_type="application/json"):
            return [content_type, json.loads(request)]
        def marshal_response(self, response):
            return json.dumps(response, default=str, separators=(",", ":")), "application/vnd.example+json"

    LambdaRuntimeClient.marshaller = Marshaller()

    def handler(event, context):
        import pathlib
        return [event, pathlib.PurePosixPath("/é")]
"""

ENCODER = """
    import datetime, decimal
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    from awslambdaric.lambda_runtime_marshaller import Encoder

    class MyEncoder(Encoder):
        def default(self, obj):
            if isinstance(obj, datetime.date):
                return obj.isoformat()
            if isinstance(obj, set):
                return sorted(obj)
            return super().default(obj)

    LambdaRuntimeClient.marshaller.jsonEncoder = MyEncoder()

    VALUES = [
        [datetime.date(2026, 11, 21), {3, 1, 2}, decimal.Decimal("1.10"), {"é": {datetime.date(2026, 1, 1)}}],
        object,
        {"a": {"b": {frozenset()}}},
        {datetime.date(2026, 11, 21): 1},
    ]
    def handler(event, context): return VALUES[event]
"""

FAULT = """
    from awslambdaric.lambda_runtime_exception import FaultException
    def handler(event, context): raise FaultException("My.Type", "message", event)
"""

SECTION = Section(
    "Names that third-party tools replace",
    [
        Behaviour(
            "N1",
            "`__main__.awslambdaricmain.bootstrap` is `awslambdaric.bootstrap`, and no module is called `bootstrap`.",
            [
                Case(
                    name="what Sentry looks for",
                    files=app(
                        """
    import awslambdaric.bootstrap
    def handler(event, context):
        names = ("handle_event_request", "LambdaRuntimeClient", "_get_handler", "to_json", "run", "handle_http_request")
        return [
            bootstrap is awslambdaric.bootstrap,
            "bootstrap" in sys.modules,
            [name for name in names if hasattr(bootstrap, name)],
        ]
"""
                    ),
                    events=[{}],
                    shows={"rid-1": {"call": "POST rid-1/response"}},
                )
            ],
        ),
        Behaviour(
            "N2",
            "`bootstrap.handle_event_request` may be replaced while the function is imported, and gets the handler to wrap.",
            [
                Case(
                    name="a wrapped handler",
                    files=app(WRAPPED_HANDLER),
                    events=["a", "key", "value", {"b": [1.5]}],
                    shows={"rid-1": {"body": '{"wrapped": "a"}'}, "rid-2": {"body": '"rescued"'}},
                ),
                Case(
                    name="its arguments",
                    files=app(ARGUMENTS),
                    events=[
                        event({"k": 1}),
                        event(
                            "é",
                            headers={
                                "Lambda-Runtime-Client-Context": '{"custom": {"k": "v"}}',
                                "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "i"}',
                                "Lambda-Runtime-Aws-Tenant-Id": "tenant",
                                "Lambda-Runtime-Invocation-Id": "inv-1",
                            },
                        ),
                        payload(b"text", headers={"Content-Type": "text/plain"}),
                    ],
                ),
                Case(
                    name="an invocation that fails before and after the handler",
                    files=app(WRAPPED_HANDLER + "    def handler(event, context): return {1}\n"),
                    events=[
                        payload(b"{"),
                        event({}, headers={"Lambda-Runtime-Client-Context": "{"}),
                        event({}, headers={"Lambda-Runtime-Cognito-Identity": "x"}),
                        {},
                    ],
                    shows={"rid-4": {"call": "POST rid-4/error"}},
                ),
            ],
        ),
        Behaviour(
            "N3",
            "The answering methods of `LambdaRuntimeClient` may be replaced on the class, and run before the answer goes out.",
            [
                Case(
                    name="results, errors, bytes",
                    files=app(METHODS),
                    events=["a", "error", "bytes"],
                    shows={"stdout": lambda text: text.count("post_invocation_result") == 2},
                ),
                Case(
                    name="replaced by the handler itself",
                    files=app(REPLACED_IN_THE_HANDLER, before=""),
                    events=["ok", "ok", "error", b"".hex()],
                    shows={"stdout": lambda text: text.count("post_invocation_result") == 3},
                ),
                Case(
                    name="replaced by a handler that fails",
                    files=app(REPLACED_IN_THE_HANDLER, before=""),
                    events=["error", "ok"],
                    shows={"stdout": lambda text: "post_invocation_error" in text},
                ),
                Case(
                    name="an answer that is changed",
                    files=app(CHANGED_ANSWER),
                    events=["é"],
                    shows={"rid-1": {"body": '"É"', "content-type": "text/plain; charset=utf-8"}},
                ),
                Case(
                    name="a failed init phase",
                    files=app(INIT_ERROR + "    raise ValueError('at import')\n"),
                    shows={"init/error": {"error-type": "ValueError"}},
                ),
                Case(
                    name="a failed import",
                    files=app(INIT_ERROR + "    import no_such_module\n"),
                    shows={"init/error": {"error-type": "Runtime.ImportModuleError"}},
                    free={"stdout": "the log has the traceback, see I3"},
                ),
            ],
        ),
        Behaviour(
            "N4",
            "`LambdaRuntimeClient.marshaller` may be replaced by one with the same two methods.",
            [
                Case(
                    name="both methods",
                    files=app(MARSHALLER, before=""),
                    events=[event({"k": [1]}), payload(b'"x"', headers={"Content-Type": "text/plain"}), payload(b"{")],
                    shows={"rid-1": {"content-type": "application/vnd.example+json"}},
                ),
                Case(
                    name="an encoder with a default of its own",
                    files=app(ENCODER, before=""),
                    events=[0],
                    shows={"rid-1": {"body": '["2026-11-21", [1, 2, 3], 1.10, {"é": ["2026-01-01"]}]'}},
                ),
                Case(
                    name="an encoder that refuses",
                    files=app(ENCODER, before=""),
                    events=[1, 2, 3],
                    shows={"rid-1": {"body": re.compile("Object of type type is not JSON serializable")}},
                    better=Better("the log says where it refused", {"stdout": re.compile("in default")}),
                ),
            ],
        ),
        Behaviour(
            "N5",
            "`FaultException` is reported as it stands.",
            [
                Case(
                    name="with and without a trace",
                    files=app(FAULT, before=""),
                    events=[None, [], ["t1", "  t2"]],
                    shows={"rid-1": {"body": lambda body: '"errorType": "My.Type"' in body}},
                )
            ],
        ),
        Behaviour(
            "N6",
            "The other names do what they do on the managed runtime.",
            [
                Case(
                    name="modules, classes, functions",
                    files=app(EVALUATE, before=""),
                    events=evaluated(
                        "awslambdaric.__version__",
                        "bootstrap._get_handler('app.handler') is handler",
                        "bootstrap._get_handler('app.nope')",
                        "bootstrap._get_handler('nope')",
                        "bootstrap._get_handler('no_such_module.handler')",
                        "bootstrap.to_json({'é': [1.0, None, decimal.Decimal('1.10')], 2: b'x'})",
                        "bootstrap.to_json({1})",
                        "bootstrap.make_error('m', 'T', ['s'], 'rid')",
                        "bootstrap.make_error(None, None, None)",
                        "bootstrap.FaultException is awslambdaric.lambda_runtime_exception.FaultException",
                        "bootstrap.LambdaContext is type(context)",
                        "awslambdaric.lambda_context.LambdaContext is type(context)",
                        "bootstrap.LambdaRuntimeClient is awslambdaric.lambda_runtime_client.LambdaRuntimeClient",
                        "isinstance(logging.getLogger().handlers[0], bootstrap.LambdaLoggerHandler)",
                        "issubclass(bootstrap.LambdaLoggerHandlerWithFrameType, logging.Handler)",
                        "issubclass(bootstrap.JsonFormatter, logging.Formatter)",
                        "awslambdaric.lambda_runtime_marshaller.LambdaMarshaller().unmarshal_request(b'[1]')",
                        "awslambdaric.lambda_runtime_marshaller.LambdaMarshaller().unmarshal_request('[1]')",
                        "awslambdaric.lambda_runtime_marshaller.LambdaMarshaller().unmarshal_request(b'[')",
                        "awslambdaric.lambda_runtime_marshaller.LambdaMarshaller().marshal_response(['é'])",
                        "awslambdaric.lambda_runtime_marshaller.LambdaMarshaller().marshal_response({1})",
                        "awslambdaric.lambda_runtime_marshaller.to_json([1, 2])",
                        "repr(bootstrap.create_lambda_context('{\"custom\": {}}', None, 0, 'rid', 'arn', None).client_context)",
                        "snapshot_restore_py.register_before_snapshot(handler) is handler",
                        "snapshot_restore_py.register_after_restore(handler, 1) is handler",
                        "[len(snapshot_restore_py.get_before_snapshot()), snapshot_restore_py.get_after_restore()[0][1]]",
                    ),
                ),
                Case(
                    name="functions of the modules that nobody has imported yet",
                    files=app(EVALUATE, before=""),
                    events=evaluated(
                        "bootstrap.build_fault_result((ValueError, ValueError('v'), None), None)",
                        "bootstrap.build_fault_result((ValueError, ValueError('v'), None), 'm')",
                        "bootstrap.make_xray_fault('T', 'm', '/w', [('f', 1, 'n', 'c'), ('f', 2, 'o', 'd')])",
                        "bootstrap.extract_traceback(None)",
                        "bootstrap.replace_line_indentation('  a b', ' ', '-')",
                        "bootstrap.parse_json_header('[1]', 'Client Context')",
                        "bootstrap.parse_json_header('[', 'Client Context')",
                        "[bootstrap._AWS_LAMBDA_LOG_FORMAT, bootstrap._AWS_LAMBDA_LOG_LEVEL]",
                        "bootstrap._ERROR_FRAME_TYPE.hex()",
                        "[bootstrap.ERROR_LOG_IDENT, bootstrap.ERROR_LOG_LINE_TERMINATE, bootstrap.INIT_TYPE_SNAP_START]",
                        "[type(bootstrap.create_log_sink()).__name__, sorted(bootstrap.PREVIEW_RUNTIME_ENVS)]",
                        "bootstrap.Unbuffered(__import__('io').StringIO()).write('x')",
                        "__import__('awslambdaric.lambda_literals').lambda_literals.lambda_unhandled_exception_warning_message",
                        "awslambdaric.lambda_literals.get_lambda_preview_runtime_warning_message()",
                        "vars(awslambdaric.lambda_config.LambdaConfigProvider(['', 'h'], {'AWS_LAMBDA_RUNTIME_API': 'x:1'}))",
                        "awslambdaric.lambda_config.LambdaConfigProvider([], {})",
                        "[list(map(int, awslambdaric.lambda_runtime_log_utils.LogFormat)), "
                        "awslambdaric.lambda_runtime_log_utils.LogFormat.from_str('json')]",
                        "awslambdaric.lambda_runtime_log_utils._get_log_level_from_env_var('trace')",
                        "{key: value.hex() for key, value in awslambdaric.lambda_runtime_log_utils._JSON_FRAME_TYPES.items()}",
                        "{key: value.hex() for key, value in bootstrap._TEXT_FRAME_TYPES.items()}",
                        "sorted(awslambdaric.lambda_runtime_log_utils._RESERVED_FIELDS)",
                        "awslambdaric.lambda_runtime_client.LambdaRuntimeClientError('/e', 500, b'b')",
                        "str(awslambdaric.lambda_runtime_client.LambdaRuntimeClientError('/e', 500, b'b'))",
                        "awslambdaric.lambda_runtime_client.InvocationRequest(a=1) == "
                        "awslambdaric.lambda_runtime_client.InvocationRequest(a=1)",
                        "[getattr(awslambdaric.lambda_runtime_client, name) for name in ('ERROR_TYPE_HEADER', "
                        "'DEFAULT_RETRY_MAX_ATTEMPTS', 'DEFAULT_RETRY_INITIAL_DELAY', 'DEFAULT_RETRY_BACKOFF_FACTOR')]",
                        "awslambdaric.lambda_runtime_client._user_agent()",
                        "awslambdaric.lambda_context.make_obj_from_dict(awslambdaric.lambda_context.Client, None)",
                        "str(awslambdaric.lambda_context.make_obj_from_dict("
                        "awslambdaric.lambda_context.Client, {'app_title': 1}))",
                        "[name.__name__ for name in (awslambdaric.lambda_context.os, awslambdaric.lambda_context.logging)]",
                        "__import__('awslambdaric.lambda_multi_concurrent_utils') and "
                        "awslambdaric.lambda_multi_concurrent_utils.WORKER_POOL_INITIALIZING_EVENT",
                        "__import__('awslambdaric.lambda_runtime_hooks_runner') and "
                        "awslambdaric.lambda_runtime_hooks_runner.run_after_restore()",
                    ),
                ),
                Case(
                    name="submodules without an import of their own",
                    files={
                        "app.py": """
                            import awslambdaric
                            def handler(event, context):
                                return [getattr(getattr(awslambdaric, name, None), "__name__", None) for name in event]
                        """
                    },
                    events=[
                        ["__main__", "bootstrap", "lambda_config", "lambda_context", "lambda_runtime_client"],
                        ["lambda_runtime_exception", "lambda_runtime_log_utils", "lambda_runtime_marshaller"],
                        ["lambda_literals", "lambda_multi_concurrent_utils", "lambda_runtime_hooks_runner"],
                    ],
                    shows={"rid-3": {"body": '["awslambdaric.lambda_literals", null, null]'}},
                ),
                Case(
                    name="the arguments of the exceptions that it makes",
                    files={
                        "app.py": """
                            from awslambdaric import bootstrap, lambda_context
                            from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
                            def raised(function, *args):
                                try:
                                    function(*args)
                                except bootstrap.FaultException as error:
                                    return [list(error.args), list(vars(error))]
                            def handler(event, context):
                                return [
                                    *map(lambda name: raised(bootstrap._get_handler, name),
                                         ["nope", "sys.x", "no_such_module.x", "app.nope", "broken.x"]),
                                    raised(LambdaMarshaller().unmarshal_request, "["),
                                    raised(LambdaMarshaller().marshal_response, {1}),
                                    raised(bootstrap.parse_json_header, "[", "Client Context"),
                                    list(bootstrap.FaultException("t", "m").args),
                                ]
                        """,
                        "broken.py": "def x(:",
                    },
                    events=[{}],
                    shows={"rid-1": {"body": lambda body: body.endswith(', ["t", "m"]]')}},
                ),
                *[
                    Case(
                        name=f"the classes of the root logger's handler, {name}",
                        files={
                            "app.py": """
                                import logging
                                def classes(value):
                                    return [f"{cls.__module__}.{cls.__qualname__}" for cls in type(value).__mro__]
                                def handler(event, context):
                                    [handler] = logging.getLogger().handlers
                                    found = [handler, handler.formatter, *handler.filters, handler.log_sink]
                                    from awslambdaric import bootstrap, lambda_runtime_log_utils
                                    known = [*vars(bootstrap).values()]
                                    is_known = [any(type(value) is each for each in known) for value in found]
                                    return [*map(classes, found), is_known]
                            """
                        },
                        environment=environment,
                        script=script,
                        events=[{}],
                        shows={"rid-1": {"body": lambda body: "awslambdaric.bootstrap." in body}},
                    )
                    for name, environment, script in (
                        ("of text", {}, {}),
                        ("of text with levels", {"AWS_LAMBDA_LOG_LEVEL": "INFO"}, {}),
                        ("of JSON", {"AWS_LAMBDA_LOG_FORMAT": "JSON"}, {}),
                        ("in frames", {}, {"pipes": ["_LAMBDA_TELEMETRY_LOG_FD"]}),
                    )
                ],
            ],
        ),
        Behaviour(
            "N7",
            "A name that the managed runtime looks up when it is called is looked up where a function has replaced it.",
            REPLACED,
        ),
    ],
)

"""Names of awslambdaric that the original looks up when it is called, replaced by functions."""

from collections.abc import Mapping, Sequence

from conformance.case import Case
from playing import Files, event
from reference import Expected

RAISES = """
    def handler(event, context):
        if event == "error":
            raise ValueError("secret")
        return event
"""


def replaced(
    name: str,
    source: str,
    events: Sequence[object] = ("ok", "error"),
    shows: Mapping[str, Expected] | None = None,
    handler: str = RAISES,
    **case: object,
) -> Case:
    """A function that replaces something at import, and an invocation that fails."""
    return Case(
        name=name,
        files={"app.py": source + handler},
        events=events,
        shows=shows or {},
        **case,  # type: ignore[arg-type]
    )


REDACTED = {"rid-2": {"body": lambda body: "secret" in body}, "stdout": lambda text: "***" in text and "secret" not in text}

LOG_ERROR = """
    from awslambdaric import bootstrap
    original = bootstrap.log_error
    def log_error(error_result, log_sink):
        print(type(log_sink).__name__, sorted(error_result))
        message = error_result["errorMessage"].replace("secret", "***")
        trace = [line.replace("secret", "***") for line in error_result["stackTrace"]]
        original({**error_result, "errorMessage": message, "stackTrace": trace}, log_sink)
    bootstrap.log_error = log_error
"""

MAKE_ERROR = """
    import awslambdaric.bootstrap
    make = awslambdaric.bootstrap.make_error
    def make_error(*args, **kwargs):
        return {**make(*args, **kwargs), "more": len(args)}
    awslambdaric.bootstrap.make_error = make_error
"""

XRAY = """
    from awslambdaric import bootstrap
    fault, extract = bootstrap.make_xray_fault, bootstrap.extract_traceback
    bootstrap.make_xray_fault = lambda *args: {**fault(*args), "working_directory": "/hidden"}
    bootstrap.extract_traceback = lambda tb: [(file, 1, name, "hidden") for file, line, name, code in extract(tb)]
"""

TO_JSON = """
    import awslambdaric.bootstrap, json
    awslambdaric.bootstrap.to_json = lambda value: json.dumps(value, separators=(",", ":"))
"""

SINK_CLASS = """
    from awslambdaric.bootstrap import StandardLogSink
    import logging
    def log(self, msg, frame_type=None):
        print(msg.replace("secret", "***"), end="")
    def log_error(self, lines):
        self.log("|".join(lines) + "\\n")
    StandardLogSink.log, StandardLogSink.log_error = log, log_error
    logging.error("at import: secret")
"""

SINK_OF_THE_HANDLER = """
    import logging, sys
    sink = logging.getLogger().handlers[0].log_sink
    print(type(sink).__module__, type(sink).__qualname__)
    type(sink).log_error = lambda self, lines: sys.stdout.write("; ".join(lines).replace("secret", "***") + "\\n")
"""

SINK_INSTANCE = """
    import logging
    sink = logging.getLogger().handlers[0].log_sink
    original = sink.log
    def log(msg, frame_type=None):
        original(msg.replace("secret", "***"), frame_type)
    sink.log = log
    logging.error("at import: secret")
"""

FRAMES = {"pipes": ["_LAMBDA_TELEMETRY_LOG_FD"]}

ENCODER_ON_THE_CLASS = """
    import datetime
    from awslambdaric.lambda_runtime_marshaller import Encoder
    original = Encoder.default
    def default(self, obj):
        return obj.isoformat() if isinstance(obj, datetime.date) else original(self, obj)
    Encoder.default = default
    def handler(event, context):
        return [datetime.date(2026, 11, 21), {"a": [datetime.date(2026, 1, 1)]}, object() if event else 1]
"""

MARSHALLER_CLASS = """
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
    original = LambdaMarshaller.marshal_response
    LambdaMarshaller.marshal_response = lambda self, response: original(self, {"wrapped": response})
    def handler(event, context): return event
"""

LATE_NAMES = """
    import awslambdaric.lambda_runtime_marshaller as marshaller
    import awslambdaric.lambda_context
    marshaller.to_json = marshaller.LambdaMarshaller = None
    awslambdaric.lambda_context.LambdaContext = None
"""

REQUEST_ID = """
    import logging
    from awslambdaric import bootstrap
    at_import = [bootstrap._GLOBAL_AWS_REQUEST_ID, bootstrap._GLOBAL_TENANT_ID]
    def handler(event, context):
        told = [bootstrap._GLOBAL_AWS_REQUEST_ID, bootstrap._GLOBAL_TENANT_ID]
        if event:
            bootstrap._GLOBAL_AWS_REQUEST_ID = event
        logging.error("m")
        return [at_import, told, bootstrap._GLOBAL_AWS_REQUEST_ID]
"""

NEXT = """
    import json
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    original = LambdaRuntimeClient.wait_next_invocation
    def wait_next_invocation(self):
        request = original(self)
        print(type(request).__name__, sorted(vars(request)), request.tenant_id, request.content_type, request.event_body)
        request.event_body = json.dumps(["changed", json.loads(request.event_body)]).encode()
        request.x_amzn_trace_id = "Root=changed"
        return request
    LambdaRuntimeClient.wait_next_invocation = wait_next_invocation
    def handler(event, context):
        import os
        return [event, os.environ.get("_X_AMZN_TRACE_ID"), context.aws_request_id]
"""

CONNECTION = """
    import runtime_client
    for name in ("next", "post_invocation_result", "post_error"):
        def replacement(*args, name=name, original=getattr(runtime_client, name)):
            print(name, len(args))
            return original(*args)
        setattr(runtime_client, name, replacement)
    import awslambdaric.bootstrap
"""

TRACE_ID = """
    from awslambdaric import bootstrap
    import os
    bootstrap.update_xray_env_variable = lambda trace_id: print("trace id", trace_id)
    def handler(event, context): return os.environ.get("_X_AMZN_TRACE_ID")
"""

CONTEXT = """
    from awslambdaric import bootstrap, lambda_context
    class Context(bootstrap.LambdaContext):
        def __init__(self, *args):
            super().__init__(*args)
            self.more = len(args)
    bootstrap.LambdaContext = Context
    set_obj_from_dict = lambda_context.set_obj_from_dict
    def replacement(obj, values, fields=None):
        print(type(obj).__name__, values)
        set_obj_from_dict(obj, values, fields)
    lambda_context.set_obj_from_dict = replacement
    bootstrap.parse_json_header = lambda header, name: {"custom": {"header": header, "name": name}}
    def handler(event, context): return [type(context).__name__, context.more, repr(context.client_context)]
"""

FORMATTER: Files = {
    "app.py": """
        import json, logging
        from awslambdaric import lambda_runtime_log_utils
        from awslambdaric.lambda_runtime_log_utils import JsonFormatter
        class Formatter(JsonFormatter):
            def format(self, record):
                return json.dumps({**json.loads(super().format(record)), "timestamp": "", "more": 1}) + "\\n"
        handler_ = logging.getLogger().handlers[0]
        print(type(handler_.formatter) is JsonFormatter)
        handler_.setFormatter(Formatter())
        logging.error("m")
        encode = lambda_runtime_log_utils._encode_json
        lambda_runtime_log_utils._encode_json = lambda record: encode({**record, "message": "***"})
        logging.error("m")
        def handler(event, context): pass
    """
}

GET_HANDLER: Files = {
    "app.py": "def handler(event, context): return event",
    "a.pth": "import replacing\n",
    "replacing.py": """
        from awslambdaric import bootstrap
        original = bootstrap._get_handler
        def _get_handler(name):
            found = original(name)
            return lambda event, context: [name, found(event, context)]
        bootstrap._get_handler = _get_handler
    """,
}

HOOKS: Files = {
    "app.py": """
        from snapshot_restore_py import register_before_snapshot, register_after_restore
        from awslambdaric import bootstrap, lambda_runtime_hooks_runner as runner
        register_before_snapshot(print, "before")
        register_after_restore(print, "after")
        before = runner.run_before_snapshot
        def run_before_snapshot():
            print("replaced")
            before()
        runner.run_before_snapshot = run_before_snapshot
        def handler(event, context): return event
    """
}

ON_INIT_COMPLETE: Files = {
    "app.py": """
        from snapshot_restore_py import register_after_restore
        from awslambdaric import bootstrap
        original = bootstrap.on_init_complete
        def on_init_complete(client, log_sink):
            print(type(log_sink).__name__)
            original(client, log_sink)
            print("done")
        bootstrap.on_init_complete = on_init_complete
        @register_after_restore
        def hook():
            raise ValueError("after")
        def handler(event, context): return event
    """
}

JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
TIMES = {"stdout": "it has the time in it"}
SENT = {
    "Lambda-Runtime-Aws-Tenant-Id": "tenant",
    "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    "Lambda-Runtime-Client-Context": '{"custom": {"k": "v"}}',
}

CASES = [
    replaced("log_error", LOG_ERROR, shows=REDACTED),
    replaced(
        "log_error, in JSON",
        LOG_ERROR,
        shows={"rid-2": {"body": lambda body: "secret" in body}},
        environment=JSON,
        free=TIMES,
    ),
    replaced("make_error", MAKE_ERROR, shows={"rid-2": {"body": lambda body: '"more": 4' in body}}),
    replaced("make_error, for a FaultException", MAKE_ERROR, events=[{"a": 1}], handler="    def handler(*_): return {1}\n"),
    replaced("make_xray_fault and extract_traceback", XRAY),
    replaced("to_json", TO_JSON, shows={"rid-2": {"body": lambda body: body.startswith('{"errorMessage":')}}),
    replaced(
        "a log sink's methods on its class",
        SINK_CLASS,
        shows={"rid-2": {"body": lambda body: "secret" in body}, "stdout": lambda text: "secret" not in text},
    ),
    replaced("log_error of the handler's sink, without awslambdaric's names", SINK_OF_THE_HANDLER, shows=REDACTED),
    replaced("log of the handler's framed sink", SINK_INSTANCE, script=FRAMES, free={"frames": "they have the time in them"}),
    Case(
        name="Encoder.default on the class",
        files={"app.py": ENCODER_ON_THE_CLASS},
        events=[0, 1],
        shows={"rid-1": {"body": '["2026-11-21", {"a": ["2026-01-01"]}, 1]'}},
        free={"stdout": "the log says where it refused"},
    ),
    Case(
        name="LambdaMarshaller.marshal_response on the class",
        files={"app.py": MARSHALLER_CLASS},
        events=["a"],
        shows={"rid-1": {"body": '{"wrapped": "a"}'}},
    ),
    replaced("names that the original has looked up before", LATE_NAMES),
    Case(
        name="the request id of log records",
        files={"app.py": REQUEST_ID},
        events=[event("", headers=SENT), "set", ""],
        shows={"rid-1": {"body": '[[null, null], ["rid-1", "tenant"], "rid-1"]'}, "rid-2": {"body": lambda b: '"set"' in b}},
        free=TIMES,
    ),
    Case(
        name="wait_next_invocation",
        files={"app.py": NEXT},
        events=[event({"a": 1}, headers=SENT), 2],
        shows={"rid-1": {"body": '[["changed", {"a": 1}], "Root=changed", "rid-1"]'}},
    ),
    replaced("the functions of runtime_client", CONNECTION, shows={"stdout": lambda text: "next 0" in text}),
    Case(
        name="update_xray_env_variable",
        files={"app.py": TRACE_ID},
        events=[event({}, headers=SENT), {}],
        shows={"rid-1": {"body": "null"}},
    ),
    Case(
        name="what makes the context",
        files={"app.py": CONTEXT},
        events=[event({}, headers=SENT), {}],
        shows={"rid-1": {"body": lambda body: body.startswith('["Context", 6, ')}},
    ),
    Case(name="a formatter", files=FORMATTER, environment=JSON, events=[{}], free=TIMES),
    Case(
        name="_get_handler",
        files=GET_HANDLER,
        events=[1],
        shows={"rid-1": {"body": '["app.handler", 1]'}},
    ),
    Case(
        name="what a failed init phase is reported with",
        files={"app.py": LOG_ERROR + MAKE_ERROR + "    raise ValueError('secret')\n"},
        shows={"init/error": {"error-type": "ValueError", "body": lambda body: '"more": 3' in body}},
        free={"stdout": "the managed runtime logs a warning first"},
    ),
    Case(
        name="the hooks' runner", files=HOOKS, environment=SNAP_START, events=[1], shows={"stdout": "replaced\nbefore\nafter\n"}
    ),
    Case(
        name="what is done around a snapshot",
        files=ON_INIT_COMPLETE,
        environment=SNAP_START,
        shows={"ending": "exit code 65", "stdout": lambda text: text.startswith("StandardLogSink\n")},
    ),
]

"""A handler that is asked for expressions about its context, and what it is asked."""

import json
import re
from collections.abc import Mapping, Sequence

from conformance.case import Case
from playing import Files, event
from reference import Better

# Evaluates each event with `context` in scope and answers with the result's type and text.
ASKS_THE_CONTEXT: Files = {
    "app.py": """
        import copy, os, pickle, sys
        from datetime import datetime
        def handler(event, context):
            try:
                value = eval(event, globals(), {"context": context, "cc": context.client_context})
            except Exception as error:
                return [type(error).__name__, str(error)]
            return [type(value).__module__, type(value).__name__, repr(value)]
    """
}

type Headers = Mapping[str, str | bytes | None]


def answer(module: str, name: str, text: str) -> str:
    return json.dumps([module, name, text], ensure_ascii=False)


def text(value: str) -> str:
    return answer("builtins", "str", repr(value))


NOTHING = answer("builtins", "NoneType", "None")


def asked(
    name: str,
    expressions: Sequence[str],
    first: str,
    headers: Headers | None = None,
    variables: Mapping[str, str | None] | None = None,
) -> Case:
    """Expressions about the context of an invocation with these headers; `first` is the answer to the first."""
    return Case(
        name=name,
        files=ASKS_THE_CONTEXT,
        events=[event(expression, headers=headers) for expression in expressions],
        environment=variables or {},
        shows={"rid-1": {"call": "POST rid-1/response", "body": first}},
    )


def with_header(name: str, header: str, values: Sequence[str | bytes | None], expression: str, first: str) -> Case:
    """The same expression with different values of a header."""
    return Case(
        name=name,
        files=ASKS_THE_CONTEXT,
        events=[event(expression, headers={header: value}) for value in values],
        shows={"rid-1": {"call": "POST rid-1/response", "body": first}},
    )


def fails(name: str, header: str, values: Sequence[str], error_type: str, message: str) -> Case:
    """Headers that fail the invocation, and what is told of the first; the process goes on."""
    last = f"rid-{len(values) + 1}"
    return Case(
        name=name,
        files=ASKS_THE_CONTEXT,
        events=[*(event("1", headers={header: value}) for value in values), "'next'"],
        shows={
            "rid-1": {"call": "POST rid-1/error", "body": re.compile(f"{re.escape(json.dumps(message)[1:-1])}.*{error_type}")},
            last: {"call": f"POST {last}/response", "body": text("next")},
        },
    )


def survives(name: str, header: str, value: str | bytes, expression: str, because: str, first: str) -> Case:
    """A header of which the managed runtime's process dies, and the answer that there is to the expression."""
    return Case(
        name=name,
        files=ASKS_THE_CONTEXT,
        events=[event(expression, headers={header: value}), "'next'"],
        better=Better(
            because,
            {
                "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"],
                "ending": "signal 9",
                "stderr": "",
                "rid-1": {"call": "POST rid-1/response", "body": first},
                "rid-2": {"body": text("next")},
            },
        ),
    )


ARN = "Lambda-Runtime-Invoked-Function-Arn"
TENANT = "Lambda-Runtime-Aws-Tenant-Id"
DEADLINE = "Lambda-Runtime-Deadline-Ms"
CLIENT = "Lambda-Runtime-Client-Context"
IDENTITY = "Lambda-Runtime-Cognito-Identity"
REMAINING = "context.get_remaining_time_in_millis()"

FULL_CLIENT_CONTEXT = json.dumps(
    {
        "custom": {"k": "v", "n": 1.5, "list": [None]},
        "env": {"e": 1},
        "client": {"installation_id": "i", "app_title": "t", "unknown": 1},
        "unknown": 2,
    }
)
FULL_IDENTITY = '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool", "x": 1}'

FROM_THE_ENVIRONMENT = [
    "context.function_name",
    "context.function_version",
    "context.log_group_name",
    "context.log_stream_name",
    "context.memory_limit_in_mb",
]
VARIABLES = (
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
)

CLIENT_CONTEXTS = [
    "{}", '{"custom": null, "env": null, "client": null}', '{"custom": NaN}', '{"client": {}}', '{"custom": 1, "env": [2]}',
    '{"custom": "é日本😀"}', '{"custom": ' + "[" * 50 + "]" * 50 + "}", '{"custom": 1, "custom": 2}',
    ' {"env": 12345678901234567890} ',
]  # fmt: skip
TRACE_CONTEXTS = [
    '{"w3c": {"traceparent": "00-1", "tracestate": "a=b", "baggage": "c", "other": "d"}}', "{}",
    '{"w3c": {"traceparent": 1, "tracestate": null, "baggage": "b"}}', '{"w3c": ["traceparent"]}', '{"w3c": null}',
    '{"w3c": "text"}',
]  # fmt: skip

OBJECT = [
    "type(context)", "type(context).__module__", "type(context.identity)", "context == context",
    "isinstance(hash(context), int)", "list(vars(context))",
    "sorted(name for name in dir(context) if not name.startswith('_'))", "context.no_such_attribute",
    "setattr(context, 'iopipe', 1) or context.iopipe",
    "setattr(context, 'aws_request_id', 'other') or context.aws_request_id",
    "__import__('awslambdaric.lambda_context').lambda_context.LambdaContext is type(context)",
    "copy.copy(context).aws_request_id", "copy.deepcopy(context).identity.cognito_identity_id",
    "context.get_remaining_time_in_millis.__func__.__qualname__", "context.iopipe",
    "delattr(context, 'tenant_id') or hasattr(context, 'tenant_id')", "len(pickle.dumps(context)) > 0",
]  # fmt: skip
IDENTITY_OBJECT = [
    "context.identity", "context.identity.cognito_identity_id", "context.identity.cognito_identity_pool_id",
    "context.identity.__slots__", "hasattr(context.identity, '__dict__')", "context.identity.no_such_attribute",
    "setattr(context.identity, 'no_such_attribute', 1)",
]  # fmt: skip
CLIENT_OBJECT = [
    "cc.custom", "cc.env", "cc.client", "cc.client.installation_id", "cc.client.app_title", "cc.client.app_version_code",
    "cc.unknown", "[cc.__slots__, cc.client.__slots__]", "setattr(cc, 'x', 1)", "setattr(cc.client, 'x', 1)",
    "hasattr(cc, '__dict__')", "type(cc)", "type(cc.client)",
]  # fmt: skip


def context_text(**changed: str) -> str:
    fields = {
        "aws_request_id": "rid-1",
        "log_group_name": "/aws/lambda/f",
        "log_stream_name": "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef",
        "function_name": "f",
        "memory_limit_in_mb": "128",
        "function_version": "$LATEST",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:012345678912:function:f",
        "client_context": "None",
        "identity": "CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None])",
        "tenant_id": "None",
    } | changed
    written = ",".join(f"{name}={value}" for name, value in fields.items())
    return answer("awslambdaric.lambda_context", "LambdaContext", f"LambdaContext([{written}])")


KEEPS_CONTEXTS: Files = {
    "app.py": """
        contexts = []
        def handler(event, context):
            contexts.append(context)
            return [c.aws_request_id for c in contexts] + [c.tenant_id for c in contexts]
    """
}

LOGS: Files = {
    "app.py": """
        import logging, sys
        def handler(event, context):
            context.log("a")
            context.log("b\\n")
            context.log({"é": 1})
            logging.getLogger().handlers.clear()
            context.log("c\\n")
    """
}

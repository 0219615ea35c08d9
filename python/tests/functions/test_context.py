"""The context object, from the headers of /next and the environment."""

import json

import pytest

from conftest import CompareBoth, PlayFunction
from playing import Step, event
from reference import Better

# Evaluates each event with `context` in scope and answers with the result's type and text.
APP = """
    import os, sys
    from datetime import datetime
    def handler(event, context):
        try:
            value = eval(event, globals(), {"context": context, "cc": context.client_context})
        except Exception as error:
            return [type(error).__name__, str(error)]
        return [type(value).__module__, type(value).__name__, repr(value)]
"""

CLIENT_CONTEXT = json.dumps(
    {
        "custom": {"k": "v", "n": 1.5, "list": [None]},
        "env": {"e": 1},
        "client": {"installation_id": "i", "app_title": "t", "unknown": 1},
        "unknown": 2,
    }
)

EXPRESSIONS = [
    "context.aws_request_id",
    "context.function_name",
    "context.function_version",
    "context.memory_limit_in_mb",
    "context.log_group_name",
    "context.log_stream_name",
    "context.invoked_function_arn",
    "context.tenant_id",
    "context.client_context",
    "context.identity",
    "context.identity.cognito_identity_id",
    "context.identity.cognito_identity_pool_id",
    "context.identity.__slots__",
    "hasattr(context.identity, '__dict__')",
    "context.w3c()",
    "context.w3c() is context.w3c()",
    "0 < context.get_remaining_time_in_millis() <= 30000",
    "type(context.get_remaining_time_in_millis())",
    "type(context)",
    "type(context.identity)",
    "type(context).__module__",
    "list(vars(context))",
    "setattr(context, 'iopipe', 1) or context.iopipe",
    "setattr(context, 'aws_request_id', 'other') or context.aws_request_id",
    "context.no_such_attribute",
    "context.identity.no_such_attribute",
    "setattr(context.identity, 'no_such_attribute', 1)",
    "context.log('logged')",
    "context.log(5)",
    "context.log()",
    "context == context",
    "isinstance(hash(context), int)",
    "sorted(name for name in dir(context) if not name.startswith('_'))",
    "__import__('awslambdaric.lambda_context').lambda_context.LambdaContext is type(context)",
    "__import__('copy').copy(context).aws_request_id",
    "context.get_remaining_time_in_millis.__func__.__qualname__",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_context_of_a_plain_invocation_is_the_managed_runtimes(both: CompareBoth, expression: str) -> None:
    both({"app.py": APP}, events=[expression])


def test_its_text_names_every_field(both: CompareBoth) -> None:
    headers = {
        "Lambda-Runtime-Client-Context": CLIENT_CONTEXT,
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool", "x": 1}',
        "Lambda-Runtime-Aws-Tenant-Id": "tenant",
    }
    pair = both({"app.py": APP}, events=["context", event("context", headers=headers), event("str(cc)", headers=headers)])
    assert "client_context=ClientContext([custom={'k': 'v'" in pair.whipsnake.responses[1][2]


VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "context.function_name",
    "AWS_LAMBDA_FUNCTION_VERSION": "context.function_version",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "context.memory_limit_in_mb",
    "AWS_LAMBDA_LOG_GROUP_NAME": "context.log_group_name",
    "AWS_LAMBDA_LOG_STREAM_NAME": "context.log_stream_name",
}


@pytest.mark.parametrize("value", [None, "", "é"])
def test_what_comes_from_the_environment_is_none_when_unset(both: CompareBoth, value: str | None) -> None:
    both({"app.py": APP}, events=[*VARIABLES.values()], environment=dict.fromkeys(VARIABLES, value))


def test_the_environment_is_read_again_at_each_invocation(both: CompareBoth) -> None:
    pair = both(
        {"app.py": APP},
        events=["os.environ.update(AWS_LAMBDA_FUNCTION_NAME='renamed')", "context.function_name"],
    )
    assert pair.whipsnake.responses[1][2] == "'renamed'"


HEADERS: dict[str, tuple[str, dict[str, str | bytes | None]]] = {
    "an ARN": ("context.invoked_function_arn", {"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:r:1:function:f:alias"}),
    "no ARN": ("context.invoked_function_arn", {"Lambda-Runtime-Invoked-Function-Arn": None}),
    "an empty ARN": ("context.invoked_function_arn", {"Lambda-Runtime-Invoked-Function-Arn": ""}),
    "a tenant": ("context.tenant_id", {"Lambda-Runtime-Aws-Tenant-Id": "tenant-1"}),
    "an empty tenant": ("context.tenant_id", {"Lambda-Runtime-Aws-Tenant-Id": ""}),
    "a request id with blanks around": ("context.aws_request_id", {"Lambda-Runtime-Aws-Request-Id": "  id  "}),
    "a request id with odd characters": ("context.aws_request_id", {"Lambda-Runtime-Aws-Request-Id": "a.b-c_d~e"}),
    "a name in lower case": ("context.tenant_id", {"lambda-runtime-aws-tenant-id": "lower"}),
    "non-ASCII text": ("context.tenant_id", {"Lambda-Runtime-Aws-Tenant-Id": "é日本"}),
    "a deadline that has passed": ("context.get_remaining_time_in_millis()", {"Lambda-Runtime-Deadline-Ms": "1000"}),
    "a negative deadline": ("context.get_remaining_time_in_millis()", {"Lambda-Runtime-Deadline-Ms": "-5"}),
    "a client context": ("cc", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its custom values": ("cc.custom", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its client": ("cc.client", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its client's field": ("cc.client.app_title", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its client's other field": ("cc.client.app_version_code", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its unknown key": ("cc.unknown", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "its slots": ("[cc.__slots__, cc.client.__slots__]", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "a new attribute on it": ("setattr(cc, 'x', 1)", {"Lambda-Runtime-Client-Context": CLIENT_CONTEXT}),
    "an empty client context": ("cc", {"Lambda-Runtime-Client-Context": ""}),
    "a client context that is null": ("cc", {"Lambda-Runtime-Client-Context": "null"}),
    "a client context without fields": ("cc", {"Lambda-Runtime-Client-Context": "{}"}),
    "a client context with nulls": ("cc", {"Lambda-Runtime-Client-Context": '{"custom": null, "env": null, "client": null}'}),
    "a client context with NaN": ("cc", {"Lambda-Runtime-Client-Context": '{"custom": NaN}'}),
    "a client context with an empty client": ("cc", {"Lambda-Runtime-Client-Context": '{"client": {}}'}),
    "a client context of any values": ("cc", {"Lambda-Runtime-Client-Context": '{"custom": 1, "env": [2]}'}),
    "non-ASCII in the client context": ("cc", {"Lambda-Runtime-Client-Context": '{"custom": "é日本😀"}'}),
    "escapes in the client context": ("ascii(cc)", {"Lambda-Runtime-Client-Context": r'{"custom": "\u00e9\ud800"}'}),
    "an identity": ("context.identity", {"Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}'}),
    "an identity without a pool": ("context.identity", {"Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "id"}'}),
    "an empty identity": ("context.identity", {"Lambda-Runtime-Cognito-Identity": ""}),
    "an identity that is null": ("context.identity", {"Lambda-Runtime-Cognito-Identity": "null"}),
    "an identity without fields": ("context.identity", {"Lambda-Runtime-Cognito-Identity": "{}"}),
    "a trace context": ("context.w3c()", {"Lambda-Runtime-Client-Context": '{"w3c": {"traceparent": "00-1", "tracestate": "a=b", "baggage": "c", "other": "d"}}'}),
    "a trace context is taken out": ("cc", {"Lambda-Runtime-Client-Context": '{"w3c": {"traceparent": "00-1"}, "custom": {"w3c": 1}}'}),
    "a trace context of wrong types": ("context.w3c()", {"Lambda-Runtime-Client-Context": '{"w3c": {"traceparent": 1, "tracestate": null, "baggage": "b"}}'}),
    "a trace context that is a list": ("context.w3c()", {"Lambda-Runtime-Client-Context": '{"w3c": ["traceparent"]}'}),
    "a bad client context": ("1", {"Lambda-Runtime-Client-Context": "{bad"}),
    "a client context with something after": ("1", {"Lambda-Runtime-Client-Context": "{} x"}),
    "a bad identity": ("1", {"Lambda-Runtime-Cognito-Identity": "bad"}),
    "both bad": ("1", {"Lambda-Runtime-Cognito-Identity": "bad", "Lambda-Runtime-Client-Context": "bad"}),
    "a client context that is a list": ("1", {"Lambda-Runtime-Client-Context": "[1]"}),
    "a client context that is a text": ("1", {"Lambda-Runtime-Client-Context": '"text"'}),
    "a client that is a text": ("1", {"Lambda-Runtime-Client-Context": '{"client": "text"}'}),
    "an identity that is a list": ("1", {"Lambda-Runtime-Cognito-Identity": "[1]"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_become_the_same_context_and_the_process_goes_on(both: CompareBoth, name: str) -> None:
    expression, headers = HEADERS[name]
    pair = both({"app.py": APP}, events=[event(expression, headers=headers), "'next'"])
    assert pair.whipsnake.responses[-1] == ["builtins", "str", "'next'"]


ODD_DEADLINES: list[str | None] = ["0", "soon", "", None, "123abc", "99999999999999999999999", "1.5"]


@pytest.mark.parametrize("deadline", ODD_DEADLINES)
def test_a_missing_or_odd_deadline_costs_nothing_but_the_remaining_time(play: PlayFunction, deadline: str | None) -> None:
    """The managed runtime's client aborts on some of them."""
    events: list[Step | str] = [
        event("context.get_remaining_time_in_millis()", headers={"Lambda-Runtime-Deadline-Ms": deadline}),
        "'next'",
    ]
    run = play({"app.py": APP}, events=events)
    assert [response[:2] for response in run.responses] == [["builtins", "int"], ["builtins", "str"]]
    assert deadline == "99999999999999999999999" or run.responses[0][2] == "0"


def test_a_header_that_is_not_utf_8_does_not_end_the_process(both: CompareBoth) -> None:
    both(
        {"app.py": APP},
        events=[event("type(context.tenant_id)", headers={"Lambda-Runtime-Aws-Tenant-Id": b"a\xff"}), "'next'"],
        better=Better(
            "the managed runtime dies of it",
            {
                "calls": ["GET next", "POST rid-1/response", "GET next", "POST rid-2/response", "GET next"],
                "ending": "signal 9",
                "rid-1": {"call": "POST rid-1/response"},
                "rid-2": {"body": '["builtins", "str", "\'next\'"]'},
            },
        ),
    )


def test_of_two_headers_of_a_name_the_first_counts(both: CompareBoth) -> None:
    headers = [
        ["Content-Type", "application/json"],
        ["Lambda-Runtime-Aws-Request-Id", "first"],
        ["Lambda-Runtime-Aws-Request-Id", "second"],
        ["Lambda-Runtime-Deadline-Ms", "1"],
        ["Lambda-Runtime-Aws-Tenant-Id", "tenant-1"],
        ["Lambda-Runtime-Aws-Tenant-Id", "tenant-2"],
    ]
    pair = both({"app.py": APP}, events=[Step(body='"context"', headers=headers)])
    assert pair.whipsnake.calls[1] == "POST first/response"


def test_each_invocation_has_a_context_of_its_own(both: CompareBoth) -> None:
    files = {
        "app.py": """
            contexts = []
            def handler(event, context):
                contexts.append(context)
                return [c.aws_request_id for c in contexts] + [c.tenant_id for c in contexts]
        """
    }
    both(files, events=[event(1, headers={"Lambda-Runtime-Aws-Tenant-Id": "t"}), 2])


@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_log_writes_its_argument_as_it_is(both: CompareBoth, log_format: str) -> None:
    files = {
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
    pair = both(files, events=[{}], environment={"AWS_LAMBDA_LOG_FORMAT": log_format})
    assert pair.whipsnake.stdout == "ab\n{'é': 1}c\n"


def test_log_works_where_logging_was_never_imported(play: PlayFunction) -> None:
    files = {"app.py": "def handler(event, context): context.log('a\\n')"}
    assert play(files, events=[{}]).stdout == "a\n"

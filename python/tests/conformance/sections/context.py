"""The context object, from the headers of /next and the environment."""

import re

from conformance.case import Behaviour, Case, Section
from conformance.sections.contexts import (
    ARN,
    ASKS_THE_CONTEXT,
    CLIENT,
    CLIENT_CONTEXTS,
    CLIENT_OBJECT,
    DEADLINE,
    FROM_THE_ENVIRONMENT,
    FULL_CLIENT_CONTEXT,
    FULL_IDENTITY,
    IDENTITY,
    IDENTITY_OBJECT,
    KEEPS_CONTEXTS,
    LOGS,
    NOTHING,
    OBJECT,
    REMAINING,
    TENANT,
    TRACE_CONTEXTS,
    VARIABLES,
    answer,
    asked,
    context_text,
    fails,
    survives,
    text,
    with_header,
)
from playing import Step, event

LOGS_WITHOUT_LOGGING = Case(
    name="where logging is not imported",
    files={"app.py": "def handler(event, context): context.log('a\\n')"},
    events=[{}],
    shows={"stdout": "a\n"},
)


def logs(log_format: str) -> Case:
    return Case(
        name=f"log format {log_format}",
        files=LOGS,
        events=[{}],
        environment={"AWS_LAMBDA_LOG_FORMAT": log_format},
        shows={"stdout": "ab\n{'é': 1}c\n"},
    )


TWICE = Step(
    body='"context"',
    headers=[
        ["Content-Type", "application/json"],
        ["Lambda-Runtime-Aws-Request-Id", "first"],
        ["Lambda-Runtime-Aws-Request-Id", "second"],
        [DEADLINE, "1"],
        [TENANT, "tenant-1"],
        [TENANT, "tenant-2"],
    ],
)

DIES = "the managed runtime's process dies of it"

SECTION = Section(
    "The context object",
    [
        Behaviour(
            "C1",
            "`aws_request_id` is the invocation's id, as in the URL of the answer.",
            [
                asked("the id", ["context.aws_request_id", "type(context.aws_request_id)"], text("rid-1")),
                Case(
                    name="spaces around it, and odd characters",
                    files=ASKS_THE_CONTEXT,
                    events=[
                        event("context.aws_request_id", headers={"Lambda-Runtime-Aws-Request-Id": request_id})
                        for request_id in ("  id  ", "a.b-c_d~e")
                    ],
                    shows={"id": {"body": text("id")}, "a.b-c_d~e": {"body": text("a.b-c_d~e")}},
                ),
            ],
        ),
        Behaviour(
            "C2",
            "Names of the function, its version and its log are Lambda's variables, read anew at each invocation.",
            [
                asked("Lambda's variables", FROM_THE_ENVIRONMENT, text("f")),
                asked("not set", FROM_THE_ENVIRONMENT, NOTHING, variables=dict.fromkeys(VARIABLES)),
                asked("empty", FROM_THE_ENVIRONMENT, text(""), variables=dict.fromkeys(VARIABLES, "")),
                asked("beyond ASCII", FROM_THE_ENVIRONMENT, text("é"), variables=dict.fromkeys(VARIABLES, "é")),
                Case(
                    name="renamed by the function",
                    files=ASKS_THE_CONTEXT,
                    events=["os.environ.update(AWS_LAMBDA_FUNCTION_NAME='renamed')", "context.function_name"],
                    shows={"rid-2": {"body": text("renamed")}},
                ),
            ],
        ),
        Behaviour(
            "C3",
            "`memory_limit_in_mb` is a text.",
            [asked("memory", ["context.memory_limit_in_mb", "type(context.memory_limit_in_mb)"], text("128"))],
        ),
        Behaviour(
            "C4",
            "`invoked_function_arn` is empty when Lambda gives none.",
            [
                with_header(
                    "no ARN, an empty one, an alias's",
                    ARN,
                    [None, "", "arn:aws:lambda:r:1:function:f:alias"],
                    "context.invoked_function_arn",
                    text(""),
                )
            ],
        ),
        Behaviour(
            "C5",
            "`tenant_id` is `None` when Lambda gives none.",
            [with_header("no tenant, an empty one, one", TENANT, [None, "", "tenant-1"], "context.tenant_id", NOTHING)],
        ),
        Behaviour(
            "C6",
            "`client_context` has the parts that mobile SDKs send, or is `None`.",
            [
                with_header("none", CLIENT, [None, "", "null"], "cc", NOTHING),
                asked(
                    "its parts",
                    CLIENT_OBJECT,
                    answer("builtins", "dict", "{'k': 'v', 'n': 1.5, 'list': [None]}"),
                    {CLIENT: FULL_CLIENT_CONTEXT},
                ),
                with_header(
                    "some parts",
                    CLIENT,
                    CLIENT_CONTEXTS,
                    "cc",
                    answer("awslambdaric.lambda_context", "ClientContext", "ClientContext([custom=None,env=None,client=None])"),
                ),
                with_header("escapes", CLIENT, [r'{"custom": "\u00e9\ud800"}'], "ascii(cc.custom)", text(r"'\xe9\ud800'")),
            ],
        ),
        Behaviour(
            "C7",
            "`identity` is always there; its ids are `None` when Lambda gives none.",
            [
                asked(
                    "no identity",
                    IDENTITY_OBJECT,
                    answer(
                        "awslambdaric.lambda_context",
                        "CognitoIdentity",
                        "CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None])",
                    ),
                ),
                with_header(
                    "an identity, or parts of one",
                    IDENTITY,
                    [FULL_IDENTITY, '{"cognitoIdentityId": "id"}', "", "null", "{}"],
                    "context.identity.cognito_identity_id",
                    text("id"),
                ),
            ],
        ),
        Behaviour(
            "C8",
            "`get_remaining_time_in_millis()` counts down to the deadline and stays at 0 after it.",
            [
                asked(
                    "30 seconds",
                    ["0 < context.get_remaining_time_in_millis() <= 30000", "type(context.get_remaining_time_in_millis())"],
                    answer("builtins", "bool", "True"),
                ),
                with_header(
                    "passed, negative or no deadline", DEADLINE, ["1000", "-5", None], REMAINING, answer("builtins", "int", "0")
                ),
            ],
        ),
        Behaviour(
            "C9",
            "`log()` writes its argument as it is, without a line end.",
            [logs("Text"), logs("JSON"), LOGS_WITHOUT_LOGGING],
        ),
        Behaviour(
            "C10",
            "`w3c()` is the trace context of the client context, which does not show it.",
            [
                with_header(
                    "trace contexts",
                    CLIENT,
                    TRACE_CONTEXTS,
                    "context.w3c()",
                    answer("builtins", "dict", "{'traceparent': '00-1', 'tracestate': 'a=b', 'baggage': 'c'}"),
                ),
                with_header(
                    "taken out of the client context",
                    CLIENT,
                    ['{"w3c": {"traceparent": "00-1"}, "custom": {"w3c": 1}}'],
                    "cc",
                    answer(
                        "awslambdaric.lambda_context",
                        "ClientContext",
                        "ClientContext([custom={'w3c': 1},env=None,client=None])",
                    ),
                ),
                asked("none", ["context.w3c()", "context.w3c() is context.w3c()"], answer("builtins", "dict", "{}")),
            ],
        ),
        Behaviour(
            "C11",
            "The context's text names every field.",
            [
                asked("without extras", ["context", "context"], context_text()),
                asked(
                    "with everything",
                    ["context", "str(cc)"],
                    context_text(
                        client_context="ClientContext([custom={'k': 'v', 'n': 1.5, 'list': [None]},env={'e': 1},"
                        "client=Client([installation_id=i,app_title=t,app_version_name=None,app_version_code=None,"
                        "app_package_name=None])])",
                        identity="CognitoIdentity([cognito_identity_id=id,cognito_identity_pool_id=pool])",
                        tenant_id="tenant",
                    ),
                    {CLIENT: FULL_CLIENT_CONTEXT, IDENTITY: FULL_IDENTITY, TENANT: "tenant"},
                ),
            ],
        ),
        Behaviour(
            "C12",
            "A client context that is no JSON fails the invocation: `Runtime.LambdaContextUnmarshalError`.",
            [
                fails(
                    "no JSON",
                    CLIENT,
                    ["{bad", "{} x", "[1,]", "'text'", '{"custom": "a\tb"}', "\ufeff{}"],
                    "Runtime.LambdaContextUnmarshalError",
                    "Unable to parse Client Context JSON: Expecting property name enclosed in double quotes: line 1 column 2",
                )
            ],
        ),
        Behaviour(
            "C13",
            "An identity that is no JSON does as well.",
            [
                fails(
                    "no JSON",
                    IDENTITY,
                    ["bad", "{bad", "{} x"],
                    "Runtime.LambdaContextUnmarshalError",
                    "Unable to parse Cognito Identity JSON: Expecting value: line 1 column 1 (char 0)",
                ),
                Case(
                    name="both are none",
                    files=ASKS_THE_CONTEXT,
                    events=[event("1", headers={IDENTITY: "bad", CLIENT: "bad"}), "'next'"],
                    shows={
                        "rid-1": {"body": re.compile("Unable to parse Client Context JSON")},
                        "rid-2": {"body": text("next")},
                    },
                ),
            ],
        ),
        Behaviour(
            "C14",
            "A client context or an identity that is no object fails the invocation with an `AttributeError`.",
            [
                fails(
                    "a client context",
                    CLIENT,
                    ["[1]", '"text"', "1", "true", '{"client": "text"}', '{"client": [1]}'],
                    "AttributeError",
                    "'list' object has no attribute 'get'",
                ),
                fails(
                    "an identity", IDENTITY, ["[1]", '"text"', "1"], "AttributeError", "'list' object has no attribute 'get'"
                ),
            ],
        ),
        Behaviour(
            "C15",
            "A header that is not UTF-8 does not end the process.",
            [
                survives("a tenant", TENANT, b"a\xff", "ascii(context.tenant_id)", DIES, text(r"'a\ufffd'")),
                survives("an ARN", ARN, b"a\xff", "ascii(context.invoked_function_arn)", DIES, text(r"'a\ufffd'")),
                survives("a client context", CLIENT, b'{"custom": "\xff"}', "ascii(cc.custom)", DIES, text(r"'\ufffd'")),
            ],
        ),
        Behaviour(
            "C16",
            "Headers are UTF-8.",
            [
                with_header("a tenant", TENANT, ["é日本"], "context.tenant_id", text("é日本")),
                with_header(
                    "an identity",
                    IDENTITY,
                    ['{"cognitoIdentityId": "é日本😀"}'],
                    "context.identity.cognito_identity_id",
                    text("é日本😀"),
                ),
            ],
        ),
        Behaviour(
            "C17",
            "An odd deadline costs nothing but the remaining time.",
            [
                with_header(
                    "numbers with something after",
                    DEADLINE,
                    ["123abc", "1.5", "1e15", " 5 ", "+5"],
                    REMAINING,
                    answer("builtins", "int", "0"),
                ),
                *(
                    survives(name, DEADLINE, value, REMAINING, DIES, answer("builtins", "int", "0"))
                    for name, value in {"zero": "0", "a word": "soon", "an empty one": "", "a huge number": "9" * 23}.items()
                ),
            ],
        ),
        Behaviour(
            "C18",
            "Of two headers of a name the first counts; names of headers are in any case.",
            [
                Case(
                    name="headers that come twice",
                    files=ASKS_THE_CONTEXT,
                    events=[TWICE],
                    shows={"first": {"call": "POST first/response", "body": re.compile("tenant_id=tenant-1")}},
                ),
                with_header("lower and upper case", TENANT.lower(), ["lower"], "context.tenant_id", text("lower")),
            ],
        ),
        Behaviour(
            "C19",
            "Each invocation has a context of its own, which takes new attributes; its class can be imported.",
            [
                asked("the object", OBJECT, answer("builtins", "type", "<class 'awslambdaric.lambda_context.LambdaContext'>")),
                Case(
                    name="two contexts",
                    files=KEEPS_CONTEXTS,
                    events=[event(1, headers={TENANT: "t"}), 2],
                    shows={"rid-2": {"body": '["rid-1", "rid-2", "t", null]'}},
                ),
                asked("arguments of log()", ["context.log('logged')", "context.log(5)", "context.log()"], NOTHING),
            ],
        ),
    ],
)

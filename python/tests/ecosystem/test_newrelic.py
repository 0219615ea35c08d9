"""New Relic's agent in serverless mode, its handler in the place of the function's: one line of the log an invocation, which
the account's log ingestion reads."""

import base64
import gzip
import json
from typing import Any

from conftest import PlayFunction
from ecosystem.log_lines import texts
from playing import Run, event, lines

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:f"
ARN_HEADER = {"Lambda-Runtime-Invoked-Function-Arn": ARN}
ENVIRONMENT = {
    "NEW_RELIC_LAMBDA_HANDLER": "app.handler",
    "NEW_RELIC_SERVERLESS_MODE_ENABLED": "true",
    "NEW_RELIC_ACCOUNT_ID": "12345",
    "NEW_RELIC_TRUSTED_ACCOUNT_KEY": "12345",
}

FILES = {
    # What the layer's module of this name comes to, with the attribute that it sets on the context.
    "newrelic_lambda_wrapper.py": """
        import os
        from importlib import import_module
        import newrelic.agent

        newrelic.agent.initialize()
        from newrelic_lambda.lambda_handler import lambda_handler

        module, _, name = os.environ["NEW_RELIC_LAMBDA_HANDLER"].rpartition(".")
        wrapped = getattr(import_module(module), name)

        @lambda_handler()
        def handler(event, context):
            context.iopipe = "no longer supported"
            return wrapped(event, context)
    """,
    "app.py": """
        import logging
        import newrelic.agent

        def handler(event, context):
            newrelic.agent.add_custom_attribute("order", 7)
            newrelic.agent.record_custom_event("Coffee", {"kind": "latte"})
            logging.getLogger("shop").warning("made")
            if event == "fail":
                raise ValueError("as asked")
            return {"statusCode": 201, "iopipe": context.iopipe}
    """,
}


def payloads(run: Run) -> list[dict[str, Any]]:
    found = []
    for line in lines(run.stdout):
        if line.startswith('[1,"NR_LAMBDA_MONITORING",'):
            _, _, packed = json.loads(line)
            found.append(json.loads(gzip.decompress(base64.b64decode(packed))))
    return found


def test_each_invocation_writes_its_payload(play_tool: PlayFunction, python_version: str) -> None:
    request = {"httpMethod": "POST", "path": "/orders", "headers": {"host": "example.com"}}
    steps = [event(value, headers=ARN_HEADER) for value in (request, "fail")]
    run = play_tool(FILES, handler="newrelic_lambda_wrapper.handler", events=steps, environment=ENVIRONMENT)
    assert run.responses == [{"statusCode": 201, "iopipe": "no longer supported"}]
    assert run.errors[0]["errorType"] == "ValueError"
    first, second = payloads(run)
    metadata = first["metadata"]
    assert (metadata["arn"], metadata["function_version"]) == (ARN, "$LATEST")
    assert metadata["execution_environment"] == f"AWS_Lambda_python{python_version}"
    assert metadata["agent_version"].startswith("14.1.0")
    (transaction, custom, agent) = first["data"]["analytic_event_data"][2][0]
    assert transaction["name"] == "WebTransaction/Function/f"
    assert custom == {"order": 7}
    assert (agent["aws.requestId"], agent["aws.lambda.coldStart"]) == ("rid-1", True)
    assert (agent["request.method"], agent["request.uri"], agent["http.statusCode"]) == ("POST", "/orders", 201)
    ((kind, kinds),) = first["data"]["custom_event_data"][2]
    assert (kind["type"], kinds) == ("Coffee", {"kind": "latte"})
    ((error, _, agent),) = second["data"]["error_event_data"][2]
    assert (error["error.class"], error["error.message"]) == ("builtins:ValueError", "as asked")
    assert agent["aws.requestId"] == "rid-2"
    assert "aws.lambda.coldStart" not in agent
    # The payload is a line of its own among the log's.
    made = [line for line in texts(run) if line.endswith("\tmade")]
    assert [line.split("\t")[0::2] for line in made] == [["[WARNING]", "rid-1"], ["[WARNING]", "rid-2"]]
    assert len(texts(run)) == len(made) + len(payloads(run)) + 1

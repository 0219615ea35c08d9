import logging

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

sentry_sdk.init(integrations=[AwsLambdaIntegration()], traces_sample_rate=1.0)


def handler(event, context):
    logging.getLogger("shop").error("order %s", event)
    if event == "fail":
        raise ValueError("as asked")
    return event

import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

sentry_sdk.init(integrations=[AwsLambdaIntegration()])
# Starts the thread that sends.
sentry_sdk.capture_message("imported")
sentry_sdk.flush()


def handler(event, context):
    if event == "fail":
        raise ValueError("as asked")
    sentry_sdk.capture_message(event)
    return event

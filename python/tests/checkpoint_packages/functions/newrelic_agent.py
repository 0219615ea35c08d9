import newrelic.agent

newrelic.agent.initialize()

from newrelic_lambda.lambda_handler import lambda_handler  # noqa: E402


@lambda_handler()
def handler(event, context):
    newrelic.agent.add_custom_attribute("order", 7)
    newrelic.agent.record_custom_event("Coffee", {"kind": event})
    return event

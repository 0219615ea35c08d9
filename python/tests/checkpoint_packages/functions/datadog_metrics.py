import logging

from datadog_lambda.metric import lambda_metric
from datadog_lambda.wrapper import datadog_lambda_wrapper
from ddtrace import tracer

log = logging.getLogger("shop")


@tracer.wrap("compute")
def compute(number):
    log.warning("computing")
    return number * 2


@datadog_lambda_wrapper
def handler(event, context):
    lambda_metric("coffee.order", 12.5, tags=["product:latte"])
    return compute(event)

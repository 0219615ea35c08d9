"""Answers an HTTP request with the region the function runs in."""

import json
import os


def lambda_handler(event, context):
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"Region ": os.environ["AWS_REGION"]}),
    }

"""Prints the versions of the AWS SDK it finds."""

import boto3
import botocore


def lambda_handler(event, context):
    print(f"boto3 version: {boto3.__version__}")
    print(f"botocore version: {botocore.__version__}")

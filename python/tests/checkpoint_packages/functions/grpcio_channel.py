import os

import grpc

# Connects with the first call.
channel = grpc.insecure_channel(os.environ["SERVER"].removeprefix("http://"))
say = channel.unary_unary("/Shop/Say")


def handler(event, context):
    try:
        return say(event.encode(), timeout=5).decode()
    except grpc.RpcError as error:
        return error.code().name

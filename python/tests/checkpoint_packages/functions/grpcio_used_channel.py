import os

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{os.environ['PORT']}")
say = channel.unary_unary("/Shop/Say")
first = say(b"import", timeout=10).decode()


def handler(event, context):
    return [first, say(event.encode(), timeout=10).decode()]

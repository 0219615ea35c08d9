import os

import redis

cache = redis.Redis(port=int(os.environ["PORT"]), decode_responses=True)
cache.ping()


def handler(event, context):
    cache.set("order", event)
    with cache.pipeline() as pipeline:
        pipeline.incr("orders")
        pipeline.get("order")
        return pipeline.execute()

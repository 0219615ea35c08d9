from concurrent import futures

import grpc


def answer(request, context):
    return request.upper()


def handler(event, context):
    handlers = {"Say": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Shop", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        said = channel.unary_unary("/Shop/Say")(event.encode(), timeout=10).decode()
    server.stop(None).wait()
    return said

"""The managed runtime's worker processes. Whipsnake has its own: see docs/guides/concurrency.md."""

import logging
import multiprocessing
import os
import socket
import sys

from awslambdaric import bootstrap
from awslambdaric.lambda_runtime_client import LambdaMultiConcurrentRuntimeClient

WORKER_POOL_INITIALIZING_EVENT = "runtime_worker_pool_initializing"


class MultiConcurrentRunner:
    @staticmethod
    def _redirect_stream_to_fd(stream_fd, socket_path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(socket_path)
            os.dup2(connection.fileno(), stream_fd)

    @classmethod
    def _redirect_output(cls, socket_path):
        for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
            cls._redirect_stream_to_fd(descriptor, socket_path)

    @classmethod
    def run_single(cls, handler, api_addr, use_thread, socket_path):
        if socket_path:
            cls._redirect_output(socket_path)
        bootstrap.run(handler, LambdaMultiConcurrentRuntimeClient(api_addr, use_thread))

    @classmethod
    def _emit_worker_pool_event(cls, max_concurrency):
        sink = bootstrap.init_logging()
        logging.getLogger().debug(
            {
                "event": WORKER_POOL_INITIALIZING_EVENT,
                "workerCount": max_concurrency,
                "executionEnvironmentMaxConcurrency": max_concurrency,
            }
        )
        logging.getLogger().handlers.clear()
        sink.__exit__(None, None, None)

    @classmethod
    def run_concurrent(cls, handler, api_addr, use_thread, socket_path, max_concurrency):
        cls._emit_worker_pool_event(max_concurrency)
        context = multiprocessing.get_context("fork")
        arguments = (handler, api_addr, use_thread, socket_path)
        processes = [context.Process(target=cls.run_single, args=arguments) for _ in range(max_concurrency)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

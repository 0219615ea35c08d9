"""What `__main__.awslambdaricmain` is: the way by which tools find `bootstrap`."""

import sys

from awslambdaric import bootstrap as bootstrap
from awslambdaric.lambda_config import LambdaConfigProvider
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient


def main(args):
    config = LambdaConfigProvider(args)
    if config.is_multi_concurrent:
        from awslambdaric.lambda_multi_concurrent_utils import MultiConcurrentRunner

        MultiConcurrentRunner.run_concurrent(
            config.handler,
            config.api_address,
            config.use_thread_polling,
            config.lmi_socket_path,
            int(config.max_concurrency),
        )
    else:
        bootstrap.run(config.handler, LambdaRuntimeClient(config.api_address, config.use_thread_polling))


if __name__ == "__main__":
    main(sys.argv)

"""What `__main__.awslambdaricmain` is: the way by which tools find `bootstrap`."""

from awslambdaric import bootstrap as bootstrap
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient as LambdaRuntimeClient


def main(args):
    bootstrap.run(args[1], None)


if __name__ == "__main__":
    bootstrap.run(None, None)

"""The names of the managed runtime's package `awslambdaric`, on top of whipsnake.

Each name of the original can be imported. Only the context is made for every function. The other modules are imported when
somebody looks for them. From then on invocations go through `bootstrap.handle_event_request`, so that a tool's replacement of a
name is the code that runs.
"""

__version__ = "4.2.2"


# What the managed runtime has imported before the function, so that they are attributes of the package.
_IMPORTED = (
    "__main__",
    "bootstrap",
    "lambda_config",
    "lambda_literals",
    "lambda_runtime_client",
    "lambda_runtime_exception",
    "lambda_runtime_log_utils",
    "lambda_runtime_marshaller",
)


def __getattr__(name):
    if name not in _IMPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys

    __import__(f"{__name__}.{name}")
    # The package has it as an attribute only when its code has run.
    return sys.modules[f"{__name__}.{name}"]


def __dir__():
    return sorted({*globals(), *_IMPORTED})

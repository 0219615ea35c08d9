"""The callers of a function: `_get_handler` imports its module, `handle_event_request` calls its handler.

A function can ask for its caller (`inspect.stack()[1]`, `warnings.warn(stacklevel=2)`), and the managed runtime has one. Nobody
imports this module: the bootstrap runs its code (crates/bootstrap/src/init/caller.rs).
"""

__name__ = "awslambdaric.bootstrap"


def run(frame, body):
    frame(body)


def _get_handler(body):
    body()


def handle_event_request(body):
    body()

"""The frames that a function finds behind its own: its import is called by `_get_handler`, its handler by `handle_event_request`.

Code of functions asks for its caller (`inspect.stack()[1]`, `warnings.warn(stacklevel=2)`), and on the managed runtime there is one.
This is no module that anybody imports: the bootstrap runs the code by itself (crates/bootstrap/src/caller.rs).
"""

__name__ = "awslambdaric.bootstrap"


def run(frame, body):
    frame(body)


def _get_handler(body):
    body()


def handle_event_request(body):
    body()

"""The requests that Lambda gets, and what happens when Lambda answers otherwise than usual."""

from collections.abc import Sequence

from conformance.case import Behaviour, Case, Section, by_number
from conformance.sections.runtime_api_failures import ECHO, FAILURES, OUTCOMES, one_sentence
from playing import Files, event, step
from reference import Better


def echoed(verb: str, invocation_id: str | None) -> Case:
    value, header = OUTCOMES[verb], "Lambda-Runtime-Invocation-Id"
    return Case(
        name=f"{'no id' if invocation_id is None else repr(invocation_id)} with the {verb}",
        files=ECHO,
        events=[event(value, headers={header: invocation_id}), event(value)],
        shows={
            "rid-1": {"call": f"POST rid-1/{verb}", "invocation-id": invocation_id or None},
            "rid-2": {"invocation-id": None},
        },
    )


HANG_UP: Files = {
    "app.py": """
        import os, select, socket, stat
        def is_lambdas(descriptor):
            try:
                if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    return False
            except OSError:  # the listing's own
                return False
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                return connection.family == socket.AF_INET
        def handler(event, context):
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if is_lambdas(descriptor):
                    poll = select.poll()
                    poll.register(descriptor, select.POLLRDHUP)
                    assert poll.poll(5000), "no hang-up came"
            return event
    """
}

CLOSING = {"Connection": "close"}
CLOSING_ANSWER = {"headers": [["Connection", "close"]], "close": "after"}

CHUNKED = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: chunked\r\n"
    'Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n: 12}\r\n0\r\n\r\n'
)

IDS: Sequence[str] = ["8476a536-e9f4-11e8-9739-2dfe598c3fcd", "a%20b?c=d;x", "é/x"]


SECTION = Section(
    "The Runtime API",
    by_number(
        [
            *FAILURES,
            Behaviour(
                "P1",
                "Invocations are asked for one after the other, each when the one before is answered.",
                [
                    Case(
                        name="responses and errors",
                        files=ECHO,
                        events=["a", "fail", "b", "fail", "fail", "c"],
                        shows={"rid-6": {"call": "POST rid-6/response", "body": '"c"'}},
                    )
                ],
                note="free: `User-Agent` names Whipsnake",
            ),
            Behaviour(
                "P2",
                "Answers go to `/response` as JSON or as the bytes that the function returned, and to `/error`.",
                [
                    Case(
                        name="JSON and bytes",
                        files={
                            "app.py": """
                            def handler(event, context):
                                return event.encode("latin-1") if event != "json" else {"a": 1}
                        """
                        },
                        events=["json", "", "a", "é\r\n\0"],
                        shows={
                            "rid-1": {"content-type": "application/json", "body": '{"a": 1}'},
                            "rid-3": {"content-type": "application/unknown", "body": "a"},
                        },
                    )
                ],
            ),
            Behaviour(
                "P3",
                "The request id goes into the answer's path as it came.",
                [
                    Case(
                        name="odd characters",
                        files=ECHO,
                        events=[event("a", headers={"Lambda-Runtime-Aws-Request-Id": name}) for name in IDS],
                        shows={
                            "calls": [call for name in IDS for call in ("GET next", f"POST {name}/response")] + ["GET next"],
                        },
                    ),
                    Case(
                        name="a space (no path can have one)",
                        files=ECHO,
                        events=[event("a", headers={"Lambda-Runtime-Aws-Request-Id": "a b"})],
                        shows={"calls": ["GET next"], "ending": "exit code 1"},
                        better=Better("one sentence says why", {"stderr": one_sentence("request id cannot be part of a URL")}),
                    ),
                ],
            ),
            Behaviour(
                "P4",
                "`Lambda-Runtime-Invocation-Id` comes back with the answer.",
                [echoed(verb, invocation_id) for verb in OUTCOMES for invocation_id in ("inv-1", "a b/c", "", None)],
            ),
            Behaviour(
                "P5",
                "An event is waited for as long as it takes.",
                [
                    Case(
                        name="a poll of 1.5 s",
                        files=ECHO,
                        events=[event("a", delay_ms=1500), "b"],
                        shows={"rid-2": {"body": '"b"'}},
                    )
                ],
            ),
            Behaviour(
                "P8",
                "Any success is one.",
                [
                    Case(
                        name=str(status),
                        files=ECHO,
                        events=["a", "fail", "b"],
                        script={"response": [{"status": status}], "error": [{"status": status}]},
                        shows={"rid-3": {"body": '"b"'}},
                    )
                    for status in (200, 201, 202, 204)
                ],
            ),
            Behaviour(
                "P11",
                "Images start the runtime with `python -m awslambdaric`.",
                note="free: the layer's executable is what Lambda starts",
            ),
            Behaviour(
                "P12",
                "A connection that Lambda closes is made anew.",
                [
                    Case(
                        name="announced by Connection: close",
                        files=ECHO,
                        events=[
                            event("a", headers=CLOSING, close="after"),
                            event("b"),
                            event("fail", headers=CLOSING, close="after"),
                            event("c"),
                        ],
                        script={"response": [CLOSING_ANSWER], "error": [CLOSING_ANSWER]},
                        shows={"rid-4": {"body": '"c"'}},
                    ),
                    Case(
                        name="while the function runs",
                        files=HANG_UP,
                        events=[event(number, close="after") for number in range(20)],
                        shows={"rid-20": {"call": "POST rid-20/response", "body": "19"}},
                    ),
                ],
            ),
            Behaviour(
                "P13",
                "An event may come in chunks, and with headers that nobody knows.",
                [
                    Case(
                        name="chunks",
                        files=ECHO,
                        events=[step(raw=CHUNKED), "b"],
                        shows={"chunked": {"body": '{"a": 12}'}, "rid-2": {"body": '"b"'}},
                    ),
                    Case(
                        name="unknown headers",
                        files=ECHO,
                        events=[event("a", headers={"Lambda-Runtime-Something-New": "x", "X-Other": "y" * 4000})],
                        shows={"rid-1": {"body": '"a"'}},
                    ),
                ],
            ),
        ]
    ),
)

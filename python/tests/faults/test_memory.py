"""What Python counts, over many invocations of every kind: references, blocks of memory, objects.

CPython's reference counts are where the code that calls it from Rust can go wrong without anybody noticing: one reference too
many is a leak, one too few a crash long after. A debug build of CPython counts all references together as well, and is asked
where the bootstrap is built with one.
"""

import itertools

from conftest import PlayFunction
from playing import Step, event, payload

FUNCTION = """
    import asyncio, collections, contextvars, decimal, gc, json, logging, sys
    import whipsnake.http

    Point = collections.namedtuple("Point", "x y")

    class Subclass(dict):
        pass

    async def later(value):
        await asyncio.sleep(0)
        return value

    def pieces():
        yield "a"
        yield b"b"

    def breaks_off():
        yield "a"
        raise ValueError("on the way")

    async def pieces_later():
        yield "a"
        await asyncio.sleep(0)
        yield "b"

    def circle():
        it = {}
        it["it"] = [it]
        return it

    def kinds(event, context):
        return {
            "bytes": lambda: b"as it is",
            "values": lambda: [Point(1, 2), Subclass(a=decimal.Decimal("1.5")), (b"text", 2**70, 1e300)],
            "keys": lambda: {1: None, 2.5: "\\ud800", None: True, "é": []},
            "raised": lambda: 1 / 0,
            "no JSON": lambda: {"a": [object()]},
            "circle": circle,
            "later": lambda: later(event),
            "raised later": lambda: later(1 / 0),
            "pieces": pieces,
            "breaks off": breaks_off,
            "pieces later": pieces_later,
            "http": lambda: whipsnake.http.HttpResponse(pieces(), status=201, headers={"a": "b"}, cookies=["c=d"]),
            "context": lambda: [str(context), context.get_remaining_time_in_millis() > 0, context.client_context is None],
            "printed": lambda: print("a", event),
            "logged": lambda: logging.warning("%s", event),
        }[event["kind"]]

    watched = []

    def measure():
        gc.collect()
        if not watched:
            # What lives now and is no part of a call: modules, their dicts, functions, types, and what those refer to.
            found = {id(thing): thing for holder in gc.get_objects() for thing in (holder, *gc.get_referents(holder))}
            passing = type(sys._getframe()), type(measure.__closure__), contextvars.Context
            watched.extend(thing for thing in found.values() if not isinstance(thing, passing) and thing is not found)
            del found
            counts.extend([0] * len(watched))
            return None
        blocks = sys.getallocatedblocks()
        references = getattr(sys, "gettotalrefcount", int)()
        grown = []
        for number, thing in enumerate(watched):
            count = sys.getrefcount(thing)
            if count - counts[number] >= MANY:
                grown.append(f"{type(thing).__name__} {thing!r:.80}: {counts[number]}, then {count}")
            counts[number] = count
        return {"blocks": blocks, "references": references, "objects": len(gc.get_objects()), "grown": grown}

    counts = []

    def handler(event, context):
        if event == "measure":
            return measure()
        if isinstance(event, dict) and "kind" in event:
            return kinds(event, context)()
        return event
"""

KINDS = (
    *("bytes", "values", "keys", "raised", "no JSON", "circle", "later", "raised later"),
    *("pieces", "breaks off", "pieces later", "http", "context", "printed", "logged"),
)

ROUNDS = 40
"""Between two measurements."""

MEASUREMENTS = 6


def one_round() -> list[Step]:
    """An invocation of every kind."""
    headers = {
        "Lambda-Runtime-Client-Context": '{"custom": {"a": "b"}}',
        "Lambda-Runtime-Cognito-Identity": '{"cognitoIdentityId": "i"}',
    }
    return [
        *(event({"kind": kind}) for kind in KINDS),
        event({"kind": "context"}, headers=headers),
        event({"a": [1.5, -(2**70), "é\n", None, True, {"b": {}}], "a2": "x" * 1000}),
        payload(b"\xff bytes", headers={"Content-Type": "text/plain"}),
        payload(b'"\\ud800"'),
        payload(b'{"a": [1, {"b": "c"}], "d": nul}'),
        payload(b"\xff"),
        event({"kind": "context"}, headers={"Lambda-Runtime-Client-Context": "no JSON"}),
    ]


def test_no_reference_and_no_block_of_memory_is_left_behind(play: PlayFunction) -> None:
    measure = event("measure")
    steps = [*one_round() * ROUNDS, *([measure] * 3)]
    measured = []
    for _ in range(MEASUREMENTS):
        steps += [*one_round() * ROUNDS, measure]
        measured.append(f"rid-{len(steps)}")
    run = play({"app.py": FUNCTION.replace("MANY", str(ROUNDS // 2))}, events=steps, timeout_ms=120_000)
    assert len(run.answers) == len(steps), run.stderr[-2000:]
    found = [run.answers[request_id].json() for request_id in measured]
    assert found[-1]["grown"] == []
    # Caches of CPython's own fill, now and then, for hundreds of invocations. What an invocation of some kind leaves behind
    # would be one a round, always.
    for counted in ("blocks", "references", "objects"):
        growth = [later[counted] - earlier[counted] for earlier, later in itertools.pairwise(found)]
        assert min(growth) < ROUNDS // 2, (counted, growth)

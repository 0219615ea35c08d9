"""The functions that the emulated machine starts from checkpoints, and what they have to respond."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("imports", "init")


@dataclass(frozen=True)
class Function:
    """A module `app`, and whether a response to an event is right. Packages are in the layers' folder, `/opt/python`."""

    app: str
    is_right: Callable[[Mapping[str, Any], Any], bool]
    is_packed: bool = True
    """Whether `whipsnake pack` makes the checkpoint. It also trains and measures, which takes long with packages."""
    times_more: int = 1
    """How often it is started for each start of the others."""


DRAWN: Sequence[str] = ("random", "urandom", "canary")
"""What each execution environment of the function of the standard library draws by itself."""

EMPTY = Function("def handler(event, context):\n    return event\n", lambda event, response: response == event, times_more=10)

STANDARD_LIBRARY = Function(
    """
import asyncio, ctypes, json, logging, multiprocessing, os, random, re, signal, sqlite3, ssl, subprocess, threading, time

local = threading.local()
local.kept = "kept"
clock = time.monotonic
got = []
signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))

def child():
    os._exit(7)

def recurse(depth):
    return depth if depth == 0 else recurse(depth - 1)

def handler(event, context):
    threads = []
    thread = threading.Thread(target=threads.append, args=(event["n"],))
    thread.start()
    thread.join()
    os.kill(os.getpid(), signal.SIGUSR1)
    forked = os.fork()
    if not forked:
        os._exit(7)
    database = sqlite3.connect(":memory:")
    try:
        1 / 0
    except ZeroDivisionError as error:
        raised = str(error)
    return {
        "thread": threads,
        "signals": len(got) > 0,
        "child": os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]),
        "sqlite": database.execute("select 1 + ?", [event["m"]]).fetchone()[0],
        "async": asyncio.run(asyncio.sleep(0, "slept")),
        "callback": ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number + 1)(41),
        "program": subprocess.run(["/bin/echo", "hello"], capture_output=True, text=True).stdout,
        "clocks": abs(time.time() - int(time.time())) < 1 and clock() <= time.monotonic() and time.gmtime().tm_year > 2000,
        "tls": bool(ssl.create_default_context()),
        "raised": raised,
        "kept": local.kept if hasattr(local, "kept") else "lost",
        "depth": recurse(900),
        "large": len(bytearray(50_000_000)),
        "random": random.random(),
        "urandom": ssl.RAND_bytes(8).hex(),
        "canary": canary(),
        "keys": ctypes.CDLL(None).prctl(PR_PAC_GET_ENABLED_KEYS, 0, 0, 0, 0),
    }

PR_PAC_GET_ENABLED_KEYS = 61

def canary():
    return ctypes.c_uint64.in_dll(ctypes.CDLL(None), "__stack_chk_guard").value
""",
    lambda event, response: (
        {name: value for name, value in response.items() if name not in (*DRAWN, "keys")}
        == {
            "thread": [event["n"]],
            "signals": True,
            "child": 7,
            "sqlite": 1 + event["m"],
            "async": "slept",
            "callback": 42,
            "program": "hello\n",
            "clocks": True,
            "tls": True,
            "raised": "division by zero",
            "kept": "kept",
            "depth": 0,
            "large": 50_000_000,
        }
    ),
)

NUMPY = Function(
    """
import numpy

matrix = numpy.arange(64, dtype=float).reshape(8, 8) + numpy.eye(8)

def handler(event, context):
    return [float(numpy.linalg.solve(matrix, matrix @ numpy.ones(8)).sum()), float(numpy.sin(numpy.arange(1000.0)).sum())]
""",
    lambda _, response: abs(response[0] - 8) < 1e-6 and abs(response[1] + 0.0129099064588) < 1e-9,
    is_packed=False,
)

PYDANTIC = Function(
    """
import pydantic

class Item(pydantic.BaseModel):
    n: int
    tags: list[str] = []

class Order(pydantic.BaseModel):
    items: list[Item]

def handler(event, context):
    order = Order.model_validate({"items": [{"n": str(event["n"]), "tags": ["a"]}]})
    try:
        Order.model_validate({"items": [{"n": "x"}]})
    except pydantic.ValidationError as error:
        return [order.model_dump(), error.error_count()]
""",
    lambda event, response: response == [{"items": [{"n": event["n"], "tags": ["a"]}]}, 1],
    is_packed=False,
)

BOTO3 = Function(
    """
import boto3

s3 = boto3.client("s3", region_name="us-east-1")

def handler(event, context):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "orders", "Key": str(event["n"])})
    return [url.partition("?")[0], "AKIDEXAMPLE" in url]
""",
    lambda event, response: response == [f"https://orders.s3.amazonaws.com/{event['n']}", True],
    is_packed=False,
)

CRYPTOGRAPHY = Function(
    """
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ed25519

key = ed25519.Ed25519PrivateKey.generate()

def handler(event, context):
    fernet = Fernet(Fernet.generate_key())
    text = str(event["n"]).encode()
    key.public_key().verify(key.sign(text), text)
    return [fernet.decrypt(fernet.encrypt(text)).decode(), ed25519.Ed25519PrivateKey.generate().private_bytes_raw().hex()]
""",
    lambda event, response: response[0] == str(event["n"]) and len(response[1]) == 64,
    is_packed=False,
)

ALL: Mapping[str, Function] = {
    "empty": EMPTY,
    "standard_library": STANDARD_LIBRARY,
    "numpy": NUMPY,
    "pydantic": PYDANTIC,
    "boto3": BOTO3,
    "cryptography": CRYPTOGRAPHY,
}

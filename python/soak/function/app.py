"""The function under load: what it answers and logs says whose invocation it believes this to be. It imports nothing of its
surroundings, and does as the event says."""

import asyncio
import ctypes
import gc
import logging
import os
import sys
import time

logging.getLogger().setLevel("INFO")
_IN_USE = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _MallocInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _IN_USE]


_libc = ctypes.CDLL(None)
_mallinfo2 = _libc.mallinfo2
_mallinfo2.restype = _MallocInfo


def _bytes_in_use():
    """What was taken from the C library's malloc and not given back, by all that is in the process."""
    info = _mallinfo2()
    return info.uordblks + info.hblkhd


def _blocks_in_use():
    """Of Python's own allocator. 0 without the GIL: having counted, CPython 3.13 keeps each large block that is freed later."""
    return sys.getallocatedblocks() if getattr(sys, "_is_gil_enabled", lambda: True)() else 0


def _resident_in_use():
    """Bytes of resident memory, without files and without what malloc keeps free. That is given back in a copy of the process,
    so that the process itself goes on as any other. 0 where several invocations are served at once."""
    if "AWS_LAMBDA_MAX_CONCURRENCY" in os.environ:
        return 0
    reader, writer = os.pipe()
    copy = os.fork()
    if not copy:
        _libc.malloc_trim(0)
        _, resident, shared, *_ = map(int, os.read(os.open("/proc/self/statm", os.O_RDONLY), 100).split())
        os.write(writer, b"%d" % ((resident - shared) * os.sysconf("SC_PAGE_SIZE")))
        os._exit(0)
    os.waitpid(copy, 0)
    resident = int(os.read(reader, 100))
    os.close(reader)
    os.close(writer)
    return resident


def _told(event, context):
    """Whose invocation this is, by everything that can be asked for it."""
    logging.info("n=%s", event["n"])
    if event["kind"] == "print":
        print("printed by", event["n"], "as", context.aws_request_id, "end")
    if event["kind"] == "measure":
        gc.collect()
        print("in use", event["n"], _blocks_in_use(), _bytes_in_use(), _resident_in_use(), "end")
    return {
        "n": event["n"],
        "id": context.aws_request_id,
        "tenant": context.tenant_id,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "custom": context.client_context and context.client_context.custom,
        "text": event["text"],
    }


def _chunks(event, told):
    for name, value in told.items():
        if event["kind"] == "broken stream" and name == "text":
            raise ValueError(f"broken {event['n']}")
        yield f"{name}={value}\n"


def handler(event, context):
    told = _told(event, context)
    if event["kind"] == "fault":
        raise ValueError(f"fault {event['n']}")
    if event["kind"] == "pause":
        time.sleep(event["n"] % 5 / 1000)
    if event["kind"] in ("stream", "broken stream"):
        return _chunks(event, told)
    return told


async def _later(event, told):
    """The same bytes as the plain handler's stream, with pauses."""
    for chunk in _chunks(event, told):
        await asyncio.sleep(0)
        yield chunk


async def async_handler(event, context):
    told = _told(event, context)
    await asyncio.sleep(event["n"] % 5 / 1000 if event["kind"] == "pause" else 0)
    if event["kind"] == "late":
        await asyncio.sleep(60)
    if event["kind"] == "fault":
        raise ValueError(f"fault {event['n']}")
    if event["kind"] in ("stream", "broken stream"):
        return _later(event, told)
    return told

"""Functions that do one bad thing in their first invocation, and are asked what they are for in the others."""

import textwrap

from playing import Files

IMPORTS = """\
import asyncio, ctypes, gc, json, logging, os, resource, signal, sys, threading, time
"""

EVENTS = [0, 1, 2]
"""The first does the bad thing, the second fails, the third is like any other."""


def misbehaves(bad: str, then: str = "if event == 1: 1 / 0", at_import: str = "") -> Files:
    """A function that runs `bad` at event 0 and `then` at each."""
    lines = ["def handler(event, context):", "    if event == 0:", textwrap.indent(textwrap.dedent(bad).strip("\n"), " " * 8)]
    lines += [textwrap.indent(textwrap.dedent(then).strip("\n"), "    "), "    return [event, context.aws_request_id]"]
    return {"app.py": IMPORTS + textwrap.dedent(at_import) + "\n" + "\n".join(lines) + "\n"}

"""Nothing is fetched: the runtime talks to Lambda's address, and to nothing else."""

import re
import shutil
from pathlib import Path

import pytest

from conftest import PlayFunction

CONNECTED = re.compile(r"connect\(\d+, \{sa_family=(AF_\w+), (.*?)\}, \d+\)")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace tells what is connected to")
def test_the_only_connection_is_to_the_runtime_api(play: PlayFunction, bootstrap: Path, tmp_path: Path) -> None:
    module = """
        import logging, os
        def handler(event, context):
            logging.warning("heard")
            if event == "fail":
                raise ValueError("failed")
            return os.environ["AWS_LAMBDA_RUNTIME_API"]
    """
    trace = tmp_path / "trace"
    command = [
        shutil.which("strace") or "",
        "-f",
        "-qq",
        "-e",
        "trace=connect,sendto,sendmsg",
        "-o",
        str(trace),
        str(bootstrap),
    ]
    run = play({"app.py": module}, events=["a", "fail", "b"], command=command, environment={"WHIPSNAKE_LOG": "trace"})
    host, _, port = run.responses[0].rpartition(":")
    peers = set(CONNECTED.findall(trace.read_text()))
    # What the C library asks for the user's home, where Python's `site` wants to know it: a daemon of this machine.
    peers.discard(("AF_UNIX", 'sun_path="/var/run/nscd/socket"'))
    assert peers == {("AF_INET", f'sin_port=htons({port}), sin_addr=inet_addr("{host}")')}

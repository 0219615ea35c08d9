"""Runs in the emulated machine, on its CPython: packs functions with checkpoints, restores them, and prints what happened as JSON.

There is nothing else on that machine but a C library, a shell, the layer in `/opt` and the command in `/whipsnake`.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHIPSNAKE = "/whipsnake/whipsnake"
PYTHON = sys.executable
LIMIT = 300
"""Seconds that anything may take; emulated, an import takes fifty times as long as it should."""

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "of-this-start",
    "AWS_SESSION_TOKEN": "token-of-this-start",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
    "AWS_REGION": "us-east-1",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1:2000",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LANG": "en_US.UTF-8",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "TZ": ":UTC",
    "_AWS_XRAY_DAEMON_ADDRESS": "169.254.100.1",
    "_AWS_XRAY_DAEMON_PORT": "2000",
    "_HANDLER": "app.handler",
}
"""What the command gives a function when it packs it, and what differs in each start."""

LIBRARIES = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{0}:{0}/lib:/opt/lib"


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Gives events to one process after the other, and keeps what they respond."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.waiting = threading.Event()
        self.events: Iterator[Any] = iter(())
        self.responses: list[Any] = []
        self.agent = ""
        self.first_request = 0.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def expect(self, events: list[Any]) -> None:
        self.waiting.clear()
        self.events, self.responses, self.agent, self.first_request = iter(events), [], "", 0.0


class Handler(http.server.BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.first_request = self.server.first_request or time.monotonic()
        self.server.agent = self.headers.get("user-agent", "")
        event = next(self.server.events, None)
        if event is None:
            self.server.waiting.set()
            time.sleep(LIMIT)
            return
        self.answer(
            200,
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": f"request-{len(self.server.responses)}",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + LIMIT * 1000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:function",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.path.rsplit("/", 1)[-1]
        self.server.responses.append(json.loads(body) if kind == "response" else {kind: json.loads(body)})
        self.answer(202, b"{}", {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def report(**what: Any) -> None:
    print("REPORT " + json.dumps(what), flush=True)


def pack(name: str, kind: str, how: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """The unpacked function, and what the command printed."""
    source, unpacked = Path("/tmp/source") / name, Path("/tmp/unpacked") / f"{name}-{kind}"
    source.mkdir(parents=True, exist_ok=True)
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    (source / "app.py").write_text(how["app"])
    for package in how.get("packages", ()):
        found = next(Path("/packages").glob(f"*/{package}"))
        if not (source / found.name).is_symlink():
            (source / found.name).symlink_to(found)
    links = [f"--allow-links={folder}" for folder in Path("/packages").iterdir()]
    began = time.monotonic()
    done = subprocess.run(
        [WHIPSNAKE, "pack", source, "--handler", "app.handler", f"--checkpoint={kind}", "--here", "--unpacked", unpacked]
        + ["--python", PYTHON, *links],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        env={"PATH": "/bin", "HOME": "/root"},
    )
    told = {"exit": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "seconds": time.monotonic() - began}
    return (unpacked if done.returncode == 0 else None), told


def start(api: RuntimeApi, function: Path, events: list[Any], **variables: str) -> dict[str, Any]:
    """One execution environment: what it responded, how it started, and how often it had to."""
    api.expect(events)
    environment = {
        **VARIABLES,
        "LAMBDA_TASK_ROOT": str(function),
        "LD_LIBRARY_PATH": LIBRARIES.format(function),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        **variables,
    }
    began = time.monotonic()
    process = subprocess.Popen(
        [function / "bootstrap"], cwd=function, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while not api.waiting.wait(0.02) and process.poll() is None and time.monotonic() - began < LIMIT:
        pass
    attempts, guarded = 1, 0
    if process.poll() is None:
        flags = [line for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines() if line.startswith("VmFlags:")]
        guarded = sum("bt" in line.split() for line in flags)
        # The environment that the kernel gave the program last.
        given = Path(f"/proc/{process.pid}/environ").read_bytes()
        attempts += next((int(v[-1:]) for v in given.split(b"\0") if v.startswith(b"_WHIPSNAKE_RESTORE_ATTEMPT=")), 0)
    process.kill()
    output = process.communicate(timeout=LIMIT)[0]
    return {
        "responses": api.responses,
        "restored": "(restored)" in api.agent.lower(),
        "attempts": attempts,
        "guarded": guarded,
        "milliseconds": round((api.first_request - began) * 1e3, 1),
        "exit": process.returncode,
        "output": output,
    }


def processor() -> dict[str, Any]:
    features = Path("/proc/cpuinfo").read_text().partition("Features")[2].partition("\n")[0]
    return {"kernel": os.uname().release, "features": features.strip(": \t").split()}


def main() -> None:
    plan = json.loads(Path("/guest/plan.json").read_text())
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    report(what="machine", **processor())
    for name, how in plan["functions"].items():
        for kind in how["kinds"]:
            function, told = pack(name, kind, how)
            report(what="packed", name=name, kind=kind, **told)
            if function is None:
                continue
            for number in range(how["restores"]):
                events = [{"n": number, "m": event} for event in range(how.get("events", 2))]
                report(what="start", name=name, kind=kind, number=number, **start(api, function, events))
            ordinary = start(api, function, [{"n": 0, "m": 0}], WHIPSNAKE_CHECKPOINT="off")
            report(what="ordinary", name=name, kind=kind, **ordinary)
    report(what="end")


if __name__ == "__main__":
    main()

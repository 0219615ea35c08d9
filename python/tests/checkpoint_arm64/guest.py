"""Runs in the emulated machine: packs functions with checkpoints, restores them, and prints what happened as JSON.

There is nothing else on that machine but a C library, a CPython, a shell, the layer in `/opt` and the command in `/whipsnake`.
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
LIMIT = 900
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
    """The folder with the restorer and the checkpoint, which is the function's; and what the command printed."""
    unpacked = kept(name, kind)
    command: list[str | Path] = [WHIPSNAKE, "pack", source(name, how), "--python", PYTHON, "--handler", "app.handler"]
    command += [f"--checkpoint={kind}", "--here", "--unpacked", unpacked]
    environment = {"PATH": "/bin", "HOME": "/root"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT, env=environment)
    told = {"exit": done.returncode, "output": done.stdout + done.stderr}
    return (unpacked if done.returncode == 0 else None), told


def kept(name: str, kind: str) -> Path:
    """Where a packed function is, on the disk."""
    return Path("/kept") / f"{name}-{kind}"


def dump(api: RuntimeApi, name: str, kind: str, how: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """The same with the command's verb for test suites, which neither trains nor measures. The function stays where it is."""
    notes = Path("/tmp/notes")
    started = start(
        api, source(name, how), [], WHIPSNAKE, "from-checkpoint", kind, "/opt/bootstrap", WHIPSNAKE_CHECKPOINT_LOG=str(notes)
    )
    folders = sorted(Path("/tmp").glob("whipsnake-now-*"), key=lambda folder: folder.stat().st_mtime)
    told = {"exit": 0 if started["restored"] else 1, "output": notes.read_text() + started["output"]}
    notes.unlink()
    return (folders[-1] if started["restored"] else None), told


def source(name: str, how: dict[str, Any]) -> Path:
    folder = Path("/tmp/source") / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(how["app"])
    return folder


def start(api: RuntimeApi, function: Path, events: list[Any], *program: str | Path, **variables: str) -> dict[str, Any]:
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
        program or [function / "bootstrap"],
        cwd=function,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
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
    plan = json.loads(Path(f"/guest/{os.environ['PLAN']}.json").read_text())
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    report(what="machine", **processor())
    for name, how in plan["functions"].items():
        for kind in how["kinds"]:
            began = time.monotonic()
            made: Path | None = kept(name, kind)
            if not plan["is_packed_already"]:
                made, told = pack(name, kind, how) if how["is_packed"] else dump(api, name, kind, how)
                report(what="packed", name=name, kind=kind, seconds=round(time.monotonic() - began), **told)
            if made is None:
                continue
            task = made if how["is_packed"] else source(name, how)
            for number in range(how["restores"]):
                events = [{"n": number, "m": event} for event in range(2)]
                report(what="start", name=name, kind=kind, number=number, **start(api, task, events, made / "bootstrap"))
            events = [{"n": 0, "m": 0}]
            ordinary = start(api, task, events, made / "bootstrap", WHIPSNAKE_CHECKPOINT="off")
            report(what="ordinary", name=name, kind=kind, **ordinary)
    report(what="end")


if __name__ == "__main__":
    main()

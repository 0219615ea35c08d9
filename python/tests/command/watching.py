"""The `whipsnake watch` command, for as long as a test needs it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Watching:
    """A running one, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = ""
        self._seen = 0
        self._changed = threading.Condition()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.invoke_api = self.function_url = ""

    def begin(self) -> None:
        """Waits until it has told its addresses."""
        addresses = re.findall(r"http://127\.0\.0\.1:\d+", self.until("asks its Function URL\n"))
        self.invoke_api, self.function_url = addresses[0], addresses[-1]

    def until(self, text: str) -> str:
        """Waits until it says a text that it has not said at the last such wait, and returns what was said between."""
        with self._changed:
            begun = self._seen
            assert self._changed.wait_for(lambda: text in self.said[begun:], timeout=20), f"no {text!r} in {self.said}"
            self._seen = self.said.index(text, begun) + len(text)
            return self.said[begun : self._seen]

    def invoke(self, event: object) -> Any:
        """What the Invoke API answers."""
        url = f"{self.invoke_api}/2015-03-31/functions/function/invocations"
        with urllib.request.urlopen(url, json.dumps(event).encode(), timeout=20) as answer:
            return json.load(answer)

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._listening.join(20)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in iter(self.process.stderr.readline, b""):
            with self._changed:
                self.said += line.decode()
                self._changed.notify_all()


@contextlib.contextmanager
def watching(
    cli: Path, bootstrap: Path, task: Path, *options: str, waits_for: str | None = None, **variables: str
) -> Iterator[Watching]:
    """Watches `app.handler` in `task`; returns when the function is ready, or cannot be, or when a text was said."""
    command: list[str | Path] = [cli, "watch", "app.handler", "--task", task, "--bootstrap", bootstrap]
    command += ["--listen", "127.0.0.1:0", "--function-url", "127.0.0.1:0", *options]
    environment = {**os.environ, **variables}
    output = task.parent / "stdout"
    with (
        output.open("wb") as stdout,
        subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment) as process,
    ):
        watch = Watching(process)
        try:
            watch.begin()
            if waits_for is None:
                watch.until(f"watching {task}")
            watch.until(waits_for or "\n")
            yield watch
        finally:
            watch.end()


def save(file: Path, text: str) -> None:
    """As editors do it: aside, and then into its place."""
    aside = file.with_name(f"{file.name}.{time.monotonic_ns()}")
    aside.write_text(text)
    aside.rename(file)

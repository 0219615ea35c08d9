"""The `whipsnake session` command with a function: lines of JSON to and fro."""

import base64
import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from whipsnake import _command


class Session:
    """The command's process, and the function's log as far as it was read."""

    def __init__(self, arguments: Sequence[str]) -> None:
        command, environment = _command.find()
        self._process = subprocess.Popen(
            [command, "session", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self._log = bytearray()
        self._is_busy = False

    def send(self, request: Mapping[str, object]) -> None:
        """Gives the function an event."""
        assert self._process.stdin is not None
        self._check_open()
        line = json.dumps({name: value for name, value in request.items() if value is not None})
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            self._is_busy = True
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self) -> dict[str, Any]:
        """Waits for the next that is not about the log."""
        assert self._process.stdout is not None
        self._check_open()
        for line in self._process.stdout:
            message: dict[str, Any] = json.loads(line)
            if "log" not in message:
                self._is_busy = self._is_busy and not message.keys() & {"outcome", "refused"}
                return message
            self._log += as_bytes(message["log"])
        raise self._ended()

    def take_log(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._log)
        self._log.clear()
        return taken

    def close(self) -> None:
        """Ends the function as Lambda does, and reads what it still has to say."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdin.closed:
            return
        if self._is_busy:
            # It would see the end of its input only behind the invocation.
            process.terminate()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        for line in process.stdout:
            self._log += as_bytes(json.loads(line).get("log", ""))
        process.stdout.close()
        process.stderr.close()
        process.wait()

    def _check_open(self) -> None:
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            raise RuntimeError("this runtime is closed")

    def _ended(self) -> RuntimeError:
        """The command says on standard error why it has ended."""
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace").strip()
        self.close()
        return RuntimeError(said or f"the whipsnake command has ended with exit status {self._process.returncode}")


def as_bytes(written: "str | dict[str, str]") -> bytes:
    """Bytes as the command writes them."""
    return written.encode() if isinstance(written, str) else base64.b64decode(written["base64"])

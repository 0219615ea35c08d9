"""An editor's side of debugpy: as much of the Debug Adapter Protocol as it takes to stop at a line."""

import json
import socket
from pathlib import Path
from typing import Any


class Editor:
    """A client that is attached to a process."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._stream = self._connection.makefile("rwb")
        self._sequence = 0
        self._seen: list[dict[str, Any]] = []

    def attach(self, file: Path, line: int) -> None:
        """Attaches, and has the process stop at a line."""
        self.ask("initialize", adapterID="whipsnake")
        # It is answered last.
        attached = self._send("attach", justMyCode=True)
        self.event("initialized")
        self.stop_at(file, line)
        self.ask("configurationDone")
        assert self._receive(lambda message: message.get("request_seq") == attached)["success"]

    def stop_at(self, file: Path, line: int) -> None:
        set_breakpoints = self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": line}])
        assert [found["line"] for found in set_breakpoints["breakpoints"]] == [line]

    def stopped(self) -> tuple[int, int]:
        """Waits until the process stops; returns the line and the frame's number."""
        thread = self.event("stopped")["threadId"]
        frame = self.ask("stackTrace", threadId=thread)["stackFrames"][0]
        return frame["line"], frame["id"]

    def evaluate(self, frame: int, expression: str) -> str:
        result: str = self.ask("evaluate", expression=expression, frameId=frame)["result"]
        return result

    def go_on(self) -> None:
        self.ask("continue", threadId=0)

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """The body of the answer."""
        sent = self._send(command, **arguments)
        answer = self._receive(lambda message: message.get("request_seq") == sent)
        assert answer["success"], answer
        return answer.get("body")

    def event(self, name: str) -> Any:
        """Waits for an event that was not waited for yet."""
        return self._receive(lambda message: message.get("event") == name).get("body")

    def _send(self, command: str, **arguments: object) -> int:
        self._sequence += 1
        message = {"seq": self._sequence, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._stream.flush()
        return self._sequence

    def _receive(self, wanted: Any) -> dict[str, Any]:
        while not (found := next((message for message in self._seen if wanted(message)), None)):
            size = 0
            while (header := self._stream.readline()) != b"\r\n":
                assert header, "debugpy has hung up"
                name, value = header.split(b":")
                size = int(value) if name == b"Content-Length" else size
            self._seen.append(json.loads(self._stream.read(size)))
        self._seen.remove(found)
        return found

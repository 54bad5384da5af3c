"""Fault injection from another process: a Unix socket with one JSON object per line.

The answer to {"fault": "drop", "id": 10, "count": 3} is {"ok": true}, or {"ok": false, "error":
"..."}. `faults` lists all faults.
"""

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from handlab_core.errors import BadConfig, HandlabError, StationFault
from handlab_hardware.dynamixel.emulator.faults import Fault

READ_SIZE = 4096
TIMEOUT_S = 5.0  # s; timeout of a client


class ControlChannel:
    """Server of the socket; its owner waits on the file descriptors.

    Args:
        path: path of the socket; a socket that a dead process left behind is replaced.
        inject: function that is called with each fault.

    Raises:
        BadConfig: another emulator uses the socket, or the path cannot be used.
    """

    def __init__(self, path: Path, inject: Callable[[Fault], None]) -> None:
        self.path, self._inject = path, inject
        if path.is_socket():
            if _answers(path):
                raise BadConfig(f"an emulator already takes faults at {path}; give another path")
            path.unlink()
        self._server = socket.socket(socket.AF_UNIX)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._server.bind(str(path))
        except OSError as error:
            self._server.close()
            raise BadConfig(f"cannot listen on {path}: {error}; give another path") from error
        self._server.listen()
        self._server.setblocking(False)
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}

    def watched(self) -> list[int]:
        """Return the file descriptors to wait for."""
        return [self._server.fileno(), *self._clients]

    def serve(self, ready: int) -> None:
        """Handle a file descriptor that is ready."""
        if ready == self._server.fileno():
            client, _ = self._server.accept()
            self._clients[client.fileno()] = (client, bytearray())
            return
        if ready not in self._clients:
            return
        client, buffer = self._clients[ready]
        try:
            data = client.recv(READ_SIZE)
            buffer += data
            while b"\n" in buffer:
                line, _, rest = bytes(buffer).partition(b"\n")
                buffer[:] = rest
                client.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        except OSError:
            data = b""
        if not data:
            del self._clients[ready]
            client.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise BadConfig(f"{values!r} is no JSON object")
            self._inject(Fault.of(values))
        except (HandlabError, ValueError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True}

    def close(self) -> None:
        """Stop listening."""
        for client, _ in self._clients.values():
            client.close()
        self._clients.clear()
        self._server.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def _answers(path: Path) -> bool:
    """Return whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


class FaultInjector:
    """Client that injects faults into an emulator in another process.

    Args:
        path: path of the emulator's control socket.

    Raises:
        StationFault: no emulator listens on the socket.
    """

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise StationFault(
                f"no emulator takes faults at {path} ({error}); start one with a control socket"
            ) from error
        self._reader = self._socket.makefile("r")

    def inject(self, fault: str, **values: Any) -> None:
        """Inject a fault with the values of `faults.Fault`.

        Raises:
            BadConfig: the emulator rejects the fault; the message gives the reason.
            StationFault: the emulator is gone.
        """
        try:
            self._socket.sendall(json.dumps({"fault": fault, **values}).encode() + b"\n")
            answer = self._reader.readline()
        except OSError as error:
            raise StationFault(f"the emulator did not take the fault: {error}") from error
        if not answer:
            raise StationFault("the emulator is gone")
        result = json.loads(answer)
        if not result["ok"]:
            raise BadConfig(result["error"])

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

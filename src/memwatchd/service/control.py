"""The control socket: one JSON object in, one JSON object out, per connection.

    {"command": "dump", "detail": "…"}   -> {"path": "…"}     when the incident is on disk
    anything else                        -> {"error": "…"}

Connections are few and short-lived: at most eight at once, each closed after its answer or when it says
nothing sensible in 4 KiB. The socket's mode lets in root and the service's group only.
"""

import json
import socket
from pathlib import Path
from typing import Any

_MAX_REQUEST_BYTES = 4096
_MAX_CONNECTIONS = 8


def listen(path: Path) -> socket.socket:
    """Open the control socket, replacing a dead one's.

    Raises:
        OSError: The directory cannot be written.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    path.chmod(0o660)
    listener.listen(_MAX_CONNECTIONS)
    return listener


class Connection:
    """One client; the service's main loop calls `readable` when there is something to read."""

    def __init__(self, client: socket.socket) -> None:
        client.setblocking(False)
        self.client = client
        self._request = b""

    def readable(self) -> dict[str, Any] | None:
        """Take in what has come; the request once it is whole, None as long as it is not.

        Raises:
            ValueError: It is no request, or the client has gone away.
        """
        try:
            chunk = self.client.recv(_MAX_REQUEST_BYTES)
        except BlockingIOError:
            return None
        self._request += chunk
        if not chunk or len(self._request) > _MAX_REQUEST_BYTES:
            raise ValueError("expected one line of JSON")
        if not self._request.endswith(b"\n"):
            return None
        request = json.loads(self._request)
        if not isinstance(request, dict):
            raise ValueError("expected a JSON object")
        return request

    def answer(self, reply: dict[str, Any]) -> None:
        """Send the answer and close; a client that has gone away does not matter."""
        try:
            self.client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            self.client.close()
            return
        self.client.close()


def ask(path: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Send a request to the daemon and wait for its answer.

    Raises:
        OSError: Nobody is there, or not in time.
        ValueError: The answer is no JSON object.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    reply = json.loads(answer)
    if not isinstance(reply, dict):
        raise ValueError("the daemon's answer is no JSON object")
    return reply

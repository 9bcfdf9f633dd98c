"""The control socket: one JSON object in, one JSON object out, per connection.

    {"command": "dump", "detail": "…"}   -> {"path": "…"}     when the incident is on disk
    anything else                        -> {"error": "…"}

Connections are few and short-lived: each is closed after its answer, or when it says nothing sensible in
4 KiB; when eight are waiting, a ninth takes the place of the oldest. The socket's mode lets in root and the
service's user only, and whoever has got hold of it otherwise is asked for by SO_PEERCRED.
"""

import json
import os
import selectors
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAX_REQUEST_BYTES = 4096
_MAX_CONNECTIONS = 8
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


def listen(path: Path) -> socket.socket:
    """Open the control socket, replacing a dead one's.

    Raises:
        OSError: The directory cannot be written.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(str(path))
    # Before anybody can connect: there is no moment in which the mode is another one.
    path.chmod(0o600)
    listener.listen(_MAX_CONNECTIONS)
    return listener


def may_command(client: socket.socket) -> bool:
    """Whether the peer of a connection is root or the service's own user, as the kernel says."""
    raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return uid in (0, os.geteuid())


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
        except OSError as error:
            raise ValueError(f"the client has gone away: {error.strerror}") from error
        self._request += chunk
        if not chunk or len(self._request) > _MAX_REQUEST_BYTES:
            raise ValueError("expected one line of JSON")
        if not self._request.endswith(b"\n"):
            return None
        try:
            request = json.loads(self._request)
        except RecursionError as error:
            raise ValueError("expected less nesting") from error
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


class Control:
    """Serves the control socket from the service's selector.

    Args:
        listener: From `listen`.
        selector: Its data are functions to be called when there is something to read.
        obey: Gets a whole request and the connection on which to answer it, sooner or later.
    """

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        obey: Callable[[dict[str, Any], Connection], None],
    ) -> None:
        self._listener = listener
        self._selector = selector
        self._obey = obey
        self._waiting: list[Connection] = []
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client has gone away again
        if len(self._waiting) == _MAX_CONNECTIONS:
            self._drop(self._waiting[0]).answer({"error": "too many connections"})
        connection = Connection(client)
        self._waiting.append(connection)
        self._selector.register(client, selectors.EVENT_READ, lambda: self._hear(connection))

    def _hear(self, connection: Connection) -> None:
        if connection not in self._waiting:
            return  # dropped for another one in this very turn
        try:
            request = connection.readable()
        except ValueError as error:
            self._drop(connection).answer({"error": str(error)})
            return
        if request is None:
            return
        self._drop(connection)
        # Not when it connects: who is cut off while he speaks does not hear why.
        if may_command(connection.client):
            self._obey(request, connection)
        else:
            connection.answer({"error": "only root and the user of memwatchd may do this"})

    def _drop(self, connection: Connection) -> Connection:
        """Listen to it no longer."""
        self._waiting.remove(connection)
        self._selector.unregister(connection.client)
        return connection


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

"""A virtio-serial port: lines of JSON between guest and host."""

import json
import os
import select
import time
from typing import Any

_WHERE = "/dev/virtio-ports"


class Port:
    """One end of a channel.

    Args:
        name: As the host named it.
    """

    def __init__(self, name: str) -> None:
        self._fd = os.open(f"{_WHERE}/{name}", os.O_RDWR | os.O_NONBLOCK)
        self._unread = b""

    def say(self, report: str, **facts: object) -> None:
        """Send one line; `at` is the guest's monotonic clock in seconds."""
        self.write(json.dumps({"at": time.monotonic(), "report": report, **facts}).encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Send bytes; what the host does not take within ten seconds is lost."""
        deadline = time.monotonic() + 10
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return
                select.select([], [self._fd], [], 0.2)

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The host's next line; None when none comes in time."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            readable, _, _ = select.select([self._fd], [], [], left)
            if not readable:
                return None
            try:
                piece = os.read(self._fd, 4096)
            except BlockingIOError:
                continue
            if not piece:  # nobody is connected on the host's side
                time.sleep(min(0.1, left))
            self._unread += piece
        line, self._unread = self._unread.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        return found

"""Sending a message to somebody's Unix socket without ever waiting for them."""

import socket
from pathlib import Path

MAX_PATH_BYTES = 107


def send_datagram(path: Path, message: bytes) -> None:
    """Send one datagram.

    Raises:
        BlockingIOError: Whoever reads there is too far behind.
        OSError: Nobody is there, or we may not write to it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(message, bytes(path))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

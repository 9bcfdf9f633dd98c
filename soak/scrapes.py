"""Clients of the exporter: several in good order, and some as they are out in the world.

A slow one sends its request byte by byte and reads the answer in drops; a silent one says nothing; a rude one
goes away in the middle of the answer.
"""

import http.client
import itertools
import socket
import time
from collections.abc import Callable

from soak.activity import Trouble

_TIMEOUT_S = 30.0
_SILENT_S = 5.0
_DROP_BYTES = 4096
_DROP_S = 0.2
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_NEEDED = (b"memwatchd_up 1", b"memwatchd_ticks_total", b"memwatchd_rule_fired_total")


def scrape(port: int) -> None:
    """Scrape once, as Prometheus does.

    Raises:
        Trouble: The answer is not what it should be.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        _check(answer.status, answer.read())
    except http.client.HTTPException as error:
        raise Trouble(f"scrape: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def bad_manners(port: int) -> Callable[[], None]:
    """Make a client that behaves badly in a different way each time."""
    ways = itertools.cycle((_slow, _silent, _rude, _nonsense))
    return lambda: next(ways)(port)


def _slow(port: int) -> None:
    with _connect(port) as client:
        for at in range(len(_REQUEST)):
            client.sendall(_REQUEST[at : at + 1])
            time.sleep(0.02)
        page = b""
        while chunk := client.recv(_DROP_BYTES):
            page += chunk
            time.sleep(_DROP_S)
    _check(int(page.split(None, 2)[1]), page)


def _silent(port: int) -> None:
    with _connect(port):
        time.sleep(_SILENT_S)


def _rude(port: int) -> None:
    with _connect(port) as client:
        client.sendall(_REQUEST)
        client.recv(16)
        # Away with what is still on its way: the other end gets a reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))


def _nonsense(port: int) -> None:
    with _connect(port) as client:
        client.sendall(b"\xff\x00 nonsense\r\n\r\n")
        client.recv(_DROP_BYTES)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)


def _check(status: int, page: bytes) -> None:
    missing = [name.decode() for name in _NEEDED if name not in page]
    if status != http.client.OK or missing:
        raise Trouble(f"scrape: status {status}, not in the page: {', '.join(missing) or 'nothing'}")

"""Serving the metrics over HTTP, from a process without rights."""

import os
import signal
import socket
import sys
import time

from prometheus_client import generate_latest, start_http_server
from prometheus_client.registry import CollectorRegistry

from memwatchd.config.model import Listen
from memwatchd.errors import MemwatchdError, NotRunningError, StartError
from memwatchd.exporter.collector import MemwatchdCollector
from memwatchd.kernel.privileges import become_ordinary
from memwatchd.places import Places
from memwatchd.ring.file import RingMap, open_ring

_NOBODY = 65534
_WAIT_S = 10.0


def serve(places: Places, listen: Listen, *, until_eof: bool) -> None:
    """Serve until killed, or as a child of the service until that ends.

    Args:
        places: Where the ring and the state file are.
        listen: Where to listen.
        until_eof: End when standard input does. A signal could not do it: the service may not have the right
            to send one to nobody, and the kernel forgets about a parent's death when rights change.

    Raises:
        NotRunningError: There is no ring.
        StartError: The address cannot be had.
    """
    if until_eof:
        # Ctrl-C reaches the whole foreground group; the service decides when its children end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    become_ordinary()  # the service's own priority came with the fork
    registry = CollectorRegistry()
    registry.register(MemwatchdCollector(places, _open_ring(places)))
    try:
        start_http_server(listen.port, addr=listen.host, registry=registry)
    except (OSError, socket.gaierror) as error:
        raise StartError(f"exporter: {listen}: {error.strerror}") from error
    # By now all code is loaded, which may lie where nobody else can read, and the ring is mapped for good.
    generate_latest(registry)
    _drop_rights()
    if until_eof:
        while os.read(sys.stdin.fileno(), 1):
            pass
        return
    while True:
        signal.pause()


def _open_ring(places: Places) -> RingMap:
    deadline_s = time.monotonic() + _WAIT_S
    while True:
        try:
            return open_ring(places.ring)
        except MemwatchdError as error:
            if time.monotonic() > deadline_s:
                raise NotRunningError(str(error)) from error
        time.sleep(0.1)


def _drop_rights() -> None:
    """Become nobody, when there is anything to give up."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)

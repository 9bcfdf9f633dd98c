"""The sampler process as the service sees it: starting it, hearing from it, noticing its death."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from memwatchd.ring.board import Slot
from memwatchd.sampling.plan import MAX_MESSAGE_BYTES, Plan


@dataclass(slots=True)
class SamplerProcess:
    """A running sampler.

    Attributes:
        control: This end of the socket to it, not blocking.
        degraded: What it could not do, once it has said so.
        warm: It waits for the word to begin.
        ready: It has been given the word, and takes commands.
        gone: It has closed its end.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    descriptor: int
    degraded: list[str] = field(default_factory=list)
    warm: bool = False
    ready: bool = False
    gone: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def start(cls, plan: Plan, alarm: int) -> "SamplerProcess":
        """Start a sampler; it says when it is warm.

        Raises:
            OSError: No process could be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open(os.memfd_create("plan"), "w+b", buffering=0) as file:
            file.write(plan.to_json())
            file.seek(0)
            descriptors = (theirs.fileno(), alarm, file.fileno())
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "memwatchd.sampling", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                # Bound late, the first call of each function would look up its name, maybe on the disk.
                env={**os.environ, "LD_BIND_NOW": "1"},
            )
        ours.setblocking(False)
        return cls(process, ours, os.pidfd_open(process.pid))

    def hear(self) -> list[dict[str, Any]]:
        """Read what it has decided, without waiting; that it is warm is kept in `warm` and `degraded`."""
        decisions = []
        while not self.gone:
            try:
                message = self.control.recv(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                message = b""
            if not message:
                self.gone = True
                break
            said: dict[str, Any] = json.loads(message)
            if "degraded" in said:
                self.degraded, self.warm = said["degraded"], True
            else:
                decisions.append(said)
        return decisions

    def go(self) -> None:
        """Give the word to begin; one that is gone by now will be buried."""
        with suppress(OSError):
            self.control.send(b"{}")
        self.ready = True

    def command(self, board: memoryview, command: dict[str, Any], descriptors: list[int]) -> bool:
        """Send a command and ring for it; False when the sampler is too far behind to take it now.

        Called from several threads.
        """
        with self._lock:
            try:
                socket.send_fds(self.control, [json.dumps(command).encode()], descriptors)
            except OSError:
                return False  # it is gone, too far behind, or the command is too long for one message
            board[Slot.DOORBELL] += 1
        return True

    def stop(self, timeout_s: float) -> None:
        """End it in good order, or otherwise."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it has ended, and what belonged to it was given back."""
        return self.control.fileno() < 0

    def close(self) -> None:
        """Give back what belonged to it."""
        os.close(self.descriptor)
        self.control.close()

"""The sampler process as the service sees it: starting it, hearing from it, noticing its death."""

import json
import os
import signal
import socket
import subprocess
import sys
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
        gone: It has closed its end.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    descriptor: int
    degraded: list[str] = field(default_factory=list)
    ready: bool = False
    gone: bool = False

    @classmethod
    def start(cls, plan: Plan, alarm: int) -> "SamplerProcess":
        """Start a sampler; it says when it is warm.

        Raises:
            OSError: No process could be started.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "memwatchd.sampling", str(theirs.fileno()), str(alarm)],
                pass_fds=(theirs.fileno(), alarm),
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        ours.send(plan.to_json())
        return cls(process, ours, os.pidfd_open(process.pid))

    def hear(self) -> bool:
        """Read what it says, without waiting; True when it has just become ready."""
        try:
            message = self.control.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            message = b""
        if not message:
            self.gone = True
            return False
        said: dict[str, Any] = json.loads(message)
        self.degraded = said["degraded"]
        self.ready = True
        return True

    def command(self, board: memoryview, command: dict[str, Any], descriptors: list[int]) -> bool:
        """Send a command and ring for it; False when the sampler is too far behind to take it now."""
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

    def close(self) -> None:
        """Give back what belonged to it."""
        os.close(self.descriptor)
        self.control.close()

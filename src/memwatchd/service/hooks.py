"""The helper that runs hook programs, as the service sees it: started, asked, restarted, ended.

The service's workers ask it and wait; a thread of its own hands each the reply that is theirs.
"""

import errno
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from itertools import count

from memwatchd.hooks.protocol import MAX_MESSAGE_BYTES, Reply, Request
from memwatchd.incidents.recorder import Note
from memwatchd.service.background import start_thread
from memwatchd.service.children import Backoff

_STOP_S = 5.0
# Over its budget a program has a second to end by itself, and the helper needs to get round to it.
_PATIENCE_NS = 3_000_000_000


class HookProcess:
    """Keeps a helper running.

    Args:
        note: The journal.
    """

    def __init__(self, note: Note) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._note = note
        self._backoff = Backoff()
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._ids = count(1)
        self._waiting: dict[int, queue.SimpleQueue[Reply]] = {}

    @property
    def pid(self) -> int | None:
        """The helper's process; None while there is none."""
        process = self.process  # asked for by other threads, too
        return None if process is None else process.pid

    # ---- what the service's loop calls

    def start(self) -> None:
        """Start it."""
        now_ns = time.monotonic_ns()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-I", "-m", "memwatchd.hooks", str(theirs.fileno())]
            try:
                self.process = subprocess.Popen(
                    command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL
                )
            except OSError as error:
                ours.close()
                self._note("error", f"the helper for hooks cannot be started: {error.strerror}")
                self._backoff.died(now_ns)
                return
        with self._lock:
            self._control = ours
        start_thread(lambda: self._hear(ours), "hooks")
        self._backoff.started(now_ns)

    def poll(self, now_ns: int) -> None:
        """Start it again when it died, but not in a storm."""
        if self.process is not None and self.process.poll() is not None:
            self._note("warning", f"the helper for hooks ended with status {self.process.returncode}")
            self.process = None
            self._backoff.died(now_ns)
        if self._backoff.due(now_ns):
            self.start()

    def stop(self) -> None:
        """End it, and what it runs."""
        with self._lock:
            control, self._control = self._control, None
        if control is not None:
            control.shutdown(socket.SHUT_RDWR)
        if self.process is None:
            return
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    # ---- what workers call

    def run(self, program: str, environment: Mapping[str, str], budget_ns: int) -> int | None:
        """Have a program run, and wait for its end.

        Args:
            program: Absolute path.
            environment: Beside PATH and LANG.
            budget_ns: After which it is killed.

        Returns:
            Its exit status, negative for a signal; None when it did not end in time.

        Raises:
            OSError: It could not be started; or there is no helper now, or it died meanwhile.
        """
        request = Request(next(self._ids), program, environment, budget_ns)
        replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        with self._lock:
            control = self._control
            if control is None:
                raise _gone()
            self._waiting[request.id] = replies
        try:
            control.send(request.pack(), socket.MSG_DONTWAIT)
            reply = replies.get(timeout=(budget_ns + _PATIENCE_NS) / 1e9)
        except queue.Empty:
            return None
        finally:
            with self._lock:
                self._waiting.pop(request.id, None)
        if reply.errno == errno.EPIPE:
            raise _gone()
        if reply.errno:
            raise OSError(reply.errno, os.strerror(reply.errno), program)
        return reply.status

    def _hear(self, control: socket.socket) -> None:
        """Hand replies on until the helper closes its end; then tell everybody who still waits."""
        with control:
            while message := _receive(control):
                reply = Reply.unpack(message)
                with self._lock:
                    waiting = self._waiting.get(reply.id)
                if waiting is not None:
                    waiting.put(reply)
            with self._lock:
                if self._control is control:
                    self._control = None
                left = dict(self._waiting)
            for number, replies in left.items():
                replies.put(Reply(number, errno=errno.EPIPE))


def _receive(control: socket.socket) -> bytes:
    try:
        return control.recv(MAX_MESSAGE_BYTES)
    except ConnectionResetError:
        return b""


def _gone() -> OSError:
    return BrokenPipeError(errno.EPIPE, "the helper for hooks is gone")

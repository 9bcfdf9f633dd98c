"""Effects on other processes: signals, waiting for a death, reaping memory, limits.

A process is known by its pid and its start time, /proc/PID/stat's 22nd field. Whoever wants to do something
to one opens a `Handle`: the pidfd is taken first and the start time compared afterwards, so from then on the
pidfd means that very process whatever becomes of its number. pidfd_open(2) is there since Linux 5.3; there is
no way back to kill(2), which would have to trust the number. process_mrelease(2) is there since 5.15.

A pidfd becomes readable when the last thread has ended, so a leader that is a zombie while its threads live
on is alive to us, as it is to the OOM killer.
"""

import ctypes
import errno
import os
import resource
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from memwatchd.errors import ParseError
from memwatchd.kernel.directory import Directory
from memwatchd.procfs.process import ProcessStat, parse_stat
from memwatchd.roots import Roots

_libc = ctypes.CDLL(None, use_errno=True)

# The same on every architecture but alpha, which adds 110 to all numbers of this age.
_SYS_PROCESS_MRELEASE = 558 if os.uname().machine == "alpha" else 448

# linux/capability.h
CAP_DAC_OVERRIDE, CAP_KILL, CAP_SYS_PTRACE, CAP_SYS_RESOURCE = 1, 5, 19, 24


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """What tells a process from every other one since start-up.

    Attributes:
        starttime_ticks: Ticks of USER_HZ since start-up.
    """

    pid: int
    starttime_ticks: int


@dataclass(frozen=True, slots=True)
class Handle:
    """One process, held by a pidfd and by its directory in /proc; a context manager."""

    identity: Identity
    descriptor: int
    directory: Directory

    @classmethod
    def open(cls, roots: Roots, identity: Identity) -> "Handle":
        """Take hold of a process.

        Raises:
            ProcessLookupError: It is gone, or its pid is another process's by now.
            OSError: The kernel has no pidfd_open, or /proc numbers processes otherwise than the kernel does
                for us: it belongs to another pid namespace.
        """
        if not same_numbers(roots):
            raise OSError(errno.EXDEV, "belongs to another pid namespace", str(roots.procfs))
        descriptor = os.pidfd_open(identity.pid)
        try:
            return cls(identity, descriptor, open_process(roots, identity))
        except OSError:
            os.close(descriptor)
            raise

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)
        self.directory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, number: int) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: It has ended.
            PermissionError: It is another user's, and CAP_KILL is missing.
        """
        signal.pidfd_send_signal(self.descriptor, number)

    def wait(self, until_ns: int) -> bool:
        """Wait for its end until a moment of the monotonic clock; False if it is still alive then."""
        return not wait_for_ends([self], until_ns)

    @property
    def alive(self) -> bool:
        """Whether a thread of it is left."""
        return not self.wait(0)

    def state(self) -> str:
        """Its leader's state, one letter as in ``stat``; ``X`` when it is gone."""
        try:
            return parse_stat(self.directory.read("stat")).state
        except (OSError, ParseError):
            return "X"

    def release_memory(self) -> str:
        """Have the kernel take the memory of a dying process at once, in this thread: process_mrelease(2).

        Returns:
            ``done``, or in a few words why not.
        """
        if _libc.syscall(_SYS_PROCESS_MRELEASE, self.descriptor, 0) == 0:
            return "done"
        number = ctypes.get_errno()
        return _MRELEASE.get(number, os.strerror(number))

    def limit(self, which: int, soft: int) -> tuple[int, int]:
        """Set a soft limit with prlimit(2), leaving the hard one alone; returns soft and hard as they were.

        Raises:
            ProcessLookupError: It has ended.
            PermissionError: It is another user's, and CAP_SYS_RESOURCE is missing.
            OSError: The hard limit is lower.
        """
        before = resource.prlimit(self.identity.pid, which)
        try:
            resource.prlimit(self.identity.pid, which, (soft, before[1]))
        except ValueError as error:
            raise OSError(errno.EINVAL, str(error)) from error
        # Alive now, so the number was its own all the while.
        if not self.alive:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return before


# What process_mrelease says when it does nothing, mm/oom_kill.c.
_MRELEASE = {
    errno.ENOSYS: "not in this kernel, since Linux 5.15",
    errno.EINVAL: "it is not dying yet",
    errno.ESRCH: "its memory was gone already",
    errno.EAGAIN: "its memory was busy",
}


def open_process(roots: Roots, identity: Identity) -> Directory:
    """Open a process's directory in /proc.

    Raises:
        ProcessLookupError: It is gone, or its pid is another process's by now.
        OSError: It is not for us.
    """
    try:
        directory = Directory.open(f"{roots.procfs}/{identity.pid}")
    except FileNotFoundError as error:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
    try:
        if read_stat(directory).starttime_ticks != identity.starttime_ticks:
            raise ProcessLookupError(errno.ESRCH, "its pid is another process's by now")
    except OSError:
        directory.close()
        raise
    return directory


def read_stat(directory: Directory) -> ProcessStat:
    """Read a process's ``stat``.

    Raises:
        ProcessLookupError: It is gone.
        OSError: It is not for us, or makes no sense.
    """
    try:
        return parse_stat(directory.read("stat"))
    except FileNotFoundError as error:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
    except ParseError as error:
        raise OSError(errno.EBADMSG, str(error)) from error


def same_numbers(roots: Roots) -> bool:
    """Whether /proc and the system calls mean the same process by a pid.

    With a host's /proc in a container of its own pid namespace they do not.
    """
    try:
        return roots.procfs.joinpath("self").readlink().name == str(os.getpid())
    except OSError:
        return False


def wait_for_ends(handles: Iterable[Handle], until_ns: int) -> list[Handle]:
    """Wait for processes to end until a moment of the monotonic clock; returns those still alive."""
    alive = {handle.descriptor: handle for handle in handles}
    poller = select.poll()
    for descriptor in alive:
        poller.register(descriptor, select.POLLIN)
    while alive:
        left_ns = until_ns - time.monotonic_ns()
        ended = poller.poll(max(0, -(-left_ns // 1_000_000)))
        for descriptor, _ in ended:
            poller.unregister(descriptor)
            del alive[descriptor]
        if left_ns <= 0:
            break
    return list(alive.values())


def has_capability(number: int) -> bool:
    """Whether this process has a capability in effect: ``CapEff`` in /proc/self/status."""
    for line in Path("/proc/self/status").read_bytes().splitlines():
        if line.startswith(b"CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False

"""Running programs within a time budget, one run of each program at a time.

Every program leads a session and process group of its own. When its budget is over the group gets SIGTERM,
a second later SIGKILL. When it ends by itself, what it leaves in its group is killed: nobody would bound
that any more. The leader is reaped only after that, so its number cannot be another group's by then.
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memwatchd.hooks.protocol import Reply, Request

_GRACE_NS = 1_000_000_000
_MOST_WAITING = 16
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_ADJ = Path("/proc/self/oom_score_adj")


@dataclass(slots=True)
class _Run:
    """A program that runs.

    Attributes:
        due_ns: When it gets the next signal.
        late: Its budget is over: it has got SIGTERM.
    """

    request: Request
    pid: int
    descriptor: int
    due_ns: int
    late: bool = False


class Runner:
    """Runs what it is given; reports each run once.

    Args:
        report: Takes the reply to a request.
        watch: Has a descriptor watched; it is a pidfd, readable once its program has ended.
        unwatch: The opposite.
    """

    def __init__(
        self, report: Callable[[Reply], None], watch: Callable[[int], None], unwatch: Callable[[int], None]
    ) -> None:
        self._report = report
        self._watch = watch
        self._unwatch = unwatch
        self._running: dict[int, _Run] = {}
        self._waiting: list[tuple[Request, int]] = []

    def take(self, request: Request) -> None:
        """Start a program, or have it wait until an earlier run of it has ended."""
        if len(self._waiting) >= _MOST_WAITING:
            self._report(Reply(request.id, errno=errno.EBUSY))
            return
        self._waiting.append((request, time.monotonic_ns() + request.budget_ns))
        self._start_waiting()

    def ended(self, descriptor: int) -> None:
        """A program has ended: kill what it left, report, start the next."""
        run = self._running.pop(descriptor)
        _signal_group(run.pid, signal.SIGKILL)
        _, status = os.waitpid(run.pid, 0)
        self._unwatch(descriptor)
        os.close(descriptor)
        self._report(Reply(run.request.id, None if run.late else os.waitstatus_to_exitcode(status)))
        self._start_waiting()

    def tick(self) -> int | None:
        """End what is over its budget; returns when to be called again, None when nothing runs."""
        now_ns = time.monotonic_ns()
        for run in self._running.values():
            if now_ns >= run.due_ns:
                _signal_group(run.pid, signal.SIGKILL if run.late else signal.SIGTERM)
                run.late, run.due_ns = True, now_ns + _GRACE_NS
        over = [request for request, until_ns in self._waiting if now_ns >= until_ns]
        self._waiting = [(request, until_ns) for request, until_ns in self._waiting if now_ns < until_ns]
        for request in over:
            self._report(Reply(request.id))
        due = [run.due_ns for run in self._running.values()] + [until_ns for _, until_ns in self._waiting]
        return min(due, default=None)

    def stop(self) -> None:
        """Kill everything that runs; whoever inherits it will reap it."""
        for run in self._running.values():
            _signal_group(run.pid, signal.SIGKILL)

    def _start_waiting(self) -> None:
        busy = {run.request.program for run in self._running.values()}
        waiting, self._waiting = self._waiting, []
        for request, until_ns in waiting:
            if request.program in busy:
                self._waiting.append((request, until_ns))
            elif self._start(request, until_ns):
                busy.add(request.program)

    def _start(self, request: Request, until_ns: int) -> bool:
        try:
            pid = _spawn(request.program, request.environment)
        except OSError as error:
            self._report(Reply(request.id, errno=error.errno or errno.EIO))
            return False
        except ValueError:  # a NUL, or a name with =, in what is no program or no environment
            self._report(Reply(request.id, errno=errno.EINVAL))
            return False
        descriptor = os.pidfd_open(pid)
        self._running[descriptor] = _Run(request, pid, descriptor, until_ns)
        self._watch(descriptor)
        return True


def _spawn(program: str, environment: Mapping[str, str]) -> int:
    """Start a program; its output goes where ours does.

    Raises:
        OSError: No such file, not executable, no memory for a process.
    """
    before = _expose()
    try:
        return os.posix_spawn(
            program,
            [program],
            {**_ENVIRONMENT, **environment},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[each for each in signal.Signals if each not in (signal.SIGKILL, signal.SIGSTOP)],
        )
    finally:
        _protect(before)


def _expose() -> str | None:
    """Take our own protection from the OOM killer off, so that the child does not inherit it.

    Changing the child's afterwards would be too late for what it has forked by then.

    Returns:
        What it was; None when there is nothing to take off.
    """
    with suppress(OSError):  # no /proc: there is nothing that could be done about it
        before = _ADJ.read_text()
        if int(before) < 0:
            _ADJ.write_text("0")
            return before
    return None


def _protect(before: str | None) -> None:
    if before is not None:
        # Without CAP_SYS_RESOURCE it may not be lowered again: this helper is not worth protecting then.
        with suppress(OSError):
            _ADJ.write_text(before)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the group of a program that has not been reaped yet."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended; or became somebody else's
        os.killpg(pid, number)

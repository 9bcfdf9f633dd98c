"""Running a program of yours, through the helper process."""

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.keys import Kind, key

_NAME = re.compile(r"[^A-Z0-9]+")
_MOST_CHARS = 1000
_MOST_FIGURES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook(Action):
    """Runs a program, by a helper process that was started with the daemon: the daemon itself forks nothing.

    The program gets no arguments, nothing on standard input, a session of its own and a clean environment:
    PATH, LANG and

    - `MEMWATCHD_RULE`, `MEMWATCHD_REASON`: the rule, and its condition with the figures when it fired
    - `MEMWATCHD_TIME`: seconds since 1970
    - `MEMWATCHD_FIGURE_<SIGNAL>`: each signal of the condition, in capitals, with `_` for all odd characters
      (`MEMWATCHD_FIGURE_MEMINFO_MEMAVAILABLE`): bytes, seconds or a plain number

    In these texts names given by strangers (processes, cgroups) may occur: what cannot be printed is
    replaced by a question mark, and the program must still not hand them to a shell unquoted.

    After `budget` its process group gets SIGTERM, a second later SIGKILL; what it leaves in its process
    group when it ends is killed too. One run of a program at a time. Its output goes to the daemon's
    standard error. The program must belong to root, or to the daemon's own user, and not be writable by
    others.
    """

    name: ClassVar[str] = "hook"
    summary: ClassVar[str] = "Run a program of yours, for a bounded time."
    single: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("the program: executable, and writable by nobody else",)

    program: Path = field(
        metadata=key(
            "program",
            Kind.PATH,
            "What is run.",
            example="/usr/local/sbin/on-memory",
            max_bytes=4095,
            required=True,
        ),
    )
    budget_ns: int = field(
        default=4_000_000_000,
        metadata=key(
            "budget",
            Kind.DURATION,
            "How long it may run; not longer than the deadline.",
            example="4s",
            minimum=10_000_000,
            maximum=600_000_000_000,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say whether it may run longer than it is waited for."""
        if self.budget_ns > self.deadline_ns:
            yield "budget: expected at most the deadline, after which nobody waits for it"

    def missing(self, world: World) -> Iterable[str]:
        """Say what is wrong with the program."""
        return [f"{self.program}: {problem}" for problem in _unfit(self.program)]

    def aim(self, world: World) -> Intent:
        """Say what would be run."""
        return Intent(f"run {self.program}", (Target(str(self.program), "named"),))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Have it run, and wait for it."""
        problem = next(_unfit(self.program), None)
        if problem is not None:
            return Outcome(Verdict.FAILED, f"{self.program}: {problem}")
        began_ns = world.now_ns()
        budget_ns = max(0, min(self.budget_ns, occasion.until_ns - began_ns))
        status = world.outlets.run_hook(str(self.program), hook_environment(occasion, time.time()), budget_ns)
        figures = {"status": status, "took_ns": world.now_ns() - began_ns}
        if status is None:
            return Outcome(Verdict.TIMED_OUT, f"{self.program} did not end in time and was ended", figures)
        ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return Outcome(Verdict.FAILED if status else Verdict.HELPED, f"{self.program} {ended}", figures)


def hook_environment(occasion: Occasion, realtime_s: float) -> dict[str, str]:
    """Say in environment variables what there is to say."""
    figures = {
        f"MEMWATCHD_FIGURE_{_NAME.sub('_', name.upper()).strip('_')[:100]}": f"{value:.10g}"
        for name, value in list(occasion.figures.items())[:_MOST_FIGURES]
    }
    return {
        "MEMWATCHD_RULE": _harmless(occasion.rule),
        "MEMWATCHD_REASON": _harmless(occasion.reason),
        "MEMWATCHD_TIME": f"{realtime_s:.3f}",
        **figures,
    }


def _harmless(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:_MOST_CHARS])


def _unfit(program: Path) -> Iterator[str]:
    try:
        status = program.stat()
    except OSError as error:
        yield f"{error.strerror}"
        return
    if not stat.S_ISREG(status.st_mode):
        yield "is no regular file"
    elif not os.access(program, os.X_OK):
        yield "is not executable"
    elif status.st_uid not in (0, os.geteuid()):
        yield f"belongs to uid {status.st_uid}, who could have anything run"
    elif status.st_mode & 0o022:
        yield f"has mode {stat.S_IMODE(status.st_mode):04o}: others could have anything run"

"""The limits a process can be given, and what it uses of each.

VmSize: 1234567 kB    RLIMIT_AS
VmData:  234567 kB    RLIMIT_DATA
FDSize: 1048576       RLIMIT_NOFILE: room in its table of descriptors, of which half was used at some time

These are lines of ``/proc/PID/status``.
"""

import errno
import os
import re
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memwatchd.actions.base import Outcome, Verdict, World
from memwatchd.kernel.processes import Handle, Identity
from memwatchd.units import format_bytes

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Rlimit:
    """A limit of processes.

    Attributes:
        label: What the kernel calls it.
        which: Its number for prlimit().
        line: Its use in /proc/PID/status.
        scale: What a one of that line is.
        step: What the kernel keeps is a multiple of this.
        told: Writes an amount for people.
    """

    label: str
    which: int
    line: re.Pattern[bytes]
    scale: int
    step: int
    told: Callable[[int], str]

    def used(self, process: Handle) -> int:
        """How much a process uses: bytes, or files.

        Raises:
            ProcessLookupError: it is gone, or only a zombie is left.
        """
        found = self.line.search(process.directory.read("status"))
        if found is None:
            raise ProcessLookupError(errno.ESRCH, "it has no memory any more")
        return int(found[1]) * self.scale

    def rounded(self, wanted: float) -> int:
        """The limit as the kernel keeps it."""
        return whole(wanted, self.step)


def whole(wanted: float, step: int) -> int:
    """Round down to a multiple, at least one: what is read back has to be what was written."""
    return max(1, int(wanted) // step) * step


def _of_memory(label: str, which: int, line: bytes) -> Rlimit:
    pattern = re.compile(rb"^%s:\s*([0-9]+) kB" % line, re.MULTILINE)
    return Rlimit(label, which, pattern, 1024, PAGE_BYTES, format_bytes)


RLIMITS = {
    "as": _of_memory("RLIMIT_AS", resource.RLIMIT_AS, b"VmSize"),
    "data": _of_memory("RLIMIT_DATA", resource.RLIMIT_DATA, b"VmData"),
    "files": Rlimit(
        "RLIMIT_NOFILE",
        resource.RLIMIT_NOFILE,
        re.compile(rb"^FDSize:\s*([0-9]+)$", re.MULTILINE),
        scale=1,
        step=1,
        told=lambda count: f"{count} files",
    ),
}


def put_back(world: World, facts: Mapping[str, Any]) -> Outcome:
    """Give a process its former limit again where it still has the one that was set.

    Args:
        world: Where the processes are.
        facts: Its pid, starttime_ticks and name; which limit, the old and the new one.
    """
    name = str(facts.get("name", facts["pid"]))
    try:
        with Handle.open(world.roots, Identity(facts["pid"], facts["starttime_ticks"])) as handle:
            soft, hard = resource.prlimit(facts["pid"], facts["which"])
            if soft != facts["new"] or not _fits(facts["old"], hard):
                return Outcome(Verdict.DECLINED, f"somebody else has changed the limit of {name} since")
            handle.limit(facts["which"], facts["old"])
    except ProcessLookupError:
        return Outcome(Verdict.DECLINED, f"{name} is gone")
    return Outcome(Verdict.HELPED, f"{name} has its former limit again")


def _fits(soft: int, hard: int) -> bool:
    """Whether a soft limit is no higher than a hard one."""
    unlimited = resource.RLIM_INFINITY
    return hard == unlimited or (soft != unlimited and soft <= hard)

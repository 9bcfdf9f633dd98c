"""Who has very many files open: what is open cannot be dropped from the kernel's caches.

    /proc/PID/status     FDSize:	1048576          room in the table of descriptors
    /proc/PID/fd         st_size of the directory    how many are open, since 6.2
    /proc/sys/fs/file-nr 900412	0	9223372036854775807

Counting the entries of ``/proc/PID/fd`` would be dear, and wrong just here: listing it makes a dentry and an
inode of /proc for every descriptor, in the very caches that are too large. ``FDSize`` only ever grows, to
the power of two above the highest descriptor there was, maybe long ago: it says whom to ask.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nlargest

from memwatchd.actions.table import list_pids
from memwatchd.kernel.directory import Directory
from memwatchd.roots import Roots
from memwatchd.units import printable

# An open file keeps a dentry of 192 bytes and an inode of 600 to 1200, beside its own 232.
PINNED_BYTES = 1 << 10
# The pass may take so long: 20 µs a process, so that ten thousand are looked at.
_LONGEST_NS = 200_000_000
_NAMED = 3
_NAME = re.compile(rb"^Name:\t(.*)$", re.MULTILINE)
_FDSIZE = re.compile(rb"^FDSize:\t(\d{1,10})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with room for very many descriptors.

    Attributes:
        room: How many its table has room for.
        count: How many are open; None before 6.2.
    """

    comm: str
    pid: int
    room: int
    count: int | None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{printable(self.comm)} (pid {self.pid})"

    @property
    def phrase(self) -> str:
        """As part of a list."""
        return f"{self.name} {self.count if self.count is not None else f'up to {self.room}'}"


def find_holders(roots: Roots, now_ns: Callable[[], int], least: int) -> tuple[Holder, ...]:
    """Find the processes with the most open files, at most three, in a fifth of a second.

    Args:
        roots: Where /proc is.
        now_ns: The monotonic clock.
        least: Leave out who has fewer; of a table at least half was in use at some time.
    """
    found = [
        Holder(comm, pid, room, _count(roots, pid))
        for room, pid, comm in nlargest(_NAMED, _tables(roots, now_ns() + _LONGEST_NS, now_ns))
        if room // 2 >= least
    ]
    # The table of one that has closed all again is as large as ever.
    return tuple(each for each in found if each.count is None or each.count >= least)


def count_open_files(roots: Roots) -> int | None:
    """How many files are open on the whole machine; None where the kernel does not say."""
    try:
        return int((roots.procfs / "sys/fs/file-nr").read_bytes().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _tables(roots: Roots, until_ns: int, now_ns: Callable[[], int]) -> Iterator[tuple[int, int, str]]:
    for pid in list_pids(roots):
        if now_ns() > until_ns:
            return
        try:
            with Directory.open(f"{roots.procfs}/{pid}") as directory:
                status = directory.read("status")
        except OSError:
            continue  # it ended while it was read
        name, room = _NAME.search(status), _FDSIZE.search(status)
        if name is not None and room is not None:
            yield int(room[1]), pid, os.fsdecode(name[1])


def _count(roots: Roots, pid: int) -> int | None:
    try:
        return (roots.procfs / str(pid) / "fd").stat().st_size or None
    except OSError:
        return None

"""The machine's memory before and after an action, and what that says of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from memwatchd.actions.base import Figure
from memwatchd.procfs.meminfo import Meminfo, parse_meminfo
from memwatchd.roots import Roots

# What the kernel could take back and how it is called in meminfo; shared memory is counted as Cached but
# belongs to nobody's file, so it comes off again.
PAGECACHE: Mapping[str, int] = {"Cached": 1, "Buffers": 1, "Shmem": -1}
SLAB: Mapping[str, int] = {"SReclaimable": 1}


@dataclass(frozen=True, slots=True)
class Relief:
    """How the machine's memory changed between two moments.

    Attributes:
        caches: Lines of meminfo, and whether each is added or taken off.
    """

    before: Meminfo
    after: Meminfo
    caches: Mapping[str, int]

    @property
    def freed_bytes(self) -> int:
        """What came free, never negative.

        The larger of two figures, because each misses something: the caches' own shrinking does not know of
        caches outside of meminfo (ZFS), and the rise of free memory does not know what was taken meanwhile.
        """
        shrunk_bytes = self._cached(self.before) - self._cached(self.after)
        risen_bytes = (self.after.mem_free_bytes or 0) - (self.before.mem_free_bytes or 0)
        return max(0, shrunk_bytes, risen_bytes)

    @property
    def figures(self) -> dict[str, Figure]:
        """The measured facts for an `Outcome`."""
        return {
            "freed_bytes": self.freed_bytes,
            "free_before_bytes": self.before.mem_free_bytes,
            "free_after_bytes": self.after.mem_free_bytes,
            "cached_before_bytes": self.before.cached_bytes,
            "cached_after_bytes": self.after.cached_bytes,
            "slab_reclaimable_before_bytes": self.before.s_reclaimable_bytes,
            "slab_reclaimable_after_bytes": self.after.s_reclaimable_bytes,
        }

    def _cached(self, meminfo: Meminfo) -> int:
        return sum(sign * meminfo.bytes_by_name.get(name, 0) for name, sign in self.caches.items())


def read_meminfo(roots: Roots) -> Meminfo:
    """Read and parse meminfo.

    Raises:
        OSError: It cannot be read.
        ParseError: It is malformed.
    """
    path = roots.procfs / "meminfo"
    return parse_meminfo(path.read_bytes(), str(path))

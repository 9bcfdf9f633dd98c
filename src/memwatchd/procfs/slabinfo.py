"""The kernel's slab caches: objects and slabs of each.

Path ``/proc/slabinfo`` (readable by root), printed by ``mm/slab_common.c``, before 3.8 by ``mm/slab.c`` or
``mm/slub.c``::

    slabinfo - version: 2.1
    # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables ...
    dentry            105630 105630    192   21    1 : tunables    0    0    0 : slabdata   5030   5030      0

Version 2.0 until 2.6.10 or so, 2.1 since. With SLAB debugging the version has the suffix ``(statistics)`` and
each line two more groups, ``: globalstat`` and ``: cpustat``. A cache of a memory cgroup was called
``dentry(123:foo.service)`` in some 3.x and 4.x kernels, so a name may hold whatever a cgroup may be called,
blanks and colons included: the name is what is left when everything else has been taken away from the right.
"""

from dataclasses import dataclass

from memwatchd.procfs._text import decode_ascii, malformed, name_from_ascii, unsigned_row

_VERSION = "slabinfo - version:"
_COLUMNS = ("active_objs", "num_objs", "objsize", "objperslab", "pagesperslab", "active_slabs", "num_slabs")


@dataclass(frozen=True, slots=True)
class SlabCache:
    """One cache; SLUB counts objects in per-CPU slabs as active, so `active_objs` errs upwards there."""

    name: str
    active_objs: int
    num_objs: int
    objsize_bytes: int
    objs_per_slab: int
    pages_per_slab: int
    active_slabs: int
    num_slabs: int

    def size_bytes(self, page_size: int) -> int:
        """What the cache takes from the page allocator; `page_size` in bytes."""
        return self.num_slabs * self.pages_per_slab * page_size


@dataclass(frozen=True, slots=True)
class Slabinfo:
    """All caches in the file's order; `version` is ``2.1`` or so, empty where the heading is missing."""

    version: str
    caches: tuple[SlabCache, ...]


def parse_slabinfo(text: bytes, path: str = "/proc/slabinfo") -> Slabinfo:
    """Parse the whole file; about 3 µs a cache, half of it for the object.

    Raises:
        ParseError: A version other than 2.x, or a cache with missing or broken figures.
    """
    version = ""
    caches = []
    for line in decode_ascii(text).split("\n"):
        left, separator, right = line.rpartition(" : tunables ")
        if separator and not line.startswith("# name "):
            caches.append(_parse_cache(left, right, line, path))
        elif line.startswith(_VERSION):
            version = _parse_version(line, path)
    return Slabinfo(version, tuple(caches))


def _parse_version(line: str, path: str) -> str:
    version = line[len(_VERSION) :].split(maxsplit=1)
    if not version or not version[0].startswith("2."):
        raise malformed(path, line, "version", "2.x")
    return version[0]


def _parse_cache(left: str, right: str, line: str, path: str) -> SlabCache:
    parts = left.rsplit(None, 5)
    figures = parts[1:] + right.partition(" : slabdata ")[2].split(None, 2)[:2]
    if len(figures) != len(_COLUMNS):
        raise malformed(path, line, "cache", "a name, five figures, tunables and slabdata")
    return SlabCache(name_from_ascii(parts[0]), *unsigned_row(figures, path, line, _COLUMNS))

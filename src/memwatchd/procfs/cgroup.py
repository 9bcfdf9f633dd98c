"""Memory files of control groups, version 1 and 2, and the groups a process is in.

Paths under the cgroup file system, printed by ``mm/memcontrol.c``, and ``/proc/PID/cgroup`` by
``kernel/cgroup/cgroup.c``::

    memory.max                        max
    memory.limit_in_bytes             9223372036854771712
    memory.stat, memory.events        anon 2342912
    /proc/PID/cgroup                  4:memory:/system.slice/cron.service
                                      0::/user.slice

"Unlimited" is ``max`` in version 2. In version 1 it is the largest number of pages in bytes: 2**63 less a
page (4 to 64 KiB) since 3.19, 2**63 - 1 before, and on 32-bit kernels since 3.19 2**43 - 4096.
"""

from collections.abc import Mapping
from typing import NamedTuple

from memwatchd.procfs._text import decode_name, malformed, parse_flat, unsigned

_UNLIMITED_BYTES = 2**63 - 2**20
# LONG_MAX pages of 4 KiB; as a limit set on purpose on 64 bits it would be one page short of 8 TiB.
_UNLIMITED_32BIT_BYTES = 2**43 - 4096


class CgroupMembership(NamedTuple):
    """One line of ``/proc/PID/cgroup``.

    Attributes:
        hierarchy_id: 0 for version 2.
        controllers: ``("memory",)``, ``("cpu", "cpuacct")``, ``("name=systemd",)``; empty for version 2.
        path: Below the mount point, as seen from the reader's cgroup namespace (``/../x`` lies outside of
            it); the kernel adds `` (deleted)`` where the group has been removed.
    """

    hierarchy_id: int
    controllers: tuple[str, ...]
    path: str


def parse_value(text: bytes, path: str = "memory.max") -> int | None:
    """Parse a file of one number, mostly bytes; None means unlimited.

    Raises:
        ParseError: Neither ``max`` nor a number.
    """
    value = text.strip()
    if value == b"max":
        return None
    number = unsigned(value, path, text, "value")
    return None if number >= _UNLIMITED_BYTES or number == _UNLIMITED_32BIT_BYTES else number


def parse_flat_keyed(text: bytes, path: str = "memory.stat") -> Mapping[str, int]:
    """Parse ``memory.stat``, ``memory.events`` or version 1's ``memory.oom_control``: numbers by name.

    Raises:
        ParseError: A name without a proper number.
    """
    return parse_flat(text, path)


def parse_cgroup_memberships(text: bytes, path: str = "/proc/PID/cgroup") -> tuple[CgroupMembership, ...]:
    """Parse one line for each mounted hierarchy, in the file's order.

    Raises:
        ParseError: A line with a broken hierarchy number, or cut off.
    """
    lines = (line for line in text.split(b"\n") if line[:1].isdigit() or line.count(b":") > 1)
    return tuple(_parse_membership(line, path) for line in lines)


def _parse_membership(line: bytes, path: str) -> CgroupMembership:
    hierarchy, *rest = line.split(b":", 2)
    if len(rest) < 2 or not rest[1].startswith(b"/"):
        raise malformed(path, line, "path", "hierarchy:controllers:/path")
    controllers = tuple(decode_name(name) for name in rest[0].split(b",") if name)
    return CgroupMembership(unsigned(hierarchy, path, line, "hierarchy"), controllers, decode_name(rest[1]))

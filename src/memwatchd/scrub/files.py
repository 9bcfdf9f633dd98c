r"""The kernel's files as they are in an incident, with stand-ins for the few names in them.

    dentry(123:web.service)   105630 105630 …          slabinfo of some 3.x and 4.x kernels
    Name:   ledger    Uid:  1000 1000 1000 1000        /proc/PID/status
    /srv/swap\040file  file  1048572  2048  -2         /proc/swaps

meminfo, vmstat, zoneinfo, buddyinfo, pressure, arcstats, mm_stat, loadavg, uptime, statm and the files of
cgroups hold the kernel's own words and numbers only. Lines that do not look like it are left out.
"""

import re
from collections.abc import Callable

from memwatchd.procfs._text import decode_name, encode_name
from memwatchd.scrub.names import Names
from memwatchd.scrub.parts import scrub_cache

# Words of the kernel's, numbers, and what it puts between them. No file has lines longer than that.
_PLAIN_LINE = re.compile(rb"[\w\t :,.()=<>%?\-+/\[\]]{0,8192}")
_PLAIN_TEXT = re.compile(rb"[\w\t\n :,.()=<>%?\-+/\[\]]*")
_PLAIN_FILES = (
    *("meminfo", "vmstat", "zoneinfo", "buddyinfo", "pressure", "arcstats", "loadavg", "uptime", "statm"),
    *(
        "events",
        "current",
        "max",
        "stat",
        "low",
        "high",
        "min",
        "usage_in_bytes",
        "limit_in_bytes",
        "oom_control",
    ),
)
_STATUS_LINE = re.compile(rb"[A-Za-z_0-9]{1,40}:[\w\t ,.():;+\-/]{0,8192}")
_STATUS_IDS = ("Uid", "Gid", "Groups")
_FDINFO_LINE = re.compile(rb"(?:pos|flags|mnt_id|ino|size):\s{0,8}\d{1,22}")
_SLAB_LINE = re.compile(
    r"(\S.*?)(\s+)((?:\d{1,20}\s+){5}: tunables [\d\s]{1,80}: slabdata [\d\s:a-z]{1,400})", re.ASCII
)
_SLAB_HEAD = ("slabinfo - version:", "# name ")
_SWAP_LINE = re.compile(r"(\S+)(\s+)((?:file|partition)\s[-\d\s]{1,80})", re.ASCII)
_SWAP_HEAD = "Filename"


class FileScrubber:
    """Takes names out of kernel files.

    Args:
        names: The stand-ins.
    """

    def __init__(self, names: Names) -> None:
        self._names = names

    def scrub(self, name: str, text: bytes) -> bytes | None:
        """A file's text without names; None for a file of which nobody knows what is in it.

        Args:
            name: Of the source, for example ``slabinfo``, ``process/4711/status``, ``cgroup/a/memory.stat``.
            text: Of the file.
        """
        file = name.rpartition("/")[2]
        if name == "slabinfo":
            return self._lines(text, self._slab_line)
        if name == "swaps":
            return self._lines(text, self._swap_line)
        if name.startswith("process/") and "/fdinfo/" in name:
            return _matching(text, _FDINFO_LINE)
        if name.startswith("process/") and file == "status":
            return self._lines(text, self._status_line)
        if name.startswith("zram/") or file.rpartition(".")[2] in _PLAIN_FILES:
            return _matching(text, _PLAIN_LINE)
        return None

    def _lines(self, text: bytes, scrub: Callable[[str], str | None]) -> bytes:
        lines = (scrub(decode_name(line)) for line in text.split(b"\n"))
        return b"\n".join(encode_name(line) for line in lines if line is not None)

    def _slab_line(self, line: str) -> str | None:
        if not line or line.startswith(_SLAB_HEAD):
            return line if re.fullmatch(r"[\w\s#<>:().-]*", line, re.ASCII) else None
        found = _SLAB_LINE.fullmatch(line)
        if found is None:
            return None
        width = len(found[1]) + len(found[2]) - 1
        return f"{scrub_cache(self._names, found[1]).ljust(width)} {found[3]}"

    def _status_line(self, line: str) -> str | None:
        key, colon, value = line.partition(":")
        if key == "Name":
            return f"{key}{colon}\t{self._names.comm(value.strip())}"
        if key in _STATUS_IDS:
            return key + colon + re.sub(r"\d{1,20}", lambda found: self._names.uid(found[0]), value)
        return line if not line or _STATUS_LINE.fullmatch(encode_name(line)) else None

    def _swap_line(self, line: str) -> str | None:
        if not line or line.startswith(_SWAP_HEAD):
            return line if re.fullmatch(r"[A-Za-z\s]*", line) else None
        found = _SWAP_LINE.fullmatch(line)
        if found is None:
            return None
        area = found[1].removesuffix("\\040(deleted)")
        name = self._names.path(area) + found[1][len(area) :]
        return f"{name.ljust(len(found[1] + found[2]) - 1)} {found[3]}"


def _matching(text: bytes, line: re.Pattern[bytes]) -> bytes:
    if line is _PLAIN_LINE and _PLAIN_TEXT.fullmatch(text):
        return text
    return b"\n".join(each for each in text.split(b"\n") if not each or line.fullmatch(each))

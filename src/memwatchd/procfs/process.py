r"""One process: what it is, what it has, and how far it has come in a file.

Paths ``/proc/PID/stat``, ``statm`` and ``status``, printed by ``fs/proc/array.c`` and ``fs/proc/task_mmu.c``,
and ``/proc/PID/fdinfo/N`` by ``fs/proc/fd.c``; none of them takes the mmap lock of the process::

    1234 (a) b) S 1 1234 1234 0 -1 4194560 2741 0 7 0 14 7 0 0 20 0 13 0 25 41410560 2840 ...
    Name:   rsync            VmRSS:      1628 kB
    765 407 379 5 0 122 0
    pos:    53687091200      flags:  0100000

``stat`` grows at its end (52 fields since 3.5); the name in it is raw and may hold anything, so
it ends at the last parenthesis. In ``status`` a newline and a backslash in the name are escaped. Kernel
threads have no ``Vm*`` lines. RssAnon, RssFile and RssShmem since 4.5, VmPMD 4.0 to 4.14, ``mnt_id`` in
fdinfo since 3.15, ``ino`` since 5.14.
"""

import re
from dataclasses import dataclass

from memwatchd.procfs._text import decode_name, kilobytes, malformed, signed, unsigned

_PF_KTHREAD = 0x00200000
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_OCTAL = re.compile(rb"[0-7]{1,22}")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of ``stat`` used here, named as in proc(5).

    Attributes:
        flags: PF_* bits.
        utime_ticks: Ticks of USER_HZ, as `stime_ticks` and `starttime_ticks` (the last one since start-up).
        rss_pages: Resident pages, approximate.
        rt_priority: None on a kernel too old to print it, as is `policy` (SCHED_*).
    """

    pid: int
    comm: str
    state: str
    ppid: int
    pgrp: int
    session: int
    flags: int
    minflt: int
    majflt: int
    utime_ticks: int
    stime_ticks: int
    nice: int
    num_threads: int
    starttime_ticks: int
    vsize_bytes: int
    rss_pages: int
    rt_priority: int | None
    policy: int | None

    @property
    def is_kernel_thread(self) -> bool:
        """Whether it is the kernel's own, by PF_KTHREAD of include/linux/sched.h."""
        return bool(self.flags & _PF_KTHREAD)


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The lines of ``status`` used here; sizes in bytes.

    Kernel threads have no sizes, old kernels not all of them: None.

    Attributes:
        state: One letter, as in ``stat``.
        uid: The real one, as seen from the reader's user namespace.
        fd_size: Descriptors its table has room for; it never shrinks.
    """

    name: str
    state: str
    tgid: int
    pid: int
    ppid: int
    uid: int
    vm_rss_bytes: int | None
    rss_anon_bytes: int | None
    rss_file_bytes: int | None
    rss_shmem_bytes: int | None
    vm_swap_bytes: int | None
    vm_lck_bytes: int | None
    vm_size_bytes: int | None
    vm_pte_bytes: int | None
    threads: int | None
    fd_size: int | None


@dataclass(frozen=True, slots=True)
class Statm:
    """Sizes in pages; all 0 for a kernel thread."""

    size_pages: int
    resident_pages: int
    shared_pages: int
    text_pages: int
    data_pages: int


@dataclass(frozen=True, slots=True)
class Fdinfo:
    """An open file: position in bytes, O_* flags, mount and inode; None where the kernel has no such line."""

    pos: int
    flags: int
    mnt_id: int | None
    ino: int | None


def parse_stat(text: bytes, path: str = "/proc/PID/stat") -> ProcessStat:
    """Parse the one line, which may be shorter or longer than this kernel's.

    Raises:
        ParseError: No name in parentheses, fewer fields than up to ``rss``, or a broken number.
    """
    pid, opened, rest = text.partition(b" (")
    comm, closed, after = rest.rpartition(b")")
    fields = after.split()
    if not opened or not closed or len(fields) < 22:
        raise malformed(path, text, "stat", "pid (name) state and at least 21 numbers")

    def field(index: int, item: str) -> int:
        return signed(fields[index - 3], path, text, item)

    return ProcessStat(
        pid=unsigned(pid, path, text, "pid"),
        comm=decode_name(comm),
        state=decode_name(fields[0]),
        ppid=field(4, "ppid"),
        pgrp=field(5, "pgrp"),
        session=field(6, "session"),
        flags=field(9, "flags"),
        minflt=field(10, "minflt"),
        majflt=field(12, "majflt"),
        utime_ticks=field(14, "utime"),
        stime_ticks=field(15, "stime"),
        nice=field(19, "nice"),
        num_threads=field(20, "num_threads"),
        starttime_ticks=field(22, "starttime"),
        vsize_bytes=field(23, "vsize"),
        rss_pages=field(24, "rss"),
        rt_priority=field(40, "rt_priority") if len(fields) > 37 else None,
        policy=field(41, "policy") if len(fields) > 38 else None,
    )


def parse_status(text: bytes, path: str = "/proc/PID/status") -> ProcessStatus:
    """Parse the lines named in `ProcessStatus`.

    Raises:
        ParseError: One of the lines that every process has is missing, or one of the known ones is broken.
    """
    lines = _split_lines(text)

    def number(item: str) -> int:
        value = _required(lines, item, path).split()
        return unsigned(value[0] if value else b"", path, _line(lines, item), item)

    def size(item: str) -> int | None:
        return kilobytes(lines[item], path, _line(lines, item), item) if item in lines else None

    return ProcessStatus(
        name=_unescape(_required(lines, "Name", path).removeprefix(b"\t")),
        state=_parse_state(lines, path),
        tgid=number("Tgid"),
        pid=number("Pid"),
        ppid=number("PPid"),
        uid=number("Uid"),
        vm_rss_bytes=size("VmRSS"),
        rss_anon_bytes=size("RssAnon"),
        rss_file_bytes=size("RssFile"),
        rss_shmem_bytes=size("RssShmem"),
        vm_swap_bytes=size("VmSwap"),
        vm_lck_bytes=size("VmLck"),
        vm_size_bytes=size("VmSize"),
        vm_pte_bytes=size("VmPTE"),
        threads=number("Threads") if "Threads" in lines else None,
        fd_size=number("FDSize") if "FDSize" in lines else None,
    )


def parse_statm(text: bytes, path: str = "/proc/PID/statm") -> Statm:
    """Parse the one line of seven numbers.

    Raises:
        ParseError: Fewer than six, or a broken one.
    """
    fields = text.split()
    if len(fields) < 6:
        raise malformed(path, text, "statm", "seven numbers")
    columns = (("size", 0), ("resident", 1), ("shared", 2), ("text", 3), ("data", 5))
    return Statm(*(unsigned(fields[index], path, text, item) for item, index in columns))


def parse_fdinfo(text: bytes, path: str = "/proc/PID/fdinfo/N") -> Fdinfo:
    """Parse the lines every kind of file has.

    Raises:
        ParseError: ``pos`` or ``flags`` is missing, or a known line broken.
    """
    lines = _split_lines(text)
    pos, flags = _required(lines, "pos", path), _required(lines, "flags", path).strip()
    if not _OCTAL.fullmatch(flags):
        raise malformed(path, _line(lines, "flags"), "flags", "an octal number")

    def optional(item: str) -> int | None:
        return unsigned(lines[item].strip(), path, _line(lines, item), item) if item in lines else None

    return Fdinfo(
        pos=signed(pos.strip(), path, _line(lines, "pos"), "pos"),
        flags=int(flags, 8),
        mnt_id=optional("mnt_id"),
        ino=optional("ino"),
    )


def _split_lines(text: bytes) -> dict[str, bytes]:
    lines: dict[str, bytes] = {}
    for line in text.split(b"\n"):
        name, separator, value = line.partition(b":")
        if separator:
            lines.setdefault(decode_name(name), value)
    return lines


def _line(lines: dict[str, bytes], item: str) -> bytes:
    return item.encode() + b":" + lines[item]


def _required(lines: dict[str, bytes], item: str, path: str) -> bytes:
    if item not in lines:
        raise malformed(path, "", item, "the line to be there")
    return lines[item]


def _parse_state(lines: dict[str, bytes], path: str) -> str:
    words = _required(lines, "State", path).split()
    if not words:
        raise malformed(path, _line(lines, "State"), "State", "a letter")
    return decode_name(words[0])


def _unescape(name: bytes) -> str:
    return decode_name(_ESCAPE.sub(lambda found: b"\n" if found[1] == b"n" else found[1], name))

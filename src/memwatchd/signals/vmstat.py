"""vmstat: every line of /proc/vmstat, as the kernel prints it; 0.6 µs a signal.

The file says nothing of units, so the names decide (``vmstat_text`` in mm/vmstat.c): ``nr_*`` are gauges in
pages, all else grows. What deviates from that is listed below.
"""

import re
from collections.abc import Iterator

from memwatchd.procfs.vmstat import parse_vmstat
from memwatchd.signals.cursor import vmstat_cursor
from memwatchd.signals.family import Family, Parts, parsed
from memwatchd.signals.names import join_name
from memwatchd.signals.recording import Reader, Recording
from memwatchd.signals.signal import Signal, Unit, read_text

_FIELD = re.compile(r"[A-Za-z_]\w*", re.ASCII)

# nr_* that only grow, in pages.
_GROWING_PAGES = (
    *("nr_dirtied", "nr_written", "nr_throttled_written", "nr_vmscan_write", "nr_vmscan_immediate_reclaim"),
    *("nr_foll_pin_acquired", "nr_foll_pin_released"),
)
# nr_* that are no pages: stacks are counted in KiB (before 4.9 in stacks), these huge pages as such.
_NOT_PAGES = (
    *("nr_kernel_stack", "nr_shadow_call_stack", "nr_anon_transparent_hugepages", "nr_shmem_hugepages"),
    *("nr_shmem_pmdmapped", "nr_file_hugepages", "nr_file_pmdmapped"),
)
# Others that go up and down.
_GAUGES = ("workingset_nodes",)
# Counted in KiB, and given in bytes like everything that the kernel says the size of.
_KIB = ("pgpgin", "pgpgout")
# What is counted in pages, but for faults, which are events.
_PAGES = ("pg", "psw", "workingset_", "unevictable_pgs_", "zsw", "swpin", "swpout", "swap_ra")
_PG_NOT_PAGES = ("pgfault", "pgmajfault")
_MEANINGS = {
    "oom_kill": "processes the kernel killed for want of memory",
    "pgscan_direct": "pages tasks had to scan themselves",
    "pgscan_kswapd": "pages kswapd scanned",
    "pgsteal_direct": "pages tasks reclaimed themselves",
    "pgsteal_kswapd": "pages kswapd reclaimed",
    "pswpin": "pages swapped in",
    "pswpout": "pages swapped out",
    "pgmajfault": "page faults that had to wait for a disk",
    "pgpgin": "read from disks",
    "pgpgout": "written to disks",
    "workingset_refault_anon": "anonymous pages swapped back in soon after they were swapped out",
    "workingset_refault_file": "file pages read back soon after they were dropped",
    "nr_kernel_stack": "KiB of stacks of tasks in the kernel; before 4.9 stacks",
    "nr_free_pages": "pages nobody uses",
}


def describe_counter(name: str) -> tuple[Unit, bool]:
    """Say in which unit the kernel counts, and whether the counter only ever grows."""
    if name.startswith("nr_"):
        if name.startswith("nr_tlb_"):
            return Unit.COUNT, True
        return (Unit.COUNT if name in _NOT_PAGES else Unit.PAGES), name in _GROWING_PAGES
    if name in _GAUGES:
        return Unit.COUNT, False
    if name in _KIB:
        return Unit.BYTES, True
    is_pages = name.startswith(_PAGES) and name not in _PG_NOT_PAGES
    return (Unit.PAGES if is_pages else Unit.COUNT), True


def counter_meaning(name: str) -> str:
    """Say in a sentence what a counter counts."""
    return _MEANINGS.get(name, f"the kernel's {name}")


def _find(parts: Parts) -> Signal | None:
    if len(parts) != 1 or not _FIELD.fullmatch(parts[0]):
        return None
    field = parts[0]
    unit, grows = describe_counter(field)

    def bind(recording: Recording) -> Reader:
        factor = 1024 if field in _KIB else 1
        return read_text(recording.texts.get("vmstat"), vmstat_cursor(field).read, factor)

    name, meaning = join_name(("vmstat", field)), counter_meaning(field)
    return Signal(name, unit, "/proc/vmstat", meaning, ("vmstat",), bind, grows)


def _names(recording: Recording) -> Iterator[Parts]:
    for field in parsed(recording, "vmstat", parse_vmstat) or ():
        yield (field,)


VMSTAT = Family(("vmstat.FIELD",), _find, _names, tuple(_MEANINGS))

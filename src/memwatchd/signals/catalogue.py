"""All signals by name.

| family | signals |
|---|---|
| meminfo, vmstat | every line of the file |
| pressure | time and share of time in which tasks waited for memory |
| zone, node | sizes, watermarks, margins and counters of /proc/zoneinfo |
| buddy | free blocks and fragmentation |
| slab | what the kernel's caches take |
| swap, zram, arc | swap, compressed memory, the cache of ZFS |
| unaccounted | memory that is nowhere |
| process, cgroup | what the configuration watches |
| recorder | the recorder itself |

A family's module says what its signals mean and what reading one costs, as ``make bench ARGS='--only
signals'`` found it on a 2-core VM. A line that this kernel does not have
costs a search of the text, 1 to 3 µs.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from math import isnan

from memwatchd.errors import UnknownSignalError
from memwatchd.signals.arcstats import ARC
from memwatchd.signals.buddyinfo import BUDDY
from memwatchd.signals.cgroups import CGROUPS
from memwatchd.signals.family import Family
from memwatchd.signals.meminfo import MEMINFO, SWAP
from memwatchd.signals.names import join_name, split_name
from memwatchd.signals.nodes import NODES
from memwatchd.signals.pressure import PRESSURE
from memwatchd.signals.processes import PROCESSES
from memwatchd.signals.recorder import RECORDER
from memwatchd.signals.recording import Recording
from memwatchd.signals.signal import Signal
from memwatchd.signals.slabinfo import SLAB
from memwatchd.signals.unaccounted import UNACCOUNTED
from memwatchd.signals.vmstat import VMSTAT
from memwatchd.signals.zoneinfo import ZONES
from memwatchd.signals.zram import ZRAM

_IN_ORDER = (
    *(MEMINFO, *UNACCOUNTED, SWAP, PRESSURE, ZONES, BUDDY, SLAB, VMSTAT, NODES, ZRAM, ARC),
    *(PROCESSES, CGROUPS, RECORDER),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _IN_ORDER}
# Nobody writes more by hand, and looking for something similar takes time.
_LONGEST_GUESSED = 60


def find_signal(name: str) -> Signal:
    """Find a signal by its name, whether or not it has a value anywhere.

    Raises:
        UnknownSignalError: There is no family of this name, or the name has not the shape of its names.
    """
    first, *rest = split_name(name)
    family = FAMILIES.get(first)
    signal = None if family is None else family.find(tuple(rest))
    if signal is None:
        raise UnknownSignalError(name, _suggestion(first, tuple(rest)))
    return signal


def list_signals(recording: Recording) -> Iterator[Signal]:
    """Yield all signals that have a value now."""
    for family in FAMILIES.values():
        for parts in family.names(recording):
            signal = family.find(parts)
            if signal is not None and not isnan(signal.bind(recording)()):
                yield signal


def _suggestion(first: str, rest: tuple[str, ...]) -> str:
    family = FAMILIES.get(first)
    if family is None:
        guesses = get_close_matches(first[:_LONGEST_GUESSED], FAMILIES, 1)
        return f"did you mean {guesses[0]}?" if guesses else f"expected one of {', '.join(FAMILIES)}"
    *before, last = rest or ("",)
    guesses = get_close_matches(last[:_LONGEST_GUESSED], family.words, 3)
    names = [
        name
        for guess in guesses
        if family.find((*before, guess))
        for name in [join_name((first, *before, guess))]
    ]
    if names:
        return f"did you mean {' or '.join(names)}?"
    return f"expected {' or '.join(family.shapes)}"


MAIN_SIGNALS = tuple(
    map(
        find_signal,
        (
            "meminfo.MemAvailable",
            "meminfo.MemFree",
            "meminfo.AnonPages",
            "meminfo.Cached",
            "meminfo.Slab",
            "meminfo.SwapFree",
            "zone.worst.ratio",
            "pressure.some",
            "vmstat.pgscan_direct",
            "vmstat.pswpout",
            "vmstat.workingset_refault_file",
        ),
    )
)
"""What `show` draws."""

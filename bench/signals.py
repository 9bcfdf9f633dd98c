"""Part 5: what reading a signal costs, on this machine's own texts; once as they are, once as they change."""

import os
import timeit
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.report import Part, progress
from memwatchd.places import Places
from memwatchd.roots import Roots
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.recording import Pulse, Recording
from memwatchd.signals.replay import HeldText
from memwatchd.views.signals import read_now
from memwatchd.views.text import columns

# One or two of each family, and one that no kernel has.
_NAMES = (
    *("meminfo.MemAvailable", "meminfo.NoSuchLine", "swap.used_share", "unaccounted"),
    *("vmstat.oom_kill", "vmstat.no_such_counter", "pressure.some", "pressure.full.avg10"),
    *(
        "zone.0.Normal.free",
        "zone.0.Normal.margin",
        "zone.Normal.margin",
        "zone.worst.ratio",
        "zone.worst.margin",
    ),
    *("node.0.nr_active_anon", "node.nr_active_anon"),
    *("buddy.0.Normal.order9", "buddy.any.largest_order", "buddy.any.unusable_order9"),
    *("slab.dentry.bytes", "slab.top.bytes", "zram.used", "arc.size"),
    *("process.bench.rss", "process.bench.position", "process.bench.count"),
    *('cgroup."/bench".usage', 'cgroup."/bench".headroom', 'cgroup."/bench".stat.anon', "recorder.lag"),
)
_WATCHED = {
    "process/1/statm": b"5100 2500 900 1 0 700 0\n",
    "process/1/fdinfo/3": b"pos:\t31457280000\nflags:\t0100000\nmnt_id:\t25\n",
    "cgroup/bench/memory.current": b"1931120640\n",
    "cgroup/bench/memory.max": b"2147483648\n",
    "cgroup/bench/memory.stat": b"anon 1802240000\nfile 90112000\nkernel_stack 2211840\n",
}


def measure(*, quick: bool) -> Part:
    """Time one reader of each kind."""
    progress("reading signals")
    recording = _recording()
    slabinfo = recording.texts.get("slabinfo")
    caches = 0 if slabinfo is None else bytes(slabinfo.buffer).count(b" : slabdata ") - 1
    part = Part(f"5. Reading a signal from present texts, {caches} slab caches")
    figures = {name: _cost_us(find_signal(name).bind(recording), quick) for name in _NAMES}
    if isinstance(slabinfo, HeldText):
        figures |= _moving("slab.top.bytes", slabinfo, recording, quick)
    part.lines = columns([[name, f"{cost_us:.2f} µs"] for name, cost_us in figures.items()], frozenset({1}))
    part.figures = {"cost_us": figures}
    return part


def _recording() -> Recording:
    """This machine's texts, and some of what could be watched."""
    real = read_now(Roots(), Places(Path("/nowhere"), Path("/nowhere")))
    texts = {**real.texts, **{name: HeldText(text, len(text)) for name, text in _WATCHED.items()}}
    entries = {name: {"name": name, "pid": 1, "comm": "bench"} for name in _WATCHED}
    return Recording(texts, entries, Pulse(1, 1, 0), os.sysconf("SC_PAGE_SIZE"))


def _moving(name: str, text: HeldText, recording: Recording, quick: bool) -> dict[str, float]:
    """The same with a figure that changes, and with a line that comes and goes."""
    plain, (last,) = text.buffer, text.buffer.splitlines()[-1:]
    figures = last.rpartition(b" : slabdata ")[2].split()
    changed = (
        plain[: -len(last) - 1] + last.replace(b" %s " % figures[1], b" %*d " % (len(figures[1]), 7)) + b"\n"
    )
    found = {}
    for what, other in (("a number changed", changed), ("a line came or went", plain[: -len(last) - 1])):
        read = find_signal(name).bind(recording)
        found[f"{name}, {what}"] = _cost_us(_alternating(read, text, (plain, other)), quick)
        text.hold(plain)
    return found


def _alternating(read: Callable[[], float], text: HeldText, texts: Iterable[bytes]) -> Callable[[], float]:
    one, other = texts

    def step() -> float:
        text.hold(one if text.buffer is other else other)
        return read()

    return step


def _cost_us(read: Callable[[], float], quick: bool) -> float:
    """The best of several rounds: what else the machine does can only add."""
    rounds, times = (3, 300) if quick else (9, 2000)
    return min(timeit.repeat(read, number=times, repeat=rounds)) / times * 1e6

"""Facts about the machine, the program and the sampling, as they go into incidents and state.json."""

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memwatchd import __version__
from memwatchd.ring.board import BoardFigures, Slot
from memwatchd.roots import Roots


def host_facts(roots: Roots) -> dict[str, Any]:
    """What machine this is."""
    name = os.uname()
    return {
        "hostname": name.nodename,
        "kernel": name.release,
        "kernel_version": name.version,
        "machine": name.machine,
        "os": _os_name(),
        "cpus": os.cpu_count(),
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "clock_ticks_per_s": os.sysconf("SC_CLK_TCK"),
        "uptime_s": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3),
        "kernel_command_line": _text(roots.procfs / "cmdline"),
    }


def program_facts() -> dict[str, Any]:
    """What wrote the incident."""
    return {"name": "memwatchd", "version": __version__, "python": platform.python_version()}


def sampling_facts(figures: BoardFigures, sources: Mapping[int, str]) -> dict[str, Any]:
    """How sampling went, from the board.

    Args:
        figures: A copy of the board.
        sources: Names of the sources by id.
    """
    lag, read = figures.lag, figures.read
    period_ns = figures[Slot.PERIOD_NS]
    rates = {}
    for number, name in sources.items():
        source = figures.source(number)
        if source.interval_ticks and period_ns:
            rates[name] = {
                "rate_hz": round(1e9 / period_ns / source.interval_ticks, 2),
                "reads": source.reads,
                "errors": source.errors,
                "cost_us": round(source.cost_ns / 1000, 1) or None,
            }
    return {
        "rate_hz": round(1e9 / period_ns, 2) if period_ns else None,
        "present_rate_hz": round(1e9 / period_ns / max(1, figures[Slot.STRIDE]), 2) if period_ns else None,
        "ticks": figures[Slot.TICKS],
        "missed": figures[Slot.MISSED],
        "armed": bool(figures[Slot.ARMED]),
        "armed_ticks": figures[Slot.ARMED_TICKS],
        "lag_us": _quantiles(lag.quantile_ns(0.5), lag.quantile_ns(0.99), figures[Slot.LAG_MAX_NS]),
        "read_us": _quantiles(read.quantile_ns(0.5), read.quantile_ns(0.99), figures[Slot.READ_MAX_NS]),
        "budget_pct": round(figures[Slot.BUDGET_PPM] / 1e4, 2),
        "source_errors": figures[Slot.SOURCE_ERRORS],
        "oversize": figures[Slot.OVERSIZE],
        "restarts": figures[Slot.RESTARTS],
        "kills_counted": figures[Slot.KILLS_SEEN],
        "minor_faults": figures[Slot.MINOR_FAULTS],
        "major_faults": figures[Slot.MAJOR_FAULTS],
        "sources": rates,
    }


def _quantiles(p50_ns: int | None, p99_ns: int | None, max_ns: int) -> dict[str, float] | None:
    if p50_ns is None or p99_ns is None:
        return None
    # A bucket's bound may lie above the largest value there was.
    p50, p99 = min(p50_ns, max_ns), min(p99_ns, max_ns)
    return {"p50": round(p50 / 1000, 1), "p99": round(p99 / 1000, 1), "max": round(max_ns / 1000, 1)}


def _os_name() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None

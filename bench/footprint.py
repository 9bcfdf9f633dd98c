"""Part 3: memory and CPU time of the whole daemon in its default configuration, exporter and rules included.

Nothing on the machine is changed by it: the rules only say what they would do, and the standing list of
protected processes has a name that nobody has.
"""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psutil

from bench.machine import cpu_time_ns
from bench.processes import running_daemon, wait_until
from bench.report import Part, Target, progress
from memwatchd.config.load import SHIPPED_CONFIG
from memwatchd.views.text import columns, format_bytes

_LIMIT_MIB = 60
_CHANGES = """
exporter: {{listen: "127.0.0.1:{port}"}}
acting: {{dry_run: true}}
protect: {{list: [no-such-process]}}
"""
# Rounds and governor have come to rest by then.
_SETTLE_S = 5.0
_SCRAPE_TIMEOUT_S = 5.0


def measure(*, quick: bool) -> Part:
    """Let it run, with a scrape at both ends of the period, as Prometheus would.

    Raises:
        BenchError: It did not start.
    """
    seconds = 4.0 if quick else 10.0
    progress(f"the whole daemon for {_SETTLE_S + seconds:g} s")
    part = Part(f"3. The whole daemon, default configuration: memory, and CPU over {seconds:g} s")
    port = _free_port()
    changes = _CHANGES.format(port=port)
    with running_daemon(SHIPPED_CONFIG.read_text(), drop_in=changes) as daemon:
        wait_until(lambda: _scraped(port), "the exporter", 10.0, 0.1)
        time.sleep(_SETTLE_S)
        pids = daemon.pids()
        before_ns, began_ns = {role: cpu_time_ns(pid) for role, pid in pids.items()}, time.monotonic_ns()
        _scraped(port)
        time.sleep(seconds)
        elapsed_ns = time.monotonic_ns() - began_ns
        shares = {role: (cpu_time_ns(pid) - before_ns[role]) / elapsed_ns for role, pid in pids.items()}
        memory = {role: _memory(pid) for role, pid in pids.items()}
        alone_bytes = _alone_bytes(daemon.places.runtime_dir, pids.values())
        ring_bytes, degraded = daemon.places.ring.stat().st_size, daemon.state()["degraded"]
    pss_bytes = sum(each["pss_bytes"] for each in memory.values())
    part.lines = _table(memory, shares)
    part.lines += [
        f"ring {format_bytes(ring_bytes)}; without other Pythons to share libraries with the sum would be "
        f"{format_bytes(alone_bytes)}",
        *(f"degraded: {sentence}" for sentence in degraded),
    ]
    part.figures = {role: {**memory[role], "cpu_share": shares[role]} for role in pids}
    part.figures |= {
        "pss_bytes": pss_bytes,
        "alone_bytes": alone_bytes,
        "ring_bytes": ring_bytes,
    }
    part.targets = [Target("PSS of all processes", pss_bytes / 2**20, _LIMIT_MIB, "MiB")]
    return part


def _table(memory: dict[str, dict[str, int]], shares: dict[str, float]) -> list[str]:
    rows = [["", "PSS", "USS", "RSS", "CPU"]]
    for role, figures in memory.items():
        sizes = [format_bytes(figures[key]) for key in ("pss_bytes", "uss_bytes", "rss_bytes")]
        rows.append([role, *sizes, f"{shares[role]:.2%}"])
    total = {key: sum(figures[key] for figures in memory.values()) for key in ("pss_bytes", "uss_bytes")}
    rows.append(["sum", *(format_bytes(size) for size in total.values()), "", f"{sum(shares.values()):.2%}"])
    return columns(rows, right=frozenset({1, 2, 3, 4}))


def _memory(pid: int) -> dict[str, int]:
    full = psutil.Process(pid).memory_full_info()
    return {"pss_bytes": full.pss, "uss_bytes": full.uss, "rss_bytes": full.rss}


def _alone_bytes(rings: Path, pids: Iterable[int]) -> int:
    """What the daemon takes where no other Python runs; PSS leaves part of the libraries to this program.

    A file's unmodified pages count once for all processes, as many as the one with the most of them has. The
    rings count in full: they are pages of a tmpfs, touched by a process or not.
    """
    own_bytes = sum(path.stat().st_blocks * 512 for path in rings.iterdir())
    shared_bytes: dict[str, int] = {}
    for pid in pids:
        for mapping in psutil.Process(pid).memory_maps(grouped=True):
            path = mapping.path
            if not path.startswith("/"):
                own_bytes += mapping.rss
            elif not path.startswith(str(rings)):
                own_bytes += mapping.private_dirty
                shared_bytes[path] = max(shared_bytes.get(path, 0), mapping.rss - mapping.private_dirty)
    return own_bytes + sum(shared_bytes.values())


def _scraped(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SCRAPE_TIMEOUT_S) as page:
            return bool(page.read())
    except (urllib.error.URLError, ConnectionError):
        return False


def _free_port() -> int:
    """A port nobody listens on; somebody else could take it before the exporter does, but hardly will."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

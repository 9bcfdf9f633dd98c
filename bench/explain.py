"""Part 8: how fast a log is read and explained, with few reports in it and with nothing else."""

import itertools
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench.report import Part, Target, progress
from memwatchd.diagnosis.verdict import diagnose
from memwatchd.oomreport.reader import read_events
from memwatchd.views.text import columns

_REPORTS = Path(__file__).parent.parent / "tests" / "fixtures" / "oom"
# Whole reports of five eras and four transports; a hundred lines each, with their tables.
_WHOLE = (
    "008_2.6.32_i386_pae_highmem_swapfull",
    "042_5.4_ubuntu_512mb_node_3events",
    "045_5.4rc4_riscv_python3_gfp0",
    "063_5.15_proxmox_lxc_memcg_v2_dmesgT_german",
    "072_6.1.1_archlinux_doxygen_noprefix",
)
# What else is in a kernel's log, after the fashion of busy servers.
_OTHERS = (
    "[UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=192.0.2.7 DST=192.0.2.9 LEN=40 TTL=244 PROTO=TCP",
    "nfs: server files not responding, still trying",
    "usb 1-1.2: new high-speed USB device number 7 using xhci_hcd",
    'audit: type=1400 audit(1718000000.123:456): apparmor="DENIED" operation="open" profile="snap.x"',
    "docker0: port 3(veth1a2b3c4) entered blocking state",
    "TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.",
    "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
    "perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
)
_MB = 1_000_000
_BLOCK_BYTES = 1 << 20
# 50 MB/s, and 300 reports a second.
_AIM_LOG_S = 2.0
_AIM_REPORT_MS = 3.33


def measure(*, quick: bool) -> Part:
    """Time both."""
    progress("explaining logs")
    log_bytes, rounds = (20 * _MB, 3) if quick else (200 * _MB, 5)
    log = b"".join(_log(log_bytes))
    reports = [(_REPORTS / f"{name}.txt").read_bytes() for name in _WHOLE]
    counting_s = _median_s(rounds, lambda: log.count(b"\n"))
    reading_s = _median_s(rounds, lambda: sum(1 for _ in read_events(_blocks(log))))
    many = b"\n".join(reports * (2 if quick else 20))
    events = list(read_events([many]))
    whole = sum(1 for event in events if event.complete)
    parsing_s = _median_s(rounds, lambda: list(read_events([many])))
    explaining_s = _median_s(rounds, lambda: [diagnose(event) for event in events])
    part = Part(f"8. Reading and explaining {len(log) // _MB} MB of log, and {whole} whole reports")
    rows = [
        ["a log with few reports", f"{len(log) / reading_s / _MB:.0f} MB/s"],
        ["    against counting its lines", f"{reading_s / counting_s:.1f} ×"],
        ["whole reports read", f"{whole / parsing_s:.0f}/s"],
        ["whole reports read and explained", f"{whole / (parsing_s + explaining_s):.0f}/s"],
    ]
    part.lines = columns(rows, frozenset({1}))
    part.targets = [
        Target("100 MB of log with few reports", 100 * _MB * reading_s / len(log), _AIM_LOG_S, "s"),
        Target("a whole report", 1000 * parsing_s / whole, _AIM_REPORT_MS, "ms"),
    ]
    part.figures = {
        "log_mb_per_s": len(log) / reading_s / _MB,
        "against_counting": reading_s / counting_s,
        "reports_read_per_s": whole / parsing_s,
        "reports_explained_per_s": whole / (parsing_s + explaining_s),
    }
    return part


def _log(size_bytes: int) -> Iterator[bytes]:
    """A log of ordinary messages with a report every 20 MB or so."""
    report = (_REPORTS / f"{_WHOLE[1]}.txt").read_bytes()
    written, since = 0, 0
    for number in itertools.count():
        line = (
            f"Apr 22 14:31:38 www kernel: [{number / 100:12.6f}] {_OTHERS[number % len(_OTHERS)]}\n".encode()
        )
        written, since = written + len(line), since + len(line)
        yield line
        if since > 20 * _MB:
            yield report + b"\n"
            since = 0
        if written >= size_bytes:
            return


def _blocks(log: bytes) -> Iterable[bytes]:
    view = memoryview(log)
    return (bytes(view[start : start + _BLOCK_BYTES]) for start in range(0, len(log), _BLOCK_BYTES))


def _median_s(rounds: int, work: Callable[[], object]) -> float:
    taken: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)

"""The exporter alone for long: a daemon that samples at 100 Hz, and somebody who asks every second.

Beside what ``python -m soak`` tells of all processes this one tells of the exporter where nothing else
happens: what it keeps is of a fixed size, so after the five minutes of its longest window its memory has to
stay as it is.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.client import OK, HTTPConnection, HTTPException

from bench.processes import MEMORY, Daemon, directory
from bench.report import BenchError

from memwatchd.config.load import DROP_INS, SHIPPED_CONFIG
from memwatchd.places import Places
from memwatchd.views.text import format_bytes
from soak import report, scrapes
from soak.activity import Activity, Trouble
from soak.daemon import free_port, running
from soak.figures import Footprint, read_footprint
from soak.judge import Check, none, process

RATE_HZ = 100
SCRAPE_PERIOD_S, PAGE_PERIOD_S = 1.0, 10.0
# The longest window has passed by then, and what is kept has its size.
WARM_UP_S = 360.0
_STEP_S = 5.0
_MINUTE_S = 60.0
_JOIN_S = 40.0
_START_S = 30.0
_LAID_OVER = """\
sampling: {{rate: {rate}Hz}}
acting: {{dry_run: true}}
exporter: {{listen: "127.0.0.1:{port}"}}
"""


def run(seconds: float) -> bool:
    """Run it; whether all has passed.

    Raises:
        BenchError: The daemon did not start.
    """
    port = free_port()
    activities = [
        Activity("scrape", SCRAPE_PERIOD_S, partial(scrapes.scrape, port)),
        Activity("look at the page", PAGE_PERIOD_S, partial(_page, port)),
    ]
    with _daemon(port) as daemon:
        stopping = threading.Event()
        for activity in activities:
            activity.start(stopping)
        found = _watch(daemon, seconds)
        stopping.set()
        for activity in activities:
            activity.join(_JOIN_S)
        ticks = daemon.state()["sampling"]["ticks"]
    warm = [each for each in found if each[0] >= min(WARM_UP_S, seconds / 3)]
    failed = {each.name: each.failed for each in activities if each.failed}
    checks: list[Check] = [
        *process(warm, "exporter"),
        none("things that went wrong", sum(failed.values()), ", ".join(failed)),
        none("deaths", len({footprint.pid for _, footprint in found}) - 1),
    ]
    print("\n" + "\n".join(report.activity_table(activities)), end="\n\n")
    print(f"{ticks} samples; {_spread(warm)}\n")
    print("\n".join(report.verdict_table(checks)))
    return all(check.passed for check in checks)


@contextmanager
def _daemon(port: int) -> Iterator[Daemon]:
    """Start a daemon whose exporter answers."""
    with directory(MEMORY) as memory, directory(None) as disk:
        memory.chmod(0o755)  # the exporter becomes nobody
        config = memory / "config.yaml"
        config.write_text(SHIPPED_CONFIG.read_text())
        (memory / DROP_INS).mkdir()
        (memory / DROP_INS / "soak.yaml").write_text(_LAID_OVER.format(rate=RATE_HZ, port=port))
        with running(config, Places(memory / "run", disk), memory / "log") as site:
            _wait(port)
            yield site.daemon


def _watch(daemon: Daemon, seconds: float) -> list[tuple[float, Footprint]]:
    """Read the exporter's footprint every few seconds, and show it every minute."""
    found: list[tuple[float, Footprint]] = []
    began_s, shown_s = time.monotonic(), 0.0
    while (at_s := time.monotonic() - began_s) < seconds and not daemon.dead():
        pid = daemon.pids().get("exporter")
        footprint = read_footprint(pid) if pid else None
        if footprint is not None:
            found.append((at_s, footprint))
            if at_s >= shown_s:
                shown_s += _MINUTE_S
                print(_row(at_s, footprint), flush=True)
        time.sleep(_STEP_S)
    if not found:
        raise BenchError("there is no exporter")
    return found


def _row(at_s: float, found: Footprint) -> str:
    sizes = [format_bytes(each) for each in (found.rss_bytes, found.pss_bytes, found.own_bytes)]
    share = found.cpu_ns / 1e9
    return (
        f"{at_s / 60:5.0f} min  RSS {sizes[0]}, PSS {sizes[1]}, its own {sizes[2]}, {share:.1f} s of a core"
    )


def _spread(found: list[tuple[float, Footprint]]) -> str:
    own = sorted(footprint.own_bytes for _, footprint in found)
    cpu_ns = found[-1][1].cpu_ns - found[0][1].cpu_ns
    share = cpu_ns / 1e9 / max(1.0, found[-1][0] - found[0][0])
    sizes = [format_bytes(own[place]) for place in (0, len(own) // 2, -1)]
    return f"its own memory lowest {sizes[0]}, median {sizes[1]}, highest {sizes[2]}; {share:.1%} of a core"


def _page(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=_JOIN_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        text = answer.read()
    except HTTPException as error:
        raise Trouble(f"page: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if answer.status != OK or b"<svg" not in text:
        raise Trouble(f"page: status {answer.status}, {len(text)} bytes")


def _wait(port: int) -> None:
    until_s = time.monotonic() + _START_S
    while time.monotonic() < until_s:
        with suppress(OSError, Trouble):
            scrapes.scrape(port)
            return
        time.sleep(0.2)
    raise BenchError(f"the exporter does not answer within {_START_S:g} s")

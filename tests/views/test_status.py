"""How the daemon is doing, from its state file and its ring."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import BOOT_ID, S

from memwatchd.errors import FormatError, NotRunningError
from memwatchd.places import Places
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import RingHeader, Stream
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.state import write_state
from memwatchd.views.status import read_status, render

WriteState = Callable[..., Places]
GONE_PID = (1 << 22) - 1


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "run", tmp_path / "state")


@pytest.fixture
def write(places: Places, daemon_state: dict[str, Any]) -> WriteState:
    def write_it(**changed: Any) -> Places:
        places.runtime_dir.mkdir(exist_ok=True)
        write_state(places.state, {**daemon_state, **changed})
        return places

    return write_it


def make_ring(places: Places, age_s: float) -> None:
    header = RingHeader(4096, 8, Stream.SAMPLES, BOOT_ID, 0)
    then_ns = time.monotonic_ns() - round(age_s * S)
    RingWriter(create_ring(places.ring, header), lambda: Clocks(then_ns, 0, 0), BOOT_ID, 1).start_segment()


def test_what_status_json_says(write: WriteState) -> None:
    """Scripts that watch the daemon would lose a figure."""
    places = write()
    make_ring(places, 12.0)
    status = read_status(places)
    assert status["responding"]
    assert status["started"] == "2023-11-14T22:13:20+00:00"
    assert [(each["role"], each["pid"]) for each in status["processes"]] == [("service", os.getpid())]
    assert status["processes"][0]["pss_bytes"] > 0
    assert status["ring"]["segments"] == 1
    assert 11.9 < status["ring"]["reach_s"] < 30
    incidents = status["incidents"]
    assert {name: incidents[name] for name in ("written", "last", "directory")} == {
        "written": 2,
        "last": "x.mwi",
        "directory": "/var/lib/memwatchd/incidents",
    }
    assert {name: status[name] for name in ("kills", "kmsg", "degraded")} == {
        "kills": {"global": 1, "cgroup": 2, "unknown": 0},
        "kmsg": {"readable": True, "lost": 3},
        "degraded": [],
    }


def test_what_status_shows(write: WriteState) -> None:
    """Someone who asks whether it works would get no answer."""
    places = write(degraded=["/dev/kmsg: Permission denied\x1b[31m"])
    make_ring(places, 12.0)
    lines = render(read_status(places)).splitlines()
    assert lines[0] == "memwatchd 0.1.0 runs since 2023-11-14T22:13:20+00:00"
    assert "sampling  1000 ticks at 200 Hz, 7 missed, calm, budget 5 % of a core" in lines
    assert "  lag     p50 60 µs, p99 140 µs, max 900 µs" in lines
    assert "  rates   meminfo 200, slabinfo 5 Hz" in lines
    assert any(line.startswith("ring      reaches back 12 s in ") for line in lines)
    assert "kills     1 global, 2 by cgroup limits, 3 counted, 3 kernel messages lost" in lines
    assert "incidents 2 written, last x.mwi, in /var/lib/memwatchd/incidents" in lines
    box = "at rest, 6 MiB of 16 GiB written today, longest write 12.5 ms, 2 segments left out"
    assert f"black box {box}, /var/lib/memwatchd/black-box" in lines
    assert "rules     2, of which 1 active" in lines
    done = "drop_caches helped 3 ×, drop_caches no effect 1 ×"
    assert f"  zone-slab (active): fired 4 ×, held back 1 ×, {done}" in lines
    assert not any("stall-breaker" in line for line in lines)
    assert lines[-1] == "degraded  /dev/kmsg: Permission denied\\x1b[31m"


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"streaming": True}, "black box streaming, 6 MiB of 16 GiB written today, "),
        ({"ready": False, "today_bytes": None, "longest_write_ms": None}, "black box not there, /var/"),
        ({"enabled": False}, "black box off"),
    ],
)
def test_what_the_black_box_does(
    write: WriteState, daemon_state: dict[str, Any], changed: dict[str, Any], line: str
) -> None:
    """One would rely on a black box that is not there."""
    status = read_status(write(black_box={**daemon_state["black_box"], **changed}))
    assert any(each.startswith(line) for each in render(status).splitlines())


def test_a_rate_that_gives_way_is_told(write: WriteState, daemon_state: dict[str, Any]) -> None:
    """One would believe in 200 samples a second where there are 50."""
    places = write(sampling={**daemon_state["sampling"], "present_rate_hz": 50.0})
    assert "at 200 Hz (now 50 Hz: more would take too much of this processor)" in render(read_status(places))


def test_a_daemon_that_has_just_begun(write: WriteState) -> None:
    """The first second after the start would end in a traceback."""
    sampling: dict[str, Any] = {
        "rate_hz": None,
        "present_rate_hz": None,
        "lag_us": None,
        "read_us": None,
        "sources": {},
        "ticks": 0,
    }
    places = write(incidents={"written": 0, "last": None, "directory": "/x"})
    text = render({**read_status(places), "sampling": {**read_status(places)["sampling"], **sampling}})
    assert "0 ticks at 0 Hz" in text
    assert "degraded  nothing\n" in text
    assert "No such file" in text  # the ring


def test_a_daemon_that_does_not_answer_says_so(write: WriteState) -> None:
    """A hung service would look healthy."""
    status = read_status(write(renewed_monotonic_ns=time.monotonic_ns() - 60 * S))
    assert not status["responding"]
    assert "has not renewed its state" in render(status).splitlines()[0]


def test_a_sampler_that_ended_meanwhile_has_no_figures(write: WriteState) -> None:
    """A child that dies while it is looked at would end in a traceback."""
    status = read_status(write(sampler_pid=GONE_PID))
    assert status["processes"][1] == {
        "role": "sampler",
        "pid": GONE_PID,
        "uptime_s": None,
        "cpu_share": None,
        "locked_bytes": None,
        "pss_bytes": None,
    }
    assert "–" in render(status)


def test_no_daemon_is_said_in_one_sentence(write: WriteState, places: Places) -> None:
    """`status` on a machine without the daemon would end in a traceback."""
    with pytest.raises(NotRunningError, match=r"is not running .*No such file"):
        read_status(places)
    write(pid=GONE_PID)
    with pytest.raises(NotRunningError, match=f"pid {GONE_PID} of .* is gone"):
        read_status(places)
    places.state.write_bytes(b"{")
    with pytest.raises(FormatError, match="damaged"):
        read_status(places)

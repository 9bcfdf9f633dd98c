"""The page of metrics: golden, well-formed, and there from the start."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from tests.conftest import FIXTURES, S, Tape, meminfo, pressure, vmstat, zoneinfo

from memwatchd.exporter.collector import MemwatchdCollector
from memwatchd.places import Places
from memwatchd.ring.board import LAG_AT, READ_AT, Slot, bucket_of
from memwatchd.state import write_state

GOLDEN = Path(__file__).resolve().parent / "metrics.txt"
Page = Callable[[], str]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, tmp_path)


@pytest.fixture
def page(tape: Tape, places: Places) -> Page:
    """Scrape."""
    registry = CollectorRegistry()
    registry.register(MemwatchdCollector(places, tape.samples))
    return lambda: generate_latest(registry).decode()


def families(page: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(page)}


def values(page: str) -> dict[str, float]:
    """Samples without labels."""
    return {
        sample.name: sample.value
        for family in families(page).values()
        for sample in family.samples
        if not sample.labels
    }


def run_for_a_while(tape: Tape) -> None:
    """What a sampler leaves on the board and in the ring."""
    board = tape.samples.board
    for slot, value in {
        Slot.HEARTBEAT_NS: time.monotonic_ns(),
        Slot.TICKS: 1000,
        Slot.MISSED: 7,
        Slot.CPU_NS: 2_500_000_000,
        Slot.ARMED: 1,
        Slot.ARMED_TICKS: 30,
        Slot.SOURCE_ERRORS: 2,
        Slot.KILLS_SEEN: 3,
        Slot.RESTARTS: 1,
    }.items():
        board[slot] = value
    for value_ns, count in ((10_000, 900), (300_000, 90), (4_000_000_000, 10)):
        board[LAG_AT + bucket_of(value_ns)] += count
        board[READ_AT + bucket_of(2 * value_ns)] += count
    tape.sample(-1, {"meminfo": meminfo(MemFree=1, MemAvailable=1), "slabinfo": b"old"})
    tape.new_segment()
    tape.sample(
        0,
        {
            "meminfo": meminfo(MemFree=20_480, MemAvailable=102_400, Slab=1024, SwapFree=0),
            "vmstat": vmstat(pswpout=12_345, pgscan_direct=678, oom_kill=3),
            "pressure": pressure(1_500_000),
            "zoneinfo": zoneinfo(75, 50),
        },
    )


def test_the_whole_page(tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]) -> None:
    """Dashboards and alerts would lose a metric without anybody noticing; regenerate it and read the diff."""
    run_for_a_while(tape)
    write_state(places.state, {**daemon_state, "degraded": ["no kmsg", "no mlock"]})
    assert page() == GOLDEN.read_text()


def test_prometheus_can_read_it(tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]) -> None:
    """One malformed line would cost the whole scrape."""
    run_for_a_while(tape)
    hostile = {"sources": {'a"b\\c\nd': {"rate_hz": 1.0}}}
    write_state(places.state, {**daemon_state, "sampling": {**daemon_state["sampling"], **hostile}})
    found = families(page())
    assert all(name.startswith("memwatchd_") for name in found)
    assert all(family.documentation.endswith(".") for family in found.values())
    (rate,) = found["memwatchd_source_rate_hertz"].samples
    assert rate.labels == {"source": 'a"b\\c\nd'}


def test_histograms_add_up(tape: Tape, page: Page) -> None:
    """Quantiles on a dashboard would be nonsense."""
    run_for_a_while(tape)
    samples = families(page())["memwatchd_tick_lag_seconds"].samples
    buckets = [(float(each.labels["le"]), each.value) for each in samples if "le" in each.labels]
    assert buckets == sorted(buckets)
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert dict(buckets)[float("inf")] == 1000
    assert next(count for bound, count in buckets if bound >= 10e-6) >= 900
    assert max(count for bound, count in buckets if bound < 4) == 990


def test_counters_are_there_from_the_start(
    tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]
) -> None:
    """The first kill would be no increase, so no alert would see it."""
    tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns()
    fresh = {"global": 0, "cgroup": 0, "unknown": 0}
    box = {"written_bytes": None, "longest_write_ms": None, "errors": 0, "left_out_segments": 0}
    state = {
        **daemon_state,
        "kills": fresh,
        "kmsg": {"lost": 0},
        "incidents": {"written": 0},
        "black_box": {**daemon_state["black_box"], **box},
    }
    write_state(places.state, state)
    found = values(page())
    for name in (
        "ticks",
        "ticks_missed",
        "ticks_armed",
        "source_errors",
        "sampler_cpu_seconds",
        "sampler_restarts",
        "kills_counted",
        "incidents",
        "kmsg_lost",
        "black_box_errors",
        "black_box_left_out_segments",
    ):
        assert found[f"memwatchd_{name}_total"] == 0, name
    kills = families(page())["memwatchd_kills"].samples
    assert {sample.labels["scope"]: sample.value for sample in kills} == fresh
    assert found["memwatchd_up"] == 1


@pytest.mark.parametrize("heartbeat_ago_s", [2.5, 3600])
def test_a_sampler_that_stopped_is_down(tape: Tape, page: Page, heartbeat_ago_s: float) -> None:
    """The alert on a dead recorder would never fire."""
    tape.samples.board[Slot.HEARTBEAT_NS] = max(0, time.monotonic_ns() - round(heartbeat_ago_s * S))
    assert values(page())["memwatchd_up"] == 0


def test_without_a_service_the_sampler_is_still_shown(tape: Tape, places: Places, page: Page) -> None:
    """A service that died would take the sampler's figures with it, or the whole page."""
    run_for_a_while(tape)
    found = values(page())
    assert (found["memwatchd_up"], found["memwatchd_ticks_total"]) == (1, 1000)
    assert "memwatchd_incidents_total" not in found
    places.state.write_bytes(b"{ damaged")
    assert values(page())["memwatchd_up"] == 1


def test_figures_of_a_real_kernel(tape: Tape, page: Page) -> None:
    """A signal would be missing on the kernel of the day, or have another value than /proc."""
    directory = FIXTURES / "debian12-6.18/proc"
    names = {"meminfo": "meminfo", "vmstat": "vmstat", "zoneinfo": "zoneinfo", "pressure": "pressure/memory"}
    tape.sample(0, {name: (directory / path).read_bytes() for name, path in names.items()})
    found = values(page())
    signals = {name: value for name, value in found.items() if name.startswith("memwatchd_signal_")}
    assert len(signals) == 11
    available_kib = int((directory / "meminfo").read_text().split("MemAvailable:")[1].split()[0])
    assert signals["memwatchd_signal_meminfo_memavailable_bytes"] == available_kib * 1024


def test_what_this_kernel_does_not_have_is_absent(tape: Tape, page: Page) -> None:
    """MemAvailable of 0 on an old kernel would wake somebody up every night."""
    tape.sample(0, {"meminfo": meminfo(MemFree=5), "vmstat": vmstat(oom_kill=0)})
    found = values(page())
    assert found["memwatchd_signal_meminfo_memfree_bytes"] == 5 * 1024
    assert "memwatchd_signal_meminfo_memavailable_bytes" not in found
    assert not [name for name in found if "pressure" in name]

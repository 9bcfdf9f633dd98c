"""The page of metrics: golden, well-formed, and there from the start."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from tests.conftest import FIXTURES, S, Tape, meminfo, pressure, slabinfo, vmstat, zoneinfo

from memwatchd.exporter.collector import MemwatchdCollector, Source
from memwatchd.exporter.table import METRICS
from memwatchd.places import Places
from memwatchd.ring.board import LAG_AT, READ_AT, Slot, bucket_of
from memwatchd.state import write_state

GOLDEN = Path(__file__).resolve().parent / "metrics.txt"
Page = Callable[[], str]
LISTS = {f"{list_}({kind})": 200_000 for list_ in ("Active", "Inactive") for kind in ("anon", "file")}


@pytest.fixture
def registry(source: Source) -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(MemwatchdCollector(source))
    return found


@pytest.fixture
def page(source: Source, registry: CollectorRegistry) -> Page:
    """Scrape."""

    def scrape() -> str:
        source.look()
        while source.advance():
            pass
        return generate_latest(registry).decode()

    return scrape


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


def labelled(page: str, name: str) -> dict[tuple[str, ...], float]:
    """A family's samples by the values of their labels."""
    return {tuple(each.labels.values()): each.value for each in families(page)[name].samples}


def run_for_a_while(tape: Tape) -> None:
    """What a sampler leaves on the board and in the ring."""
    board = tape.samples.board
    for slot, value in {
        Slot.TICKS: 1000,
        Slot.MISSED: 7,
        Slot.CPU_NS: 2_500_000_000,
        Slot.ARMED: 1,
        Slot.ARMED_TICKS: 30,
        Slot.KILLS_SEEN: 3,
        Slot.RESTARTS: 1,
        Slot.BUDGET_PPM: 350_000,
        Slot.MAJOR_FAULTS: 2,
    }.items():
        board[slot] = value
    for value_ns, count in ((10_000, 900), (300_000, 90), (4_000_000_000, 10)):
        board[LAG_AT + bucket_of(value_ns)] += count
        board[READ_AT + bucket_of(2 * value_ns)] += count
    for number in range(60):
        texts = {
            "meminfo": meminfo(
                MemFree=20_480, MemAvailable=200_000 - 1000 * number, SwapFree=0, Unevictable=0, **LISTS
            ),
            "vmstat": vmstat(oom_kill=3),
            "pressure": pressure(1_500_000 + 20_000 * number),
            "zoneinfo": zoneinfo(75 - number, 50),
            "slabinfo": slabinfo(dentry=1000, nfs_inode_cache=1000 + 100 * number),
            "buddyinfo": b"Node 0, zone   Normal" + b"%7d" * 11 % (96, 16, 0, 4, 0, 0, 0, 0, 0, 0, 0) + b"\n",
        }
        tape.sample(number / 5, texts)
    board[Slot.HEARTBEAT_NS] = tape.now_ns


def test_the_whole_page(tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]) -> None:
    """Dashboards and alerts would lose a metric without anybody noticing; regenerate it and read the diff."""
    run_for_a_while(tape)
    state = {
        **daemon_state,
        "renewed_monotonic_ns": tape.now_ns - S,
        "degraded": ["/dev/kmsg: Operation not permitted", "events: 12 records were too long"],
    }
    write_state(places.state, state)
    found = re.sub(r"(?<=^memwatchd_exporter_cpu_seconds_total ).*", "0.0", page(), flags=re.MULTILINE)
    assert found == GOLDEN.read_text()


def test_every_metric_is_on_the_golden_page() -> None:
    """A metric that nobody has ever seen would be described and missing."""
    assert {f"# HELP {metric.full_name} " for metric in METRICS} == {
        line[: line.index(" ", 7) + 1]
        for line in GOLDEN.read_text().splitlines()
        if line.startswith("# HELP")
    }


@pytest.mark.parametrize("openmetrics", [False, True])
def test_hostile_names(
    tape: Tape,
    places: Places,
    page: Page,
    registry: CollectorRegistry,
    daemon_state: dict[str, Any],
    openmetrics: bool,
) -> None:
    """One malformed line would cost the whole scrape, or forge another metric."""
    run_for_a_while(tape)
    name = 'a"b\\c\n# HELP x\nmemwatchd_up 0\nd\x1b[31m'
    hostile = {"sources": {name: {"rate_hz": 1.0}}}
    state = {**daemon_state, "sampling": {**daemon_state["sampling"], **hostile}, "degraded": [name]}
    write_state(places.state, state)
    text = page()
    if openmetrics:
        text = choose_encoder("application/openmetrics-text; version=1.0.0")[0](registry).decode()
    parse = parse_openmetrics if openmetrics else text_string_to_metric_families
    found = {family.name: family for family in parse(text)}
    assert all(each.startswith("memwatchd_") for each in found)
    (rate,) = found["memwatchd_source_rate_hertz"].samples
    assert rate.labels == {"source": name}
    assert [each.value for each in found["memwatchd_up"].samples] == [1]


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


@pytest.mark.parametrize("heartbeat_ago_s", [2.5, 3600])
def test_a_sampler_that_stopped_is_down(tape: Tape, page: Page, heartbeat_ago_s: float) -> None:
    """The alert on a dead recorder would never fire, and its last figures would be taken for the present."""
    run_for_a_while(tape)
    tape.now_ns += round(heartbeat_ago_s * S)
    found = values(page())
    assert found["memwatchd_up"] == 0
    assert "memwatchd_time_to_exhaustion_seconds" not in found
    assert "memwatchd_unaccounted_bytes" not in found


def test_without_a_service_the_sampler_is_still_shown(tape: Tape, places: Places, page: Page) -> None:
    """A service that died would take the sampler's figures with it, or the whole page."""
    run_for_a_while(tape)
    found = values(page())
    assert (found["memwatchd_up"], found["memwatchd_service_up"], found["memwatchd_ticks_total"]) == (
        1,
        0,
        1000,
    )
    assert "memwatchd_degraded" not in found
    places.state.write_bytes(b"{ damaged")
    assert values(page())["memwatchd_up"] == 1


def test_a_service_that_stands_still(
    tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]
) -> None:
    """What it last said would be believed for ever."""
    run_for_a_while(tape)
    write_state(places.state, {**daemon_state, "renewed_monotonic_ns": tape.now_ns - 11 * S})
    found = values(page())
    assert (found["memwatchd_up"], found["memwatchd_service_up"]) == (1, 0)


def test_an_older_service(tape: Tape, places: Places, page: Page, daemon_state: dict[str, Any]) -> None:
    """During an upgrade, when the exporter may be newer, one missing figure would cost all of them."""
    run_for_a_while(tape)
    old = {key: value for key, value in daemon_state.items() if key not in ("actions", "config", "black_box")}
    write_state(places.state, {**old, "incidents": {"written": 2}, "renewed_monotonic_ns": tape.now_ns})
    found = values(page())
    assert (found["memwatchd_service_up"], found["memwatchd_kmsg_lost_total"]) == (1, 3)


def test_without_a_ring(tmp_path: Path) -> None:
    """An exporter that is started first would end, or say nothing at all."""
    source = Source(Places(tmp_path, tmp_path))
    source.look()
    registry = CollectorRegistry()
    registry.register(MemwatchdCollector(source))
    assert source.problem == f"{tmp_path / 'ring'}: No such file or directory"
    assert values(generate_latest(registry).decode())["memwatchd_up"] == 0


def test_another_ring_under_the_same_name(
    tape: Tape, places: Places, page: Page, source: Source, make_ring: Callable[..., Any]
) -> None:
    """After a restart of the daemon the exporter would look at a dead ring for ever."""
    run_for_a_while(tape)
    before = values(page())
    later = Tape(make_ring(8, 65536), tape.events, tape.now_ns)
    later.sample(20, {"meminfo": meminfo(MemAvailable=1)})
    later.samples.board[Slot.TICKS] = 5
    later.samples.board[Slot.HEARTBEAT_NS] = tape.now_ns = later.now_ns
    places.ring.unlink()
    assert values(page())["memwatchd_ticks_total"] == before["memwatchd_ticks_total"]
    assert source.problem
    Path(later.samples.name).rename(places.ring)
    after = page()
    assert (values(after)["memwatchd_up"], values(after)["memwatchd_ticks_total"]) == (1, 5)
    # What was seen before goes on.
    assert labelled(after, "memwatchd_zone_headroom_min_bytes")["Normal", "0", "1m"] == 6 * 4096
    assert labelled(after, "memwatchd_available_min_bytes")[("1m",)] == 1024
    assert source.problem == ""


def test_figures_of_a_real_kernel(tape: Tape, page: Page) -> None:
    """A figure would be missing on the kernel of the day."""
    directory = FIXTURES / "debian12-6.18/proc"
    paths = {
        **{name: name for name in ("meminfo", "vmstat", "zoneinfo", "buddyinfo", "slabinfo")},
        "pressure": "pressure/memory",
    }
    texts = {name: (directory / path).read_bytes() for name, path in paths.items()}
    for number in range(80):
        tape.sample(number / 4, texts)
    tape.samples.board[Slot.HEARTBEAT_NS] = tape.now_ns
    text = page()
    available_kib = int((directory / "meminfo").read_text().split("MemAvailable:")[1].split()[0])
    assert labelled(text, "memwatchd_available_min_bytes")[("1m",)] == available_kib * 1024
    found = values(text)
    assert found["memwatchd_time_to_exhaustion_seconds"] == float("inf")
    assert found["memwatchd_unaccounted_bytes"] > 0
    assert set(labelled(text, "memwatchd_fragmentation_ratio")) == {("3",), ("9",)}
    assert labelled(text, "memwatchd_stall_ratio_max")["full", "1m"] == 0


def test_what_this_kernel_does_not_have_is_absent(tape: Tape, page: Page) -> None:
    """MemAvailable of 0 on an old kernel would wake somebody up every night."""
    tape.sample(0, {"meminfo": meminfo(MemFree=5), "vmstat": vmstat(oom_kill=0)})
    tape.samples.board[Slot.HEARTBEAT_NS] = tape.now_ns
    names = set(families(page()))
    assert "memwatchd_tick_lag_max_seconds" in names
    assert not {name for name in names if "available" in name or "stall" in name or "zone" in name}


def test_the_heartbeat_of_this_machine(places: Places, tape: Tape) -> None:
    """With the real clock, too, a sampler that ticks is up."""
    tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns()
    source = Source(places)
    source.look()
    assert source.alive

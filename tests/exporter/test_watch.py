"""What the exporter remembers of the samples."""

from collections.abc import Callable
from math import inf, isnan

import pytest
from tests.conftest import S, Tape, meminfo, pressure, slabinfo, zoneinfo
from tests.exporter.conftest import take_all

from memwatchd.exporter.collector import Source
from memwatchd.exporter.watch import TOP_CACHES, Share

PAGE = 4096


@pytest.fixture(autouse=True)
def _pages_of_4_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda _name: PAGE)


def test_a_dip_of_one_sample_is_kept(tape: Tape, source: Source) -> None:
    """The whole point: five milliseconds in which nothing was left."""
    for number in range(400):
        kib = 5 if number == 123 else 1000
        tape.sample(number / 200, {"meminfo": meminfo(MemAvailable=kib, MemFree=kib)})
    watch = take_all(source).watch
    assert watch.samples == 400
    assert watch.tracks["available"].extremes(tape.now_ns, "1m") == (5 * 1024, 1000 * 1024)
    assert watch.tracks["available"].last == 1000 * 1024


def test_zones_that_are_read_less_often(tape: Tape, source: Source) -> None:
    """Zones would never be followed, for zoneinfo is not in every sample."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    tape.watch("zoneinfo")
    tape.sample(0.01, {"meminfo": meminfo(MemFree=2)})
    tape.sample(0.02, {"zoneinfo": zoneinfo(100, 50)})
    tape.sample(0.03, {"zoneinfo": zoneinfo(4, 50)})
    tape.sample(0.04, {"zoneinfo": zoneinfo(60, 50)})
    watch = take_all(source).watch
    assert list(watch.zones) == [("0", "Normal")]
    track = watch.zones["0", "Normal"]
    # The min watermark is 10 pages.
    assert track.extremes(tape.now_ns, "1m") == (-6 * PAGE, 90 * PAGE)
    assert track.last == 50 * PAGE


def test_zones_of_real_kernels(tape: Tape, source: Source, kernel_text: Callable[[str, str], bytes]) -> None:
    """A zone would be missing, or one without pages be there and raise an alarm."""
    tape.sample(0, {"zoneinfo": kernel_text("debian12-6.18", "proc/zoneinfo")})
    assert set(take_all(source).watch.zones) == {("0", "DMA"), ("0", "DMA32"), ("0", "Normal")}


def test_stalls_are_shares_of_a_second(tape: Tape, source: Source) -> None:
    """A stall between two scrapes would be averaged away."""
    stalled_usec = 0
    for number in range(600):
        if 300 <= number < 360:
            stalled_usec += 5000  # for 0.3 s everything waits
        tape.sample(number / 200, {"pressure": pressure(stalled_usec)})
    watch = take_all(source).watch
    found = watch.tracks["some"].extremes(tape.now_ns, "1m")
    assert found is not None
    assert found[0] == 0.0
    assert found[1] == pytest.approx(0.3, abs=0.04)
    assert watch.tracks["full"].extremes(tape.now_ns, "1m") == (0.0, 0.0)


def test_a_share_begins_anew_after_a_pause_and_a_restart() -> None:
    """A suspended machine, or another boot's counter, would show as a stall of all of the time."""
    share = Share()
    assert isnan(share(0, 5.0))
    assert share(S, 5.5) == pytest.approx(0.5)
    assert isnan(share(10 * S, 9.0))
    assert isnan(share(11 * S, 1.0))
    assert share(12 * S, 1.25) == pytest.approx(0.25)


def test_time_left(tape: Tape, source: Source) -> None:
    """The alert on a machine that runs out would come too late, or all the time."""
    for number in range(20 * 60):
        kib = 1_000_000 if number < 600 else 1_000_000 - (number - 600) * 1000
        tape.sample(number / 50, {"meminfo": meminfo(MemAvailable=kib)})
    watch = take_all(source).watch
    track = watch.tracks["time_left"]
    found = track.extremes(tape.now_ns, "1m")
    assert found is not None
    assert found[0] == pytest.approx(8, abs=1)
    assert found[1] == inf
    assert track.last == pytest.approx(8, abs=1)


def test_caches_that_grow(tape: Tape, source: Source) -> None:
    """The leak would not be named, or every cache of the kernel be a time series."""
    names = [f"cache-{number}" for number in range(12)]
    for minute in range(8):
        sizes = {name: 1000 + 1000 * number * minute for number, name in enumerate(names)}
        tape.sample(60 * minute, {"slabinfo": slabinfo(**sizes)})
    found = take_all(source).watch.growing_caches()
    # Five minutes ago it was minute 2.
    assert found == [
        (f"cache-{number}", (1000 + 7000 * number) * PAGE, 5000 * number * PAGE)
        for number in range(11, 11 - TOP_CACHES, -1)
    ]


def test_a_calm_kernel_has_none(tape: Tape, source: Source) -> None:
    """Whatever happens to be in front would come and go as a time series."""
    tape.sample(0, {"slabinfo": slabinfo(dentry=1000)})
    tape.sample(60, {"slabinfo": slabinfo(dentry=1001)})
    assert take_all(source).watch.growing_caches() == []


def test_what_is_damaged_is_absent(tape: Tape, source: Source) -> None:
    """An odd kernel would end the exporter."""
    broken = {"slabinfo": b"dentry x y z : tunables", "zoneinfo": b"Node x", "meminfo": b"\xff"}
    tape.sample(0, {**broken, "pressure": b"some total=x"})
    tape.sample(1, {"meminfo": meminfo(MemAvailable=7)})
    watch = take_all(source).watch
    assert (watch.growing_caches(), watch.zones) == ([], {})
    assert watch.tracks["available"].last == 7 * 1024
    assert isnan(watch.tracks["free"].last)

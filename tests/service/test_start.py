"""Getting ready: directories, the plan, the rings."""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from memwatchd.config.model import Budget, Config, Ring, Sampling, SourceRate, Sources
from memwatchd.errors import StartError
from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, open_ring
from memwatchd.ring.format import State, Stream
from memwatchd.ring.reader import segment_headers
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.roots import Roots
from memwatchd.sampling.plan import SOURCE_PATHS, SourcePlan
from memwatchd.service.start import make_plan, make_rings, memory_problem, take_directories

MIB = 1 << 20
RINGS = Config(ring=Ring(size_bytes=4 * MIB, segment_bytes=64 << 10))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "run", tmp_path / "state")


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A /proc with small texts of everything that is sampled."""
    for path in SOURCE_PATHS.values():
        (tmp_path / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / path).write_bytes(b"text\n" * 100)
    boot_id = tmp_path / "proc/sys/kernel/random/boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text("00010203-0405-0607-0809-0a0b0c0d0e0f\n")
    return Roots(procfs=tmp_path / "proc", sysfs=tmp_path / "sys")


# ---- directories


def test_one_daemon_per_directory(places: Places) -> None:
    """Two daemons would write into the same ring."""
    lock = take_directories(places)
    with pytest.raises(StartError, match="another memwatchd is running here"):
        take_directories(places)
    os.close(lock)
    os.close(take_directories(places))


def test_a_directory_that_is_none_is_refused(places: Places) -> None:
    """The daemon would end in a traceback."""
    places.runtime_dir.write_text("a file")
    with pytest.raises(StartError, match="run: "):
        take_directories(places)


def test_a_symbolic_link_is_not_followed(places: Places, tmp_path: Path) -> None:
    """In a directory for all, somebody else could say where root writes."""
    (tmp_path / "elsewhere").mkdir()
    places.runtime_dir.symlink_to(tmp_path / "elsewhere")
    tmp_path.chmod(0o777)
    with pytest.raises(StartError):
        take_directories(places)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a link of root's takes root")
def test_a_link_that_only_root_can_have_made_is_followed(places: Places, tmp_path: Path) -> None:
    """Under DynamicUser= systemd makes RuntimeDirectory= such a link, and the daemon would not start."""
    private = tmp_path / "private"
    private.mkdir()
    places.runtime_dir.symlink_to(private)
    os.close(take_directories(places))
    assert (private / "lock").exists()
    os.lchown(places.runtime_dir, 65534, 65534)
    with pytest.raises(StartError, match="belongs to user 65534"):
        take_directories(places)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(places: Places) -> None:
    """Its owner could exchange the files in it."""
    places.runtime_dir.mkdir()
    os.chown(places.runtime_dir, 65534, 65534)
    with pytest.raises(StartError, match="belongs to user 65534, not to user 0"):
        take_directories(places)


def test_a_ring_on_a_disk_is_said() -> None:
    """The sampler would wait for the disk, and nobody would know why."""
    assert memory_problem(Places(Path("/proc/self"), Path("/"))) is not None
    if Path("/dev/shm").is_mount():
        assert memory_problem(Places(Path("/dev/shm"), Path("/"))) is None


# ---- the plan


def test_the_plan_says_what_the_configuration_says(places: Places, roots: Roots) -> None:
    """The sampler would do something else than the administrator asked for."""
    sources = Sources(slabinfo=SourceRate("off"), zoneinfo=SourceRate("fixed", 2.0))
    sampling = Sampling(
        rate_hz=100.0,
        budget=Budget(calm_pct=3.0, armed_pct=20.0),
        sources=sources,
        realtime_priority=7,
        lock_memory=False,
        oom_score_adj=-5,
    )
    plan = make_plan(Config(sampling=sampling), places, roots)
    assert plan.sources == (
        SourcePlan("vmstat", f"{roots.procfs}/vmstat"),
        SourcePlan("meminfo", f"{roots.procfs}/meminfo"),
        SourcePlan("pressure", f"{roots.procfs}/pressure/memory"),
        SourcePlan("buddyinfo", f"{roots.procfs}/buddyinfo"),
        SourcePlan("zoneinfo", f"{roots.procfs}/zoneinfo", 2.0),
    )
    assert (plan.ring, plan.service_pid, plan.roots) == (str(places.ring), os.getpid(), roots)
    assert (plan.rate_hz, plan.budget_calm_share, plan.budget_armed_share) == (100.0, 0.03, 0.2)
    assert (plan.realtime_priority, plan.lock_memory, plan.oom_score_adj) == (7, False, -5)


def test_what_this_machine_does_not_have_is_not_in_the_plan(places: Places, roots: Roots) -> None:
    """Every machine without ZFS would be called degraded; one whose rate was given would not hear of it."""
    plain = make_plan(Config(), places, roots)
    assert [source.name for source in plain.sources] == list(SOURCE_PATHS)
    fixed = Sampling(sources=Sources(arcstats=SourceRate("fixed", 5.0)))
    wanted = make_plan(Config(sampling=fixed), places, roots).sources[-1]
    assert wanted == SourcePlan("arcstats", f"{roots.procfs}/spl/kstat/zfs/arcstats", 5.0)


def test_what_this_machine_has_is_in_the_plan(places: Places, roots: Roots) -> None:
    """Compressed swap and the cache of ZFS would not be recorded."""
    for path in (roots.procfs / "spl/kstat/zfs/arcstats", roots.sysfs / "block/zram1/mm_stat"):
        path.parent.mkdir(parents=True)
        path.touch()
    extra = make_plan(Config(), places, roots).sources[len(SOURCE_PATHS) :]
    assert extra == (
        SourcePlan("arcstats", f"{roots.procfs}/spl/kstat/zfs/arcstats"),
        SourcePlan("zram/zram1", f"{roots.sysfs}/block/zram1/mm_stat"),
    )
    off = Sampling(sources=Sources(zram=SourceRate("off"), arcstats=SourceRate("off")))
    assert len(make_plan(Config(sampling=off), places, roots).sources) == len(SOURCE_PATHS)


# ---- the rings


def test_rings_as_configured(places: Places, roots: Roots) -> None:
    """The ring would reach less far back than the administrator made room for."""
    places.runtime_dir.mkdir()
    config = Config(ring=Ring(size_bytes=4 * MIB, segment_bytes=64 << 10))
    samples, events, problem = make_rings(config, places, make_plan(config, places, roots))
    assert (samples.header.segment_bytes, samples.header.segment_count) == (64 << 10, 64)
    assert (events.header.stream, samples.header.stream) == (Stream.EVENTS, Stream.SAMPLES)
    assert samples.header.boot_id == bytes(range(16))
    assert problem is None
    assert open_ring(places.ring).state == State.RUNNING
    assert open_ring(places.events).header == events.header


@pytest.mark.parametrize(("total_mib", "segments"), [(1 << 20, 64), (100, 32), (1, 8)])
def test_a_small_machine_has_small_rings(places: Places, roots: Roots, total_mib: int, segments: int) -> None:
    """What is locked for looking on would be missing where memory is short to begin with."""
    places.runtime_dir.mkdir()
    (roots.procfs / "meminfo").write_text(f"MemTotal: {total_mib << 10} kB\n")
    samples, events, _ = make_rings(RINGS, places, make_plan(RINGS, places, roots))
    assert samples.header.segment_count == segments
    assert events.header.segment_count == max(8, segments // 8)


@pytest.fixture
def closed(places: Places, roots: Roots) -> RingMap:
    """The ring of a run that has ended in good order, with something in it."""
    places.runtime_dir.mkdir()
    samples, events, _ = make_rings(RINGS, places, make_plan(RINGS, places, roots))
    for ring in (samples, events):
        RingWriter(ring, lambda: Clocks(1, 2, 3), ring.header.boot_id, 7).start_segment()
        ring.set_state(State.CLOSED)
    samples.board[Slot.TICKS], samples.board[Slot.NUMBER] = 40, 90
    return samples


def test_a_ring_that_was_closed_is_gone_on_with(places: Places, roots: Roots, closed: RingMap) -> None:
    """After an upgrade an incident would reach back to the upgrade only."""
    samples, events, problem = make_rings(RINGS, places, make_plan(RINGS, places, roots))
    assert [len(segment_headers(ring)) for ring in (samples, events)] == [1, 1]
    assert (samples.header, samples.state, problem) == (closed.header, State.CLOSED, None)
    assert (samples.board[Slot.TICKS], samples.board[Slot.NUMBER]) == (0, 90)
    samples.segments[0][0] ^= 1
    assert closed.segments[0][0] == samples.segments[0][0], "it is the same memory"


def another_boot(places: Places, roots: Roots) -> None:
    path = roots.procfs / "sys/kernel/random/boot_id"
    path.write_text(path.read_text().replace("00", "ff"))


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    "spoil",
    [
        another_boot,
        lambda places, _: open_ring(places.ring, writable=True).set_state(State.RUNNING),
        lambda places, _: os.truncate(places.ring, 100_000),
        lambda places, _: places.ring.write_bytes(b"no ring" * 1000),
        lambda places, _: places.ring.unlink(),
        lambda places, _: os.link(places.ring, places.runtime_dir / "another name"),
        lambda places, _: (
            places.ring.rename(places.runtime_dir / "elsewhere"),
            places.ring.symlink_to(places.runtime_dir / "elsewhere"),
        ),
    ],
)
def test_another_ring_is_not_gone_on_with(
    places: Places, roots: Roots, spoil: Callable[[Places, Roots], object]
) -> None:
    """Samples of another boot would be taken for this one's, or somebody else's file be written."""
    spoil(places, roots)
    samples, _, _ = make_rings(RINGS, places, make_plan(RINGS, places, roots))
    assert (segment_headers(samples), samples.state) == ([], State.RUNNING)
    assert samples.board[Slot.NUMBER] == 0


@pytest.mark.usefixtures("closed")
def test_a_ring_of_another_size_is_made_anew(places: Places, roots: Roots) -> None:
    """The configured size would never be in force."""
    larger = replace(RINGS, ring=Ring(size_bytes=8 * MIB, segment_bytes=64 << 10))
    samples, _, _ = make_rings(larger, places, make_plan(larger, places, roots))
    assert (samples.header.segment_count, segment_headers(samples)) == (128, [])


def test_a_machine_with_large_texts_gets_larger_segments(places: Places, roots: Roots) -> None:
    """On a machine with hundreds of CPUs no sample would fit into a segment."""
    places.runtime_dir.mkdir()
    noise = random.Random(1).randbytes(100_000)
    (roots.procfs / "zoneinfo").write_bytes(noise)
    config = Config(ring=Ring(size_bytes=4 * MIB, segment_bytes=64 << 10))
    samples, _, problem = make_rings(config, places, make_plan(config, places, roots))
    assert samples.header.segment_bytes == 512 << 10
    assert samples.header.segment_count == 8
    assert problem is None
    small = replace(config, ring=Ring(size_bytes=MIB, segment_bytes=64 << 10))
    samples, _, problem = make_rings(small, places, make_plan(small, places, roots))
    assert (samples.header.segment_bytes, samples.header.segment_count) == (512 << 10, 8)
    assert problem is not None
    assert "4 MiB" in problem


def test_a_source_that_is_not_there_is_no_harm(places: Places, roots: Roots) -> None:
    """A kernel without PSI could not be recorded at all."""
    places.runtime_dir.mkdir()
    (roots.procfs / "pressure/memory").unlink()
    config = Config(ring=Ring(size_bytes=MIB, segment_bytes=32 << 10))
    samples, _, _ = make_rings(config, places, make_plan(config, places, roots))
    assert samples.header.segment_bytes == 32 << 10


def test_no_room_for_the_ring(places: Places, roots: Roots) -> None:
    """A full /run would end in a traceback."""
    places.runtime_dir.write_text("a file")
    config = Config()
    with pytest.raises(StartError, match="no room for the ring"):
        make_rings(config, places, make_plan(config, places, roots))

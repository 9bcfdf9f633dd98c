"""What was in the kernel's files is in the ring, byte for byte."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.service.conftest import Daemon, StartDaemon

from memwatchd.incidents.format import BlockType
from memwatchd.procfs.slabinfo import parse_slabinfo
from memwatchd.ring.board import Slot
from memwatchd.ring.stream import Moment, stored_files
from memwatchd.sampling.plan import SOURCE_PATHS

pytestmark = pytest.mark.live

_RATE = "500Hz"


@dataclass
class Version:
    """A text and the time during which the file held it and was not being written."""

    text: bytes
    from_ns: int
    to_ns: int | None = None


@dataclass
class FakeFile:
    """A file that remembers all it ever held."""

    path: Path
    versions: list[Version] = field(default_factory=list)

    def write(self, text: bytes) -> None:
        """Replace the content, in the same file, for the sampler keeps it open."""
        if self.versions:
            self.versions[-1].to_ns = time.monotonic_ns()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.ftruncate(descriptor, 0)
            assert os.pwrite(descriptor, text, 0) == len(text)
        finally:
            os.close(descriptor)
        self.versions.append(Version(text, time.monotonic_ns()))

    def held(self, from_ns: int, to_ns: int) -> bytes | None:
        """What it held during a span; None when it was being written then."""
        for version in self.versions:
            if version.from_ns < from_ns and (version.to_ns is None or to_ns < version.to_ns):
                return version.text
        return None


@pytest.fixture
def fake_proc(tmp_path: Path) -> Path:
    """A /proc with nothing in it but what a daemon needs to be content."""
    root = tmp_path / "proc"
    for path in ("sys/kernel/random/boot_id", "loadavg", "uptime", "swaps", "cmdline"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("/proc") / path, root / path)
    return root


def texts_of(source: str) -> Iterator[bytes]:
    """Texts that grow, shrink, vanish, stay the same, change by one byte, and outgrow every buffer."""
    line = b"".join(b"%s_%04d %d\n" % (source.encode(), number, number * 7919) for number in range(12_000))
    noise = b"".join(os.urandom(8).hex().encode() + b"\n" for _ in range(1500))
    for length in (
        300,
        301,
        299,
        4096,
        4095,
        8192,
        8193,
        0,
        1,
        49_152,
        49_153,
        66_000,
        131_072,
        200_001,
        70_000,
    ):
        yield line[:length]
    yield line[:70_000]
    yield line[:35_000] + b"X" + line[35_001:70_000]
    yield line[200:70_200]
    yield noise
    yield b""
    yield noise[:100] + bytes(range(256)) * 3
    yield line[:1000]


def test_every_byte_comes_back(start_daemon: StartDaemon, fake_proc: Path) -> None:
    """A recording that is not what the kernel said is worse than none."""
    files = {name: FakeFile(fake_proc / path) for name, path in SOURCE_PATHS.items()}
    plans = {name: list(texts_of(name)) for name in files}
    for name, file in files.items():
        file.path.parent.mkdir(exist_ok=True)
        file.write(plans[name][0])
    config = {
        "ring": {"size": "64MiB", "segment": "2MiB"},
        "sampling": {"rate": _RATE, "sources": dict.fromkeys(files, _RATE)},
    }
    daemon = start_daemon(config, "--path.procfs", str(fake_proc))
    for step in range(1, len(plans["meminfo"])):
        daemon.wait_for_ticks(6)
        for place, (name, file) in enumerate(files.items()):
            # Not all at once, so that ticks come between them.
            if place % 3 == 2:
                daemon.wait_for_ticks(1)
            file.write(plans[name][step])
    daemon.wait_for_ticks(6)

    incident = daemon.dump()
    assert incident.problems == []
    compared = {name: set[bytes]() for name in files}
    for moment in incident.moments():
        compare(moment, files, compared)
    for name, file in files.items():
        assert compared[name] == {version.text for version in file.versions}, name
    figures = daemon.ring().figures()
    assert (figures[Slot.SOURCE_ERRORS], figures[Slot.OVERSIZE], figures[Slot.RESTARTS]) == (0, 0, 0)


def compare(moment: Moment, files: dict[str, FakeFile], compared: dict[str, set[bytes]]) -> None:
    """Compare one sample with what the files held while it was taken, and note which versions were met."""
    sample = moment.sample
    for name, file in files.items():
        # A segment's first sample may read a source once more, after the others: twice as long is enough.
        until_ns = sample.monotonic_ns + 2 * sample.read_ns + 1_000_000
        held = file.held(sample.monotonic_ns, until_ns)
        if held is not None:
            assert moment.text(name) == held, f"{name} in tick {sample.tick}"
            compared[name].add(held)


def test_a_source_larger_than_a_segment_costs_itself_only(start_daemon: StartDaemon, fake_proc: Path) -> None:
    """One file that outgrew the ring would silence all the others."""
    noise = b"".join(os.urandom(16).hex().encode() + b"\n" for _ in range(40_000))
    files = {name: FakeFile(fake_proc / path) for name, path in SOURCE_PATHS.items()}
    for name, file in files.items():
        file.path.parent.mkdir(exist_ok=True)
        file.write(b"%s 1\n" % name.encode())
    daemon = start_daemon(None, "--path.procfs", str(fake_proc))
    files["slabinfo"].write(noise)
    daemon.wait_for(lambda: daemon.ring().figures()[Slot.OVERSIZE] > 0, "the sampler to meet the large text")
    files["meminfo"].write(b"MemAvailable: 4711 kB\n")
    daemon.wait_for(lambda: newest(daemon, "meminfo") == b"MemAvailable: 4711 kB\n", "the others to go on")
    files["slabinfo"].write(b"small again\n")
    daemon.wait_for(lambda: newest(daemon, "slabinfo") == b"small again\n", "it to come back")
    assert daemon.state()["sampling"]["restarts"] == 0


def newest(daemon: Daemon, source: str) -> bytes | None:
    moment = daemon.last_moment()
    return None if moment is None else moment.text(source)


def test_the_kernels_own_texts_parse(start_daemon: StartDaemon) -> None:
    """slabinfo, which needs most rights and most room, would be cut short or missing."""
    if os.geteuid() != 0:
        pytest.skip("reading /proc/slabinfo needs root")
    daemon = start_daemon()
    incident = daemon.dump()
    raw = daemon.cli("raw", incident.path.name, "--source", "slabinfo")
    assert (raw.returncode, raw.stderr) == (0, b"")
    names = {cache.name for cache in parse_slabinfo(raw.stdout).caches}
    real = {cache.name for cache in parse_slabinfo(Path("/proc/slabinfo").read_bytes()).caches}
    assert names == real
    kept = {stored.name: stored.text for stored in stored_files(incident.segments(BlockType.EVENTS))}
    assert kept["swaps"] == Path("/proc/swaps").read_bytes()

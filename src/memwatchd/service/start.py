"""Getting ready: directories, the rings, the sampler's plan, and what a previous run left behind."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lz4.block

from memwatchd.config.dump import to_yaml
from memwatchd.config.model import Config
from memwatchd.errors import FormatError, ParseError, StartError
from memwatchd.incidents.recorder import Windows
from memwatchd.incidents.store import Keep
from memwatchd.kernel import privileges
from memwatchd.kernel.clocks import read_boot_id
from memwatchd.kernel.files import open_own
from memwatchd.places import Places, is_memory
from memwatchd.procfs.meminfo import parse_meminfo
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, create_ring, map_descriptor
from memwatchd.ring.format import RingHeader, State, Stream
from memwatchd.roots import Roots
from memwatchd.sampling.plan import ARCSTATS_PATH, SOURCE_PATHS, Plan, SourcePlan, extra_sources
from memwatchd.service.acting import make_rulebook

_EVENTS_SEGMENT_BYTES = 64 << 10
_MIN_SEGMENTS = 8
_NICE = -10


def take_directories(places: Places) -> int:
    """Make the directories and lock the runtime directory against a second daemon.

    Returns:
        The lock's descriptor; the lock lasts as long as it is open.

    Raises:
        StartError: It cannot be made, is somebody else's, or is locked.
    """
    directory = places.runtime_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        # systemd makes it a link to a directory below /run/private where users come and go.
        status = directory.stat() if _is_ours_to_follow(directory) else directory.lstat()
        if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
            raise StartError(f"{directory}: belongs to user {status.st_uid}, not to user {os.geteuid()}")
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StartError(f"{directory}: another memwatchd is running here") from error
    except OSError as error:
        raise StartError(f"{directory}: {error.strerror}") from error
    return lock


def _is_ours_to_follow(path: Path) -> bool:
    """Whether nobody but root can have said where a link leads."""
    parent = path.parent.stat()
    return path.lstat().st_uid == parent.st_uid == 0 and not parent.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


SLOW_PROCESSOR = (
    "sampling: the rate gives way: all of it would take too much of this processor (sampling.budget)"
)


def take_priority(config: Config) -> list[str]:
    """Make this process come before others; has to be done before any thread is started.

    Real-time, but below the sampler: with a nice value only, the wait for a processor between a decision
    and its action grows to hundreds of milliseconds on a busy machine, for one thread holds up the others.

    Returns:
        What was refused, one sentence each.
    """
    refused = [privileges.become_nice(_NICE)]
    if config.sampling.realtime_priority > 1:
        priority = config.sampling.realtime_priority // 2
        refused.append(privileges.become_realtime(priority, with_threads=True))
    return [sentence for sentence in refused if sentence]


def memory_problem(places: Places) -> str | None:
    """Say so when the ring would be on a disk."""
    mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    if is_memory(places.runtime_dir.resolve(), mountinfo):
        return None
    return f"{places.runtime_dir} is not on tmpfs: the sampler may have to wait for the disk"


def make_plan(config: Config, places: Places, roots: Roots) -> Plan:
    """Put together what the sampler has to know."""
    sampling = config.sampling
    return Plan(
        ring=str(places.ring),
        service_pid=os.getpid(),
        rate_hz=sampling.rate_hz,
        budget_calm_share=sampling.budget.calm_pct / 100,
        budget_armed_share=sampling.budget.armed_pct / 100,
        sources=tuple(_sources(config, roots)),
        realtime_priority=sampling.realtime_priority,
        lock_memory=sampling.lock_memory,
        oom_score_adj=sampling.oom_score_adj,
        roots=roots,
        book=make_rulebook(config),
        epitaph=str(places.epitaph) if config.black_box.enabled else "",
    )


def _sources(config: Config, roots: Roots) -> Iterator[SourcePlan]:
    """Yield what is to be sampled; of what most machines do not have only what this one has."""
    rates = config.sampling.sources.by_name()
    paths = {name: roots.procfs / path for name, path in SOURCE_PATHS.items()} | extra_sources(roots)
    # Whoever gives a rate for it wants to hear that it is not there.
    if rates["arcstats"].mode == "fixed":
        paths.setdefault("arcstats", roots.procfs / ARCSTATS_PATH)
    for name, path in paths.items():
        wanted = rates[name.partition("/")[0]]
        if wanted.mode != "off":
            yield SourcePlan(name, str(path), wanted.rate_hz)


def windows(config: Config) -> Windows:
    """How much goes into an incident."""
    incidents = config.incidents
    return Windows(incidents.before_ns, incidents.after_ns, incidents.merge_limit_ns)


def limits(config: Config) -> Keep:
    """How many incidents stay."""
    keep = config.incidents.keep
    return Keep(keep.count, keep.size_bytes, keep.age_ns)


def texts(config: Config) -> dict[str, bytes]:
    """What is kept with each incident."""
    return {"config.yaml": to_yaml(config).encode()}


def make_rings(config: Config, places: Places, plan: Plan) -> tuple[RingMap, RingMap, str | None]:
    """Make both rings; also a sentence when the machine's texts forced larger ones than wanted.

    A ring that the last run of this boot has closed in good order is gone on with, if it is as it would be
    made now: who upgrades or restarts the daemon keeps its memory. Its state stays `State.CLOSED` until this
    run writes to it.

    Raises:
        StartError: There is no room for them.
    """
    segment_bytes = config.ring.segment_bytes
    # A segment begins with all texts whole; at least four times that leaves room for what comes after.
    while segment_bytes < 4 * _key_bytes(plan):
        segment_bytes *= 2
    wanted_bytes = _ring_bytes(config, plan.roots)
    count = max(_MIN_SEGMENTS, wanted_bytes // segment_bytes)
    boot_id, now_ns = read_boot_id(plan.roots), time.time_ns()
    events_count = max(_MIN_SEGMENTS, wanted_bytes // 8 // _EVENTS_SEGMENT_BYTES)
    try:
        samples = _keep_or_make(
            places.ring, RingHeader(segment_bytes, count, Stream.SAMPLES, boot_id, now_ns), 0o640
        )
        # Names of processes and the kernel's messages: unlike samples, they are for nobody but us.
        events = _keep_or_make(
            places.events,
            RingHeader(_EVENTS_SEGMENT_BYTES, events_count, Stream.EVENTS, boot_id, now_ns),
            0o600,
        )
    except OSError as error:
        raise StartError(f"{places.runtime_dir}: no room for the ring: {error.strerror}") from error
    grown = segment_bytes * count > wanted_bytes
    problem = (
        f"ring: one sample of this machine is so large that the ring takes {segment_bytes * count >> 20} MiB"
    )
    return samples, events, problem if grown else None


def _ring_bytes(config: Config, roots: Roots) -> int:
    """The size that is configured, or less on a machine that has little."""
    try:
        total_bytes = parse_meminfo((roots.procfs / "meminfo").read_bytes()).mem_total_bytes
    except (OSError, ParseError):
        total_bytes = None  # the sampler will say so
    size_bytes = config.ring.size_bytes
    return (
        size_bytes if total_bytes is None else min(size_bytes, int(total_bytes * config.ring.share_pct / 100))
    )


def _keep_or_make(path: Path, header: RingHeader, mode: int) -> RingMap:
    return _closed_ring(path, header) or create_ring(path, header, mode)


def _closed_ring(path: Path, header: RingHeader) -> RingMap | None:
    """Map a ring that was closed in good order and is like this one; None where there is none."""
    try:
        descriptor = open_own(path, os.O_RDWR, 0)
    except OSError:
        return None
    try:
        ring = map_descriptor(descriptor, str(path), writable=True)
    except FormatError:
        return None
    finally:
        os.close(descriptor)
    wanted = replace(header, created_realtime_ns=ring.header.created_realtime_ns)
    if ring.state != State.CLOSED or ring.header != wanted:
        return None
    # Counts begin anew with the daemon; the numbers of ticks go on, for samples are told apart by them.
    number = ring.board[Slot.NUMBER]
    ring.board[:] = memoryview(bytes(ring.board.nbytes)).cast("Q")
    ring.board[Slot.NUMBER] = number
    return ring


def _key_bytes(plan: Plan) -> int:
    """Compressed size of all texts as they are now."""
    total = 0
    for source in plan.sources:
        try:
            total += len(lz4.block.compress(Path(source.path).read_bytes(), store_size=False))
        except OSError:
            continue  # the sampler will say so
    return total

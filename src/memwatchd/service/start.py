"""Getting ready: directories, the rings, the sampler's plan, and what a previous run left behind."""

import fcntl
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lz4.block

from memwatchd.config.model import Config
from memwatchd.errors import FormatError, NotFoundError, StartError
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.recorder import RECORDER_DIED, Recorder, Segments, Trigger
from memwatchd.kernel.clocks import read_boot_id
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.oomreport.kills import KillParser
from memwatchd.places import Places, is_memory
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, create_ring, open_ring
from memwatchd.ring.format import RingHeader, State, Stream
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.writer import Clocks
from memwatchd.roots import Roots
from memwatchd.sampling.plan import SOURCE_PATHS, Plan, SourcePlan
from memwatchd.service.facts import host_facts, program_facts, sampling_facts
from memwatchd.service.ledger import Ledger

_EVENTS_SEGMENT_BYTES = 64 << 10
_MIN_SEGMENTS = 8
_BACKLOG_RECORDS = 100_000
_LONGEST_SEGMENT_NS = 3600 * 10**9


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
        status = directory.lstat()
        if status.st_uid != os.geteuid() or directory.is_symlink():
            raise StartError(f"{directory}: belongs to user {status.st_uid}, not to user {os.geteuid()}")
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StartError(f"{directory}: another memwatchd is running here") from error
    except OSError as error:
        raise StartError(f"{directory}: {error.strerror}") from error
    return lock


def memory_problem(places: Places) -> str | None:
    """Say so when the ring would be on a disk."""
    mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    if is_memory(places.runtime_dir.resolve(), mountinfo):
        return None
    return f"{places.runtime_dir} is not on tmpfs: the sampler may have to wait for the disk"


def make_plan(config: Config, places: Places, roots: Roots) -> Plan:
    """Put together what the sampler has to know."""
    sampling = config.sampling
    sources = []
    for name, path in SOURCE_PATHS.items():
        wanted = config.sampling.sources.by_name()[name]
        if wanted.mode != "off":
            sources.append(SourcePlan(name, str(roots.procfs / path), wanted.rate_hz))
    return Plan(
        ring=str(places.ring),
        service_pid=os.getpid(),
        rate_hz=sampling.rate_hz,
        budget_calm_share=sampling.budget.calm_pct / 100,
        budget_armed_share=sampling.budget.armed_pct / 100,
        sources=tuple(sources),
        realtime_priority=sampling.realtime_priority,
        lock_memory=sampling.lock_memory,
        oom_score_adj=sampling.oom_score_adj,
        roots=roots,
    )


def make_rings(config: Config, places: Places, plan: Plan) -> tuple[RingMap, RingMap, str | None]:
    """Make both rings; also a sentence when the machine's texts forced larger ones than configured.

    Raises:
        StartError: There is no room for them.
    """
    segment_bytes = config.ring.segment_bytes
    # A segment begins with all texts whole; at least four times that leaves room for what comes after.
    while segment_bytes < 4 * _key_bytes(plan):
        segment_bytes *= 2
    count = max(_MIN_SEGMENTS, config.ring.size_bytes // segment_bytes)
    boot_id, now_ns = read_boot_id(plan.roots), time.time_ns()
    events_count = max(_MIN_SEGMENTS, config.ring.size_bytes // 8 // _EVENTS_SEGMENT_BYTES)
    try:
        samples = create_ring(places.ring, RingHeader(segment_bytes, count, Stream.SAMPLES, boot_id, now_ns))
        events = create_ring(
            places.events, RingHeader(_EVENTS_SEGMENT_BYTES, events_count, Stream.EVENTS, boot_id, now_ns)
        )
    except OSError as error:
        raise StartError(f"{places.runtime_dir}: no room for the ring: {error.strerror}") from error
    grown = segment_bytes * count > config.ring.size_bytes
    problem = (
        f"ring: one sample of this machine is so large that the ring takes {segment_bytes * count >> 20} MiB"
    )
    return samples, events, problem if grown else None


def _key_bytes(plan: Plan) -> int:
    """Compressed size of all texts as they are now."""
    total = 0
    for source in plan.sources:
        try:
            total += len(lz4.block.compress(Path(source.path).read_bytes(), store_size=False))
        except OSError:
            continue  # the sampler will say so
    return total


@dataclass(frozen=True, slots=True)
class Remains:
    """Rings of a run that did not end in good order; mapped, so they outlive being replaced."""

    samples: RingMap
    events: RingMap | None
    last_ns: int


def find_remains(places: Places) -> Remains | None:
    """Look for the rings of a previous run that did not end in good order, and put them aside.

    Aside they stay until `forget_remains`: a start that dies before has not lost them.
    """
    if _unsaved(places.ring):
        for path in (places.ring, places.events):
            if path.exists():
                path.rename(_aside(path))
    samples = _open(_aside(places.ring))
    if samples is None:
        return None
    headers = segment_headers(samples)
    if not headers:
        return None
    return Remains(samples, _open(_aside(places.events)), _last_ns(samples, headers[-1].monotonic_ns))


def _last_ns(samples: RingMap, newest_segment_ns: int) -> int:
    """When the last tick was; the board has no CRC, so what it says must fit to the newest segment."""
    heartbeat_ns = samples.figures()[Slot.HEARTBEAT_NS]
    sane = newest_segment_ns <= heartbeat_ns <= newest_segment_ns + _LONGEST_SEGMENT_NS
    return heartbeat_ns if sane else newest_segment_ns


def forget_remains(places: Places) -> None:
    """Remove the rings that were put aside; they are saved."""
    for path in (places.ring, places.events):
        _aside(path).unlink(missing_ok=True)


def _unsaved(path: Path) -> bool:
    ring = _open(path)
    return ring is not None and ring.state != State.CLOSED and bool(segment_headers(ring))


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def save_remains(remains: Remains, recorder: Recorder, roots: Roots, boot_id: bytes, before_ns: int) -> Path:
    """Write an incident about the end of the previous run.

    Raises:
        OSError: It could be written nowhere.
    """
    same_boot = remains.samples.header.boot_id == boot_id
    newest = segment_headers(remains.samples)[-1]
    ahead_ns = remains.last_ns - newest.monotonic_ns
    moment = Clocks(remains.last_ns, newest.boottime_ns + ahead_ns, newest.realtime_ns + ahead_ns)
    what = "the recorder was killed" if same_boot else "the machine went down"
    trigger = Trigger(RECORDER_DIED, f"{what}; these are its last samples", moment)
    from_ns = remains.last_ns - before_ns
    backlog, facts = _backlog(roots, from_ns) if same_boot else (b"", Ledger(False).between(0, 0))
    rings = {BlockType.EVENTS: remains.events, BlockType.SAMPLES: remains.samples}
    segments: Segments = {
        kind: partial(read_segments, ring, from_ns=from_ns)
        for kind, ring in rings.items()
        if ring is not None
    }
    facts |= {
        "program": program_facts(),
        "host": host_facts(roots),
        "sampling": sampling_facts(remains.samples.figures(), list(SOURCE_PATHS)),
        "window": {"from_ns": from_ns, "to_ns": remains.last_ns},
    }
    texts = {"kmsg-backlog": backlog} if backlog else {}
    return recorder.write_whole(trigger, segments, facts, texts, remains.samples.header.boot_id)


def _backlog(roots: Roots, from_ns: int) -> tuple[bytes, dict[str, Any]]:
    """Kernel messages since `from_ns`, verbatim, and the kills among them: nobody was there to read them."""
    try:
        reader = KmsgReader.open(roots.kmsg, backlog=True)
    except OSError:
        return b"", Ledger(messages_read=False).between(0, 0)
    parser, ledger, raws = KillParser(), Ledger(messages_read=True), []
    for raw, record in reader.read(_BACKLOG_RECORDS):
        if record is None or record.timestamp_usec * 1000 < from_ns:
            continue
        raws.append(raw)
        kill = parser.feed(record.text, record.sequence, record.timestamp_usec)
        if kill is not None:
            ledger.told(record.timestamp_usec * 1000, kill)
    reader.close()
    facts = ledger.between(from_ns, time.monotonic_ns())
    facts["disagreements"] = []  # no counter was read meanwhile
    return b"".join(raws), facts


def _open(path: Path) -> RingMap | None:
    try:
        return open_ring(path)
    except (NotFoundError, FormatError):
        return None

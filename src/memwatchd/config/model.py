"""The configuration as frozen dataclasses, and the one table of its keys.

Every field carries a `Key` that says what stands in the file for it: name, kind, bounds, one sentence of
explanation. Reading, writing, the error messages and the JSON Schema are all derived from these, so a key is
added here and nowhere else. The defaults are the built-in configuration. Field names carry the unit, keys of
the file do not: ``sampling.rate: 200Hz`` is ``config.sampling.rate_hz == 200.0``.

No YAML and no parsing in this module: processes that must stay small import it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args

_MS = 1_000_000
_S = 1000 * _MS
_MIN = 60 * _S
_HOUR = 60 * _MIN
_DAY = 24 * _HOUR

_KIB = 1 << 10
_MIB = 1 << 20
_GIB = 1 << 30
_TIB = 1 << 40

MIN_SEGMENTS = 8

LogLevel = Literal["error", "warning", "info", "debug"]


class Kind(StrEnum):
    """What a key's value looks like in the file, and what it becomes.

    SECTION     a mapping                       the dataclass `Key.of`
    LIST        a list of mappings              a tuple of `Key.of`
    SIZE        ``16MiB``                       int, bytes
    DURATION    ``30s``                         int, nanoseconds
    RATE        ``200Hz``                       float, Hz
    SOURCE      ``auto``, ``off``, ``20Hz``     SourceRate
    PERCENTAGE  ``5%``                          float, per cent
    BOOLEAN     ``true``, ``false``             bool
    INTEGER     ``-999``                        int
    TEXT        any text                        str
    PATH        ``/run/foo.pid``                Path, absolute
    CGROUP      ``/system.slice/foo.service``   str, as in /proc/PID/cgroup
    LISTEN      ``127.0.0.1:10973``             Listen
    CHOICE      one of `Key.choices`            str
    """

    SECTION = "section"
    LIST = "list"
    SIZE = "size"
    DURATION = "duration"
    RATE = "rate"
    SOURCE = "source"
    PERCENTAGE = "percentage"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "text"
    PATH = "path"
    CGROUP = "cgroup"
    LISTEN = "listen"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the file holds for one field.

    Attributes:
        name: The key in the file.
        doc: One sentence for the reader of the file.
        example: A value as written in the file, for error messages.
        minimum: Smallest value, in the field's unit; None for no bound.
        maximum: Largest value, in the field's unit; for a LIST the number of entries.
        exclusive_minimum: The value must be larger than this.
        power_of_two: Only powers of two will do.
        max_bytes: Longest text, in bytes of UTF-8.
        choices: The words a CHOICE may be.
        one_of: Of all keys of a section that name the same group, exactly one must be given.
        why: The reason for the bounds, where it is not plain to see.
        of: The dataclass of a SECTION, or of the entries of a LIST.
    """

    name: str
    kind: Kind
    doc: str
    example: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    power_of_two: bool = False
    max_bytes: int | None = None
    choices: tuple[str, ...] = ()
    one_of: str = ""
    why: str = ""
    of: type[Any] | None = None


def _key(name: str, kind: Kind, doc: str, **more: Any) -> dict[str, Key]:
    return {"key": Key(name=name, kind=kind, doc=doc, **more)}


def _section(name: str, of: type[Any], doc: str) -> dict[str, Key]:
    return _key(name, Kind.SECTION, doc, of=of)


def keys_of(section: type[Any]) -> dict[str, Key]:
    """Say which keys a section of the configuration has: `Key` by the name of the dataclass field."""
    return {each.name: each.metadata["key"] for each in fields(section)}


def walk_keys(section: type[Any], prefix: str = "") -> Iterator[tuple[str, Key]]:
    """Give all keys below a section with their dotted paths, parents first.

    Keys of a list's entries are given once, as ``watch[].comm``.
    """
    for key in keys_of(section).values():
        path = f"{prefix}{key.name}"
        yield path, key
        if key.of is not None:
            yield from walk_keys(key.of, f"{path}[]." if key.kind is Kind.LIST else f"{path}.")


@dataclass(frozen=True, slots=True)
class SourceRate:
    """How often a source is read.

    Attributes:
        mode: ``auto`` leaves it to the governor, ``off`` never reads it, ``fixed`` reads it at `rate_hz`.
        rate_hz: Set exactly when the mode is ``fixed``.
    """

    mode: Literal["auto", "off", "fixed"] = "auto"
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens.

    Attributes:
        host: Name or address; an IPv6 address without its brackets.
        port: 1..65535.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """CPU time that sampling may take, in per cent of one core."""

    calm_pct: float = field(
        default=5.0,
        metadata=_key(
            "calm",
            Kind.PERCENTAGE,
            "CPU time for sampling while memory is plentiful, as a share of one core.",
            example="5%",
            exclusive_minimum=0,
            maximum=100,
        ),
    )
    armed_pct: float = field(
        default=35.0,
        metadata=_key(
            "armed",
            Kind.PERCENTAGE,
            "CPU time for sampling while memory is short, as a share of one core.",
            example="35%",
            exclusive_minimum=0,
            maximum=100,
        ),
    )


def _source(name: str, doc: str) -> dict[str, Key]:
    return _key(name, Kind.SOURCE, doc, example="20Hz", minimum=0.1, maximum=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The kernel files of the whole machine; the key is the source's name everywhere."""

    meminfo: SourceRate = field(
        default=SourceRate(), metadata=_source("meminfo", "/proc/meminfo: where the memory is, in kB.")
    )
    vmstat: SourceRate = field(
        default=SourceRate(),
        metadata=_source("vmstat", "/proc/vmstat: page counters, and the count of OOM kills."),
    )
    buddyinfo: SourceRate = field(
        default=SourceRate(),
        metadata=_source("buddyinfo", "/proc/buddyinfo: free blocks of each size, by zone."),
    )
    pressure: SourceRate = field(
        default=SourceRate(),
        metadata=_source("pressure", "/proc/pressure/memory: time lost waiting for memory."),
    )
    zoneinfo: SourceRate = field(
        default=SourceRate(),
        metadata=_source("zoneinfo", "/proc/zoneinfo: each zone's free pages and watermarks."),
    )
    slabinfo: SourceRate = field(
        default=SourceRate(),
        metadata=_source("slabinfo", "/proc/slabinfo: the kernel's own caches; costly to read."),
    )

    def by_name(self) -> dict[str, SourceRate]:
        """Give the rate of every source by the source's name."""
        return {key.name: getattr(self, name) for name, key in keys_of(Sources).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is read, how often, and with which priority."""

    rate_hz: float = field(
        default=200.0,
        metadata=_key(
            "rate",
            Kind.RATE,
            "How often memory is looked at.",
            example="200Hz",
            minimum=1,
            maximum=1000,
        ),
    )
    budget: Budget = field(
        default_factory=Budget, metadata=_section("budget", Budget, "CPU time that sampling may take.")
    )
    sources: Sources = field(
        default_factory=Sources, metadata=_section("sources", Sources, "The kernel files that are read.")
    )
    realtime_priority: int = field(
        default=10,
        metadata=_key(
            "realtime_priority",
            Kind.INTEGER,
            "SCHED_FIFO priority of the sampler; 0 does not ask for one.",
            example="10",
            minimum=0,
            maximum=99,
        ),
    )
    lock_memory: bool = field(
        default=True,
        metadata=_key(
            "lock_memory",
            Kind.BOOLEAN,
            "Keep the daemon's own memory from being paged out.",
            example="true",
        ),
    )
    oom_score_adj: int = field(
        default=-999,
        metadata=_key(
            "oom_score_adj",
            Kind.INTEGER,
            "How readily the OOM killer takes the daemon itself; low values protect it.",
            example="-999",
            minimum=-999,
            maximum=1000,
            why="-1000 would leave it unkillable even if it leaked memory in its own cgroup",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A process or cgroup recorded beside the machine's own figures; exactly one of the first four is set."""

    comm: str | None = field(
        default=None,
        metadata=_key(
            "comm",
            Kind.TEXT,
            "Every process of this name, as in /proc/PID/comm.",
            example="rsync",
            max_bytes=15,
            one_of="target",
            why="the kernel keeps no more than 15 bytes of a name",
        ),
    )
    pid_file: Path | None = field(
        default=None,
        metadata=_key(
            "pid_file",
            Kind.PATH,
            "The process whose number is in this file.",
            example="/run/foo.pid",
            max_bytes=4095,
            one_of="target",
        ),
    )
    pid: int | None = field(
        default=None,
        metadata=_key(
            "pid",
            Kind.INTEGER,
            "The process of this number.",
            example="1234",
            minimum=1,
            maximum=1 << 22,
            one_of="target",
        ),
    )
    cgroup: str | None = field(
        default=None,
        metadata=_key(
            "cgroup",
            Kind.CGROUP,
            "The cgroup of this path, counted from the root of the cgroup tree.",
            example="/system.slice/foo.service",
            max_bytes=4095,
            one_of="target",
        ),
    )
    fds: bool = field(
        default=False,
        metadata=_key(
            "fds",
            Kind.BOOLEAN,
            "Record the open files too, with the position in each.",
            example="true",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """The last samples in locked shared memory."""

    size_bytes: int = field(
        default=16 * _MIB,
        metadata=_key(
            "size",
            Kind.SIZE,
            "Memory for the last samples; more reaches further back.",
            example="16MiB",
            minimum=_MIB,
            maximum=4 * _GIB,
        ),
    )
    segment_bytes: int = field(
        default=128 * _KIB,
        metadata=_key(
            "segment",
            Kind.SIZE,
            "Piece of the ring that is overwritten at once and can be read on its own.",
            example="128KiB",
            minimum=32 * _KIB,
            maximum=16 * _MIB,
            power_of_two=True,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many incidents stay on disk; the oldest go as soon as any limit is passed."""

    count: int = field(
        default=50,
        metadata=_key(
            "count",
            Kind.INTEGER,
            "Most incidents kept.",
            example="50",
            minimum=1,
            maximum=100_000,
        ),
    )
    size_bytes: int = field(
        default=_GIB,
        metadata=_key(
            "size",
            Kind.SIZE,
            "Most disk space taken by incidents.",
            example="1GiB",
            minimum=_MIB,
            maximum=16 * _TIB,
        ),
    )
    age_ns: int = field(
        default=90 * _DAY,
        metadata=_key(
            "age",
            Kind.DURATION,
            "Age at which an incident is removed.",
            example="90d",
            minimum=_HOUR,
            maximum=36_500 * _DAY,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """What is written to disk around an event, and for how long it stays there."""

    before_ns: int = field(
        default=30 * _S,
        metadata=_key(
            "before",
            Kind.DURATION,
            "How much of the time before the event is kept.",
            example="30s",
            minimum=0,
            maximum=10 * _MIN,
        ),
    )
    after_ns: int = field(
        default=5 * _S,
        metadata=_key(
            "after",
            Kind.DURATION,
            "How much of the time after the event is kept.",
            example="5s",
            minimum=0,
            maximum=10 * _MIN,
        ),
    )
    merge_limit_ns: int = field(
        default=120 * _S,
        metadata=_key(
            "merge_limit",
            Kind.DURATION,
            "Further kills extend an incident up to this long after its first event.",
            example="120s",
            minimum=0,
            maximum=_HOUR,
        ),
    )
    keep: Keep = field(default_factory=Keep, metadata=_section("keep", Keep, "Which incidents stay on disk."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """The background table of all processes, so that names are known before the storm."""

    period_ns: int = field(
        default=_S,
        metadata=_key(
            "period",
            Kind.DURATION,
            "Time between two passes over all processes.",
            example="1s",
            minimum=200 * _MS,
            maximum=_MIN,
        ),
    )
    budget_pct: float = field(
        default=2.0,
        metadata=_key(
            "budget",
            Kind.PERCENTAGE,
            "CPU time for the process table, as a share of one core.",
            example="2%",
            exclusive_minimum=0,
            maximum=100,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """The Prometheus exporter."""

    enabled: bool = field(
        default=True,
        metadata=_key("enabled", Kind.BOOLEAN, "Whether the exporter serves metrics at all.", example="true"),
    )
    listen: Listen = field(
        default=Listen("127.0.0.1", 10973),
        metadata=_key(
            "listen",
            Kind.LISTEN,
            "Address and port of the exporter.",
            example="127.0.0.1:10973",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the daemon says in the journal."""

    level: LogLevel = field(
        default="info",
        metadata=_key(
            "level",
            Kind.CHOICE,
            "Least important kind of message that is written.",
            example="info",
            choices=get_args(LogLevel),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration; ``Config()`` is the built-in default."""

    sampling: Sampling = field(
        default_factory=Sampling,
        metadata=_section("sampling", Sampling, "What is read, how often, with which priority."),
    )
    watch: tuple[Watch, ...] = field(
        default=(),
        metadata=_key(
            "watch",
            Kind.LIST,
            "Processes and cgroups recorded beside the machine's own figures.",
            of=Watch,
            maximum=256,
        ),
    )
    ring: Ring = field(default_factory=Ring, metadata=_section("ring", Ring, "The last samples in memory."))
    incidents: Incidents = field(
        default_factory=Incidents,
        metadata=_section("incidents", Incidents, "What is written to disk around an event."),
    )
    census: Census = field(
        default_factory=Census, metadata=_section("census", Census, "The background process table.")
    )
    exporter: Exporter = field(
        default_factory=Exporter, metadata=_section("exporter", Exporter, "The Prometheus exporter.")
    )
    log: Log = field(default_factory=Log, metadata=_section("log", Log, "Messages in the journal."))

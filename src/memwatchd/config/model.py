"""The configuration as frozen dataclasses, and the one table of its keys.

Every field carries a `Key` that says what stands in the file for it: name, kind, bounds, one sentence of
explanation. Reading, writing, the error messages and the JSON Schema are all derived from these, so a key is
added here and nowhere else. The defaults are the built-in configuration. Field names carry the unit, keys of
the file do not: ``sampling.rate: 200Hz`` is ``config.sampling.rate_hz == 200.0``.

No YAML and no parsing in this module: processes that must stay small import it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from memwatchd.actions.protect import Protect
from memwatchd.config.rules import Acting, Rule
from memwatchd.config.serving import Exporter
from memwatchd.keys import Key, Kind, key, keys_of, section_key

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
MIN_BOX_SEGMENTS = 4

LogLevel = Literal["error", "warning", "info", "debug"]


@dataclass(frozen=True, slots=True)
class SourceRate:
    """How often a source is read.

    Attributes:
        mode: ``auto`` leaves it to the governor, ``off`` never reads it, ``fixed`` reads it at `rate_hz`.
        rate_hz: Set exactly when the mode is ``fixed``.
    """

    mode: Literal["auto", "off", "fixed"] = "auto"
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """CPU time that sampling may take, in per cent of one core."""

    calm_pct: float = field(
        default=5.0,
        metadata=key(
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
        metadata=key(
            "armed",
            Kind.PERCENTAGE,
            "CPU time for sampling while memory is short, as a share of one core.",
            example="35%",
            exclusive_minimum=0,
            maximum=100,
        ),
    )


def _source(name: str, doc: str) -> dict[str, Key]:
    return key(name, Kind.SOURCE, doc, example="20Hz", minimum=0.1, maximum=1000)


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
    zram: SourceRate = field(
        default=SourceRate(),
        metadata=_source("zram", "/sys/block/zram*/mm_stat: compressed memory used as a disk."),
    )
    arcstats: SourceRate = field(
        default=SourceRate(),
        metadata=_source("arcstats", "/proc/spl/kstat/zfs/arcstats: the cache of ZFS."),
    )

    def by_name(self) -> dict[str, SourceRate]:
        """Give the rate of every source by the source's name."""
        return {each.name: getattr(self, name) for name, each in keys_of(Sources).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is read, how often, and with which priority."""

    rate_hz: float = field(
        default=200.0,
        metadata=key(
            "rate",
            Kind.RATE,
            "How often memory is looked at.",
            example="200Hz",
            minimum=1,
            maximum=1000,
        ),
    )
    budget: Budget = field(
        default_factory=Budget, metadata=section_key("budget", Budget, "CPU time that sampling may take.")
    )
    sources: Sources = field(
        default_factory=Sources, metadata=section_key("sources", Sources, "The kernel files that are read.")
    )
    realtime_priority: int = field(
        default=10,
        metadata=key(
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
        metadata=key(
            "lock_memory",
            Kind.BOOLEAN,
            "Keep the daemon's own memory from being paged out.",
            example="true",
        ),
    )
    oom_score_adj: int = field(
        default=-999,
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
            "size",
            Kind.SIZE,
            "Memory for the last samples; more reaches further back.",
            example="16MiB",
            minimum=_MIB,
            maximum=4 * _GIB,
        ),
    )
    share_pct: float = field(
        default=2.0,
        metadata=key(
            "share",
            Kind.PERCENTAGE,
            "Most of the machine's memory it may take, whatever size says.",
            example="2%",
            exclusive_minimum=0,
            maximum=50,
        ),
    )
    segment_bytes: int = field(
        default=128 * _KIB,
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
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
        metadata=key(
            "merge_limit",
            Kind.DURATION,
            "Further kills extend an incident up to this long after its first event.",
            example="120s",
            minimum=0,
            maximum=_HOUR,
        ),
    )
    keep: Keep = field(
        default_factory=Keep, metadata=section_key("keep", Keep, "Which incidents stay on disk.")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackBox:
    """The file to which samples go while memory is in danger, should the machine not live through it."""

    enabled: bool = field(
        default=True,
        metadata=key(
            "enabled",
            Kind.BOOLEAN,
            "Whether samples go to disk while memory is in danger; without it there is no file either.",
            example="true",
        ),
    )
    size_bytes: int = field(
        default=64 * _MIB,
        metadata=key(
            "size",
            Kind.SIZE,
            "Disk space that is taken for it beforehand, and written round and round.",
            example="64MiB",
            minimum=_MIB,
            maximum=4 * _GIB,
        ),
    )
    every_ns: int = field(
        default=250 * _MS,
        metadata=key(
            "every",
            Kind.DURATION,
            "Time between two writes: so much is lost when the machine dies, and what a write takes.",
            example="250ms",
            minimum=50 * _MS,
            maximum=10 * _S,
        ),
    )
    rate_bytes: int = field(
        default=2 * _MIB,
        metadata=key(
            "rate",
            Kind.SIZE,
            "Most that is written in a second.",
            example="2MiB",
            minimum=64 * _KIB,
            maximum=_GIB,
        ),
    )
    per_day_bytes: int = field(
        default=16 * _GIB,
        metadata=key(
            "per_day",
            Kind.SIZE,
            "Most that is written in a day, for the sake of disks that wear.",
            example="16GiB",
            minimum=_MIB,
            maximum=16 * _TIB,
        ),
    )
    after_ns: int = field(
        default=10 * _S,
        metadata=key(
            "after",
            Kind.DURATION,
            "How long it goes on after the danger is over.",
            example="10s",
            minimum=0,
            maximum=10 * _MIN,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """The background table of all processes, so that names are known before the storm."""

    period_ns: int = field(
        default=_S,
        metadata=key(
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
        metadata=key(
            "budget",
            Kind.PERCENTAGE,
            "CPU time for the process table, as a share of one core.",
            example="2%",
            exclusive_minimum=0,
            maximum=100,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the daemon says in the journal."""

    level: LogLevel = field(
        default="info",
        metadata=key(
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
        metadata=section_key("sampling", Sampling, "What is read, how often, with which priority."),
    )
    watch: tuple[Watch, ...] = field(
        default=(),
        metadata=key(
            "watch",
            Kind.LIST,
            "Processes and cgroups recorded beside the machine's own figures.",
            of=Watch,
            maximum=256,
            appended=True,
        ),
    )
    ring: Ring = field(
        default_factory=Ring, metadata=section_key("ring", Ring, "The last samples in memory.")
    )
    incidents: Incidents = field(
        default_factory=Incidents,
        metadata=section_key("incidents", Incidents, "What is written to disk around an event."),
    )
    black_box: BlackBox = field(
        default_factory=BlackBox,
        metadata=section_key("black_box", BlackBox, "The last seconds on disk, should the machine die."),
    )
    census: Census = field(
        default_factory=Census, metadata=section_key("census", Census, "The background process table.")
    )
    exporter: Exporter = field(
        default_factory=Exporter, metadata=section_key("exporter", Exporter, "The Prometheus exporter.")
    )
    protect: Protect = field(
        default_factory=Protect,
        metadata=section_key("protect", Protect, "Processes kept from the OOM killer, whenever they start."),
    )
    acting: Acting = field(
        default_factory=Acting, metadata=section_key("acting", Acting, "What holds for all rules.")
    )
    rules: tuple[Rule, ...] = field(
        default=(),
        metadata=key("rules", Kind.TABLE, "When what is done, by name.", of=Rule, maximum=256),
    )
    log: Log = field(default_factory=Log, metadata=section_key("log", Log, "Messages in the journal."))

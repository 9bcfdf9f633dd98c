"""What service and sampler tell each other: a plan in a file of its own, then messages over a socket pair.

    plan      {"ring", "roots", "rate_hz", …}                                    service → sampler, in a memfd
    warm      {"degraded": [sentence…], "sources": [name…]}                      sampler → service, once
    go        {}                                                                 service → sampler, once
    add       {"add": [{"id", "name", "path", "rate_hz", "kill_counter", …}…]}   service → sampler
    remove    {"remove": [id…]}                                                  service → sampler
    done      {"done": [{"rule", "step", "failed"}…]}                            service → sampler
    decision  {"happening", "rule", "step", "figures", …}                        sampler → service

All are JSON. With `add` goes a descriptor for each entry. Between warm and go the sampler waits, so that a
new one can take over from an old one within a few milliseconds. Every message to the sampler after that is
followed by a ring of the doorbell on the board: the loop asks the socket only when there is something.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memwatchd.roots import Roots
from memwatchd.rules.book import Rulebook, RulePlan
from memwatchd.rules.engine import Stage, Timing

# A SOCK_SEQPACKET message has to fit into the socket's buffer, and a kernel takes no more descriptors than
# 253 at once.
MAX_MESSAGE_BYTES = 128 << 10
MAX_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One kernel file to sample.

    Attributes:
        rate_hz: Fixed rate; None leaves it to the governor.
    """

    name: str
    path: str
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All the sampler needs to know to begin.

    Attributes:
        epitaph: Where to note down that the service is gone and the machine is not; empty for nowhere.
    """

    ring: str
    service_pid: int
    rate_hz: float
    budget_calm_share: float
    budget_armed_share: float
    sources: tuple[SourcePlan, ...]
    realtime_priority: int = 0
    lock_memory: bool = True
    oom_score_adj: int = 0
    roots: Roots = field(default_factory=Roots)
    book: Rulebook = field(default_factory=Rulebook)
    epitaph: str = ""

    def to_json(self) -> bytes:
        """Write the plan as one message."""
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def from_json(cls, message: bytes) -> "Plan":
        """Read the message back."""
        plain: dict[str, Any] = json.loads(message)
        plain["sources"] = tuple(SourcePlan(**each) for each in plain["sources"])
        plain["book"] = _book(plain["book"])
        plain["roots"] = Roots(**{name: Path(path) for name, path in plain["roots"].items()})
        return cls(**plain)


def _book(plain: dict[str, Any]) -> Rulebook:
    rules = []
    for rule in plain.pop("rules"):
        stages = tuple(Stage(**stage) for stage in rule["timing"].pop("stages"))
        rules.append(RulePlan(**{**rule, "timing": Timing(**rule["timing"], stages=stages)}))
    return Rulebook(rules=tuple(rules), **plain)


# Files of /proc that are sampled, in the order they are read: what the alarm listens to comes first.
SOURCE_PATHS = {
    "vmstat": "vmstat",
    "meminfo": "meminfo",
    "pressure": "pressure/memory",
    "buddyinfo": "buddyinfo",
    "zoneinfo": "zoneinfo",
    "slabinfo": "slabinfo",
}
# Those the governor reads less often when the budget is short. zoneinfo grows with CPUs × zones, slabinfo
# with its partial lists, which the kernel walks with interrupts off, arcstats with CPUs × lines.
DEAR_SOURCES = ("zoneinfo", "slabinfo", "arcstats")

# Files that most machines do not have.
ARCSTATS_PATH = "spl/kstat/zfs/arcstats"
ZRAM_PATH = "block/{device}/mm_stat"
MAX_ZRAM = 9

FIRST_WATCH_ID = len(SOURCE_PATHS) + 1 + MAX_ZRAM
"""Ids below belong to the plan's sources, whatever is in it: a watch keeps its id when the plan changes."""


def extra_sources(roots: Roots) -> dict[str, Path]:
    """Find what this machine has of the files that most do not have, by name of the source.

    The ARC of ZFS is ``arcstats``, the first nine zram devices are ``zram/zram0`` and so on.
    """
    found = {}
    if (arcstats := roots.procfs / ARCSTATS_PATH).exists():
        found["arcstats"] = arcstats
    devices = [path.parent.name for path in (roots.sysfs / "block").glob("zram*/mm_stat")]
    numbers = sorted(int(name[4:]) for name in devices if name[4:].isdecimal())
    for number in numbers[:MAX_ZRAM]:
        found[f"zram/zram{number}"] = roots.sysfs / ZRAM_PATH.format(device=f"zram{number}")
    return found

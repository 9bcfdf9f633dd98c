"""What the service tells the sampler: a plan at the start, commands later, both as JSON over a socket pair.

    plan      {"ring", "roots", "rate_hz", …}                                     service → sampler, once
    ready     {"degraded": [sentence…], "sources": [name…]}                       sampler → service, once
    add       {"add": [{"id", "name", "path", "rate_hz", "kill_counter", …}…]}   with a descriptor each
    remove    {"remove": [id…]}

A command is followed by a ring of the doorbell on the board, so that the loop asks the socket only when there
is something.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memwatchd.roots import Roots

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
    """All the sampler needs to know to begin."""

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

    def to_json(self) -> bytes:
        """Write the plan as one message."""
        return json.dumps(asdict(self), default=str).encode()

    @classmethod
    def from_json(cls, message: bytes) -> "Plan":
        """Read the message back."""
        plain: dict[str, Any] = json.loads(message)
        plain["sources"] = tuple(SourcePlan(**each) for each in plain["sources"])
        plain["roots"] = Roots(**{name: Path(path) for name, path in plain["roots"].items()})
        return cls(**plain)


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
# with its partial lists, which the kernel walks with interrupts off.
DEAR_SOURCES = ("zoneinfo", "slabinfo")

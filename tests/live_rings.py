"""The rings of a daemon that seems to run: written by the test, which also keeps its heart beating."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import BOOT_ID, ZERO_NS, Tape, meminfo, pressure, slabinfo, vmstat, zoneinfo

from memwatchd.places import Places
from memwatchd.ring.board import Slot
from memwatchd.ring.file import create_ring
from memwatchd.ring.format import RingHeader, Stream

BUDDYINFO = (
    b"Node 0, zone   Normal      5      4      3      2      1      0      0      0      0      0      1\n"
)


def texts(available_mib: int, **slabs: int) -> dict[str, bytes]:
    """The machine's files with so much memory available."""
    return {
        "meminfo": meminfo(
            MemFree=available_mib << 10, MemAvailable=available_mib << 10, SwapTotal=0, SwapFree=0
        ),
        "vmstat": vmstat(pswpout=0, oom_kill=0),
        "pressure": pressure(0),
        "zoneinfo": zoneinfo(100, 50),
        "buddyinfo": BUDDYINFO,
        "slabinfo": slabinfo(**(slabs or {"dentry": 10})),
    }


@dataclass
class LiveRings:
    """Both rings, in a directory of their own, and what writes them.

    Attributes:
        state: What the daemon says of itself.
    """

    places: Places
    tape: Tape = field(init=False)
    state: dict[str, Any] = field(default_factory=lambda: {"version": 1, "rules": [], "degraded": []})

    def __post_init__(self) -> None:
        self.places.runtime_dir.mkdir(parents=True, exist_ok=True)
        self.restart()

    def restart(self) -> None:
        """Make both rings anew, as the next daemon does."""

        def made(path: Path, stream: Stream) -> Any:
            return create_ring(path, RingHeader(1 << 16, 8, stream, BOOT_ID, time.time_ns()))

        self.tape = Tape(made(self.places.ring, Stream.SAMPLES), made(self.places.events, Stream.EVENTS))
        self.beat()
        self.say()

    def now_s(self) -> float:
        """Now, as the tape tells time."""
        return (time.monotonic_ns() - ZERO_NS) / 1e9

    def sample(self, available_mib: int, **slabs: int) -> None:
        """Take a sample now."""
        self.tape.sample(self.now_s(), texts(available_mib, **slabs))
        self.beat()

    def beat(self) -> None:
        """Say that the sampler lives."""
        self.tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns()

    def stop_beating(self) -> None:
        """Let it seem dead for some seconds."""
        self.tape.samples.board[Slot.HEARTBEAT_NS] = time.monotonic_ns() - 5_000_000_000

    def say(self, **changed: Any) -> None:
        """Renew the state file."""
        self.state |= changed
        self.places.state.write_text(json.dumps(self.state))

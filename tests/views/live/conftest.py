"""A frame with a bit of everything in it, and sources that say what was asked of them."""

from dataclasses import dataclass, field, replace

import pytest
from tests.conftest import ZERO_NS, ZERO_REALTIME_NS, S

from memwatchd.expression.tree import BYTES
from memwatchd.views.live.frame import (
    Blocks,
    Cache,
    Cgroup,
    Frame,
    Happening,
    Memory,
    Part,
    Process,
    Rate,
    RuleState,
    Sort,
    Watched,
    Zone,
)
from memwatchd.views.live.source import Move

MIB = 1 << 20


_WHAT = {"little-left": "meminfo.MemAvailable", "cache": "slab.top.bytes", "zfs": "arc.size"}


def rule(
    name: str,
    share: float | None,
    present: float | None,
    bound: float | None,
    comparator: str,
    *,
    holds_s: float | None = None,
    active: bool | None = None,
    fired: int | None = None,
) -> RuleState:
    return RuleState(
        name=name,
        severity="act",
        dry_run=False,
        share=share,
        what=_WHAT[name],
        comparator=comparator,
        present=present,
        bound=bound,
        dimension=BYTES,
        holds_s=holds_s,
        for_s=0.5,
        active=active,
        fired=fired,
    )


@pytest.fixture
def frame() -> Frame:
    """Half a second before a kill."""
    return Frame(
        title="vm1",
        mode="replay",
        at_ns=ZERO_NS - S // 2,
        zero_ns=ZERO_NS,
        wall_ns=ZERO_REALTIME_NS - ZERO_NS,
        from_ns=ZERO_NS - 3 * S,
        to_ns=ZERO_NS + S,
        span_s=10.0,
        lag_s=0.0002,
        missed=1,
        memory=Memory(
            total_bytes=1000.0 * MIB,
            available_bytes=100.0 * MIB,
            swap_total_bytes=0.0,
            swap_used_bytes=0.0,
            parts=(
                Part("anonymous", 700.0 * MIB, 5.0 * MIB),
                Part("page cache", 100.0 * MIB, -3.0 * MIB),
                Part("free", 200.0 * MIB),
            ),
            complete=True,
        ),
        zones=(
            Zone(0, "Normal", 9 * MIB, 10 * MIB, 12 * MIB, 15 * MIB, 900 * MIB, -1.0 * MIB),
            Zone(0, "DMA", 15 * MIB, 1 * MIB, 2 * MIB, 3 * MIB, 15 * MIB, 0.0),
        ),
        caches=(
            Cache("dentry", 40.0 * MIB, 210_000, 0.0),
            Cache("inode_cache", 20.0 * MIB, 33_000, 2.0 * MIB),
            Cache("kmalloc-64", 1.0 * MIB, 16_384, None),
        ),
        buddies=(Blocks(0, "DMA", (0, 1, 2, 3)), Blocks(0, "Normal", (12345, 0, 0, 1))),
        rates=(Rate("some task waited", "share", 0.25, 0.05), Rate("swapped out", "pages/s", 1234.0, None)),
        processes=(
            Process(4711, "eater", "R", 600 * MIB, 40 * MIB, 0, "/user.slice", 0.1, 5.0 * MIB, 0.97),
            Process(1, "init", "S", 8 * MIB, 0, -1000, "/init.scope", 0.2, 0.0, 0.0),
            Process(77, "rsync", "D", 30 * MIB, None, None, None, 0.2),
        ),
        watched=(Watched(77, "rsync", "/srv/backup.img", 5.0 * MIB),),
        cgroups=(
            Cgroup("/user.slice", True, 640.0 * MIB, 650.0 * MIB, 40.0 * MIB, 2.0, 1, 5.0 * MIB),
            Cgroup("/init.scope", False, 8.0 * MIB, None, 0.0, None, 1, 0.0),
        ),
        rules=(
            rule("little-left", 1.0, 100.0 * MIB, 150.0 * MIB, "<", holds_s=0.2, active=True, fired=3),
            rule("cache", 0.4, 40.0 * MIB, 100.0 * MIB, ">", active=False, fired=0),
            rule("zfs", None, None, None, ">"),
        ),
        happenings=(
            Happening(ZERO_NS - 2 * S, Sort.OTHER, "missed: ticks 1"),
            Happening(ZERO_NS - S, Sort.RULE, "rule little-left fired: meminfo.MemAvailable 100 MiB"),
        ),
    )


@pytest.fixture
def live_frame(frame: Frame) -> Frame:
    """The same of a machine that lives."""
    return replace(frame, zero_ns=None, mode="live", notes=("armed",))


@dataclass
class Told:
    """A source that does nothing but remember."""

    shown: Frame
    title: str = "vm1"
    asked: list[str] = field(default_factory=list)
    answer: str = ""
    more: bool = True

    def frame(self, span_s: float) -> Frame:
        """Give always the same."""
        self.asked.append(f"frame {span_s:g}")
        return self.shown

    def move(self, move: Move) -> str:
        """Remember where."""
        self.asked.append(str(move))
        return self.answer

    def move_to(self, text: str) -> str:
        """Remember where."""
        self.asked.append(f"to {text}")
        return self.answer

    def play(self, elapsed_s: float) -> bool:
        """Remember how far."""
        self.asked.append(f"play {elapsed_s:g}")
        return self.more

    def work(self, _budget_s: float) -> bool:
        """Nothing is left to be read."""
        return False


@pytest.fixture
def told(frame: Frame) -> Told:
    """A source that remembers."""
    return Told(frame)

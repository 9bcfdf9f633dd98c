"""What every action is, and what it is given.

An action is a frozen dataclass: its fields are its parameters, declared with `memwatchd.keys`, so that the
configuration reads, checks and documents them. It does its work in a worker thread of the service and keeps
these promises:

- it asks for everything it needs beforehand (`missing`), and can say what it would hit (`aim`);
- it gives up at the deadline wherever that is possible;
- it never touches init, kernel threads, the daemon itself or what has an oom_score_adj of -1000;
- what it changes it notes in `World.changes` first, and `undo` puts it back;
- it says what came of it, with figures, also when it chose to do nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from memwatchd.actions.changes import Change, Changes
from memwatchd.actions.groups import GroupTable
from memwatchd.actions.table import ProcessTable
from memwatchd.keys import Kind, key
from memwatchd.roots import Roots

Figure = int | float | str | None


class Verdict(StrEnum):
    """What came of an action.

    HELPED     it did what it is for, and that could be measured
    NO_EFFECT  it was done and nothing got better
    FAILED     the kernel, or whoever was asked, refused
    TIMED_OUT  it was not done by its deadline; it may still be going on
    DECLINED   it chose not to act: no target, everything spared, nothing to do
    DRY_RUN    it was not to act, only to say what it would have done
    """

    HELPED = "helped"
    NO_EFFECT = "no effect"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    DECLINED = "declined"
    DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action, for a person and for a machine.

    Attributes:
        detail: One sentence without a full stop: ``dentry and inode caches gave back 1.2 GiB``.
        figures: Measured facts by name, units in the names: ``{"freed_bytes": 1288490188}``.
    """

    verdict: Verdict
    detail: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A process, cgroup, file or unit that is hit, or spared, and why.

    Attributes:
        name: For a person: ``postgres (pid 812)``, ``/system.slice/cron.service``.
    """

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Intent:
    """What an action would do if it were done now.

    Attributes:
        sentence: Imperative, without a full stop: ``write 2 to /proc/sys/vm/drop_caches``.
        targets: In the order in which they would be hit.
        spared: Looked at and left alone; only those a person would ask about.
    """

    sentence: str
    targets: tuple[Target, ...] = ()
    spared: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why an action is done now, and until when it may take.

    Attributes:
        rule: Name of the rule, or of whoever else asked for it.
        reason: The rule's condition with its figures as of when it fired, for a person.
        until_ns: Deadline on the monotonic clock.
        figures: Values of the signals of the rule's condition, by name.
        told: Since the rule began an incident was written, and nothing has been done since.
    """

    rule: str
    reason: str
    until_ns: int
    figures: Mapping[str, float] = field(default_factory=dict)
    told: bool = False


class Outlets(Protocol):
    """What an action may ask of the service; none of these waits for a disk or another process."""

    def note(self, level: str, message: str, **fields: object) -> None:
        """Write a line into the journal; fields become MEMWATCHD_<NAME>."""

    def dump(self, detail: str) -> None:
        """Have an incident written."""

    def run_hook(self, program: str, environment: Mapping[str, str], budget_ns: int) -> int | None:
        """Have the helper process run a program and wait for it; its status, None when it took too long."""


@dataclass(frozen=True, slots=True)
class World:
    """What actions work on.

    Attributes:
        roots: Where the kernel's file systems are.
        changes: What has been changed and is to be put back.
        own_pids: The daemon's own processes, as of now; never a target.
        now_ns: The monotonic clock.
        table: All processes, for the actions that choose among them; one for all actions.
        groups: The same by cgroup or session.
    """

    roots: Roots
    changes: Changes
    outlets: Outlets
    own_pids: Callable[[], frozenset[int]]
    now_ns: Callable[[], int]
    table: ProcessTable = field(init=False, repr=False, compare=False)
    groups: GroupTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", ProcessTable(self.roots, self.now_ns))
        object.__setattr__(self, "groups", GroupTable(self.roots, self.table, self.own_pids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(ABC):
    """One action with its parameters.

    Class attributes:
        name: Key in the configuration, name of the module, label in metrics.
        summary: One sentence for ``memwatchd actions``.
        needs: Rights and kernel features, for ``memwatchd actions``; `missing` finds out which are not there.
        heavy: It may keep a processor busy for long, so it is done without the service's own priority.
        single: One of its kind at a time; a second one is declined. Those that only tell something wait.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    single: ClassVar[bool] = True
    heavy: ClassVar[bool] = False

    deadline_ns: int = field(
        default=5_000_000_000,
        metadata=key(
            "deadline",
            Kind.DURATION,
            "How long it may take before it counts as failed.",
            example="5s",
            minimum=10_000_000,
            maximum=600_000_000_000,
        ),
    )

    def problems(self) -> Iterable[str]:
        """Say what is wrong with the parameters taken together, for instance a missing ``i_know``."""
        return ()

    def missing(self, world: World) -> Iterable[str]:
        """Say which rights or kernel features are missing: file or call, error, capability."""
        return ()

    def prepare(self, world: World) -> None:  # noqa: B027 (most need nothing)
        """Get ready while there is time: called again and again, about every second, while armed."""

    @abstractmethod
    def aim(self, world: World) -> Intent:
        """Say what would be hit now. Changes nothing.

        Raises:
            OSError: What has to be looked at could not be read.
        """

    @abstractmethod
    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Do it.

        Raises:
            OSError: The kernel refused; the responder calls that `Verdict.FAILED`.
        """

    @classmethod
    def undo(cls, world: World, change: Change) -> Outcome:
        """Put one change back, unless somebody else has changed it since or its target is gone.

        Called on clear, on stop and at the next start after a crash; only for what noted changes. The change
        is struck off afterwards, unless the verdict is FAILED or TIMED_OUT: then it is tried again later.

        Raises:
            OSError: The kernel refused.
        """
        # Noted by another version, or by nobody: nothing can be done, and it is struck off.
        return Outcome(Verdict.DECLINED, f"{cls.name} changes nothing that could be put back")

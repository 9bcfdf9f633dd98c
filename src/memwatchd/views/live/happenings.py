"""What happened: events of both rings, and kills the kernel told of."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memwatchd.errors import ParseError
from memwatchd.oomreport.kills import GLOBAL, KillParser
from memwatchd.procfs.kmsg import parse_kmsg
from memwatchd.ring.stream import Message
from memwatchd.units import printable
from memwatchd.views.events import event_line
from memwatchd.views.live.frame import Happening, Sort
from memwatchd.views.live.rulewatch import Standing

_SORTS = {
    **dict.fromkeys(("rule_fire", "rule_held", "rule_clear"), Sort.RULE),
    **dict.fromkeys(("action", "put_back"), Sort.ACTION),
}


@dataclass(slots=True)
class Happenings:
    """Everything that happened, by time.

    Attributes:
        most: The oldest are forgotten beyond so many; None: none is.
    """

    most: int | None = None
    all: list[Happening] = field(default_factory=list)
    _fired: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    _kills: KillParser = field(default_factory=KillParser)

    def take_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add events of a ring."""
        for event in events:
            at_ns, name = int(event["monotonic_ns"]), event["event"]
            facts = {key: value for key, value in event.items() if key != "monotonic_ns"}
            text = event_line(facts)
            if text:
                self._add(Happening(at_ns, _SORTS.get(name, Sort.OTHER), printable(text)))
            if name in ("rule_fire", "rule_clear") and not event.get("step"):
                insort(self._fired.setdefault(str(event.get("rule")), []), (at_ns, name == "rule_fire"))

    def take_messages(self, messages: Iterable[Message]) -> None:
        """Look for kills among what the kernel said."""
        for message in messages:
            try:
                kill = self._kills.feed_record(parse_kmsg(message.raw))
            except ParseError:
                continue  # nobody can say whose it is
            if kill is not None:
                self.add_kill(message.monotonic_ns, kill.comm, kill.pid, kill.scope, kill.limit_cgroup)

    def add_kill(
        self, at_ns: int, comm: str, pid: int | None, scope: str | None, limit_cgroup: str | None
    ) -> None:
        """Add a kill by the kernel."""
        limit = limit_cgroup or ("the machine" if scope == GLOBAL else "a limit")
        text = f"the kernel killed {comm} (pid {pid}) for {limit}"
        self._add(Happening(at_ns, Sort.KILL, printable(text)))

    def until(self, at_ns: int, most: int = 1000) -> tuple[Happening, ...]:
        """What had happened by a moment, the newest last."""
        end = bisect_right(self.all, at_ns, key=_at)
        return tuple(self.all[max(0, end - most) : end])

    def after(self, at_ns: int, *, only: Sort | None = None) -> Happening | None:
        """What happened next."""
        wanted = (each for each in self.all[bisect_right(self.all, at_ns, key=_at) :] if _is(each, only))
        return next(wanted, None)

    def before(self, at_ns: int, *, only: Sort | None = None) -> Happening | None:
        """What happened last before a moment."""
        wanted = (each for each in self.all[: bisect_left(self.all, at_ns, key=_at)][::-1] if _is(each, only))
        return next(wanted, None)

    def standing(self, rule: str, at_ns: int) -> Standing:
        """Whether a rule had fired by a moment, and was not over."""
        told = [active for moment_ns, active in self._fired.get(rule, ()) if moment_ns <= at_ns]
        return Standing(active=told[-1] if told else False, fired=sum(told))

    def _add(self, happening: Happening) -> None:
        insort(self.all, happening, key=_at)
        if self.most is not None and len(self.all) > 2 * self.most:
            del self.all[: self.most]


def _at(happening: Happening) -> int:
    return happening.at_ns


def _is(happening: Happening, only: Sort | None) -> bool:
    return only is None or happening.sort is only

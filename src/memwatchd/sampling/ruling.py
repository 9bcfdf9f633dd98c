"""The rules in the loop: bound to the sources, asked on every tick, and what they decide handed on.

A decision goes two ways: as an event into the ring, so that it is in the incident whatever happens to the
service, and as a message to the service, which acts. Neither waits for anybody.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any

from memwatchd.rules.book import Rulebook, make_engine, read_signal
from memwatchd.rules.engine import Decision, Happening
from memwatchd.signals.recording import Pulse, Recording, Text

# How often it is asked whether a rule is near its threshold: often enough to be at full rate in time.
_LOOK_NS = 50_000_000
_NEAR_NS = 60_000_000_000
_FAR, _NEAR, _LIVE = range(3)


class Ruling:
    """The rules of a running loop.

    Args:
        book: The rules.
        texts: The sources by name, as they are now.
        entries: What the catalogue says of the watched ones, by name.
        page_size: In bytes.
        tell: Gets each decision as a JSON message for the service; must not wait.
    """

    def __init__(
        self,
        book: Rulebook,
        texts: Mapping[str, Text],
        entries: Mapping[str, Mapping[str, Any]],
        page_size: int,
        tell: Callable[[bytes], None],
    ) -> None:
        self._names = [rule.name for rule in book.rules]
        self._recording = Recording(texts, entries, Pulse(), page_size)
        self._engine = make_engine(book, self._recording)
        self._tell = tell
        self._look_at_ns = 0
        self._stages = [_FAR] * len(self._names)
        self._since_ns = [0] * len(self._names)

    @property
    def pulse(self) -> Pulse:
        """How the recorder does; the loop renews it before it asks."""
        return self._recording.pulse

    def rebind(self, texts: Mapping[str, Text], entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Sources have come or gone."""
        self._recording.texts, self._recording.entries = texts, entries
        self._engine.program.bind(partial(read_signal, self._recording))

    def kernel_killed(self, now_ns: int) -> None:
        """The kernel has just killed something."""
        self._engine.kernel_killed(now_ns)

    def tick(self, now_ns: int, event: Callable[..., None]) -> None:
        """Ask all rules; what they decide is told, and becomes an event.

        Args:
            now_ns: On the monotonic clock.
            event: Puts an event into the ring.
        """
        for decision in self._engine.tick(now_ns):
            self._hand_on(decision, now_ns, event)

    def near(self, now_ns: int) -> str:
        """Name a rule that is near its threshold, or past it; looked for 20 times a second.

        One that has been so for longer than a minute, and asks for nothing to be done, is how things are on
        this machine, and no danger.
        """
        if now_ns < self._look_at_ns:
            return ""
        self._look_at_ns = now_ns + _LOOK_NS
        live, near, found = self._engine.live, self._engine.program.near(now_ns), ""
        for rule, name in enumerate(self._names):
            stage = _LIVE if live >> rule & 1 else _NEAR if near >> rule & 1 else _FAR
            if stage != self._stages[rule]:
                self._stages[rule], self._since_ns[rule] = stage, now_ns
            if stage and not found and now_ns - self._since_ns[rule] < _NEAR_NS:
                found = name
        return found

    def done(self, steps: Sequence[dict[str, Any]], now_ns: int) -> None:
        """The service says which steps have ended, maybe some of rules from before this sampler."""
        for step in steps:
            if step["rule"] in self._names:
                rule = self._names.index(step["rule"])
                self._engine.done(rule, step["step"], now_ns, failed=step["failed"])

    def rehearse(self, now_ns: int, event: Callable[..., None]) -> None:
        """Go the way of a decision once, so that its memory is warm."""
        if self._names:
            self._hand_on(Decision(Happening.FIRE, 0), now_ns, event)

    def _hand_on(self, decision: Decision, now_ns: int, event: Callable[..., None]) -> None:
        facts: dict[str, object] = {"rule": self._names[decision.rule], "step": decision.step}
        if decision.reason:
            facts["reason"] = decision.reason
        if decision.happening is Happening.FIRE:
            self._since_ns[decision.rule] = now_ns
            figures = self._engine.program.figures(decision.rule)
            facts["figures"] = {name: _json_number(value) for name, value in figures.items()}
        happening = str(decision.happening)
        self._tell(json.dumps({"happening": happening, "monotonic_ns": now_ns, **facts}).encode())
        event(f"rule_{happening}", now_ns, **facts)


def _json_number(value: float) -> float | None:
    return value if isfinite(value) else None

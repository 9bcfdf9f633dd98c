"""Let go on what `freeze` has stopped."""

from dataclasses import dataclass, field
from typing import ClassVar

from memwatchd.actions._standstill import standstill_of
from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Target, Verdict, World
from memwatchd.actions.changes import Change
from memwatchd.actions.freeze import Freeze, thaw
from memwatchd.keys import Kind, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Thaw(Action):
    """Lets go on what `freeze` has stopped with `hold`, before its rule clears by itself."""

    name: ClassVar[str] = "thaw"
    summary: ClassVar[str] = "Let go on what was frozen, by one rule or by any."
    needs: ClassVar[tuple[str, ...]] = ("CAP_KILL",)

    rule: str | None = field(
        default=None,
        metadata=key("rule", Kind.TEXT, "Only what this rule froze.", example="thrashing", max_bytes=200),
    )

    def aim(self, world: World) -> Intent:
        """Say what would be thawed."""
        frozen = ((change, standstill_of(change.facts)) for change in self._frozen(world))
        targets = (Target(still.name, f"frozen by {change.rule}") for change, still in frozen if still)
        return Intent("thaw what was frozen", tuple(targets))

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Thaw it all; what cannot be thawed stays noted, for the next time."""
        refused: list[str] = []
        thawed: list[Outcome] = []
        for change in self._frozen(world):
            try:
                thawed.append(thaw(world, change))
            except OSError as error:
                refused.append(str(error))
        if refused:
            return Outcome(Verdict.FAILED, "; ".join(refused))
        helped = [each.detail for each in thawed if each.verdict is Verdict.HELPED]
        if not helped:
            return Outcome(Verdict.DECLINED, "nothing was frozen")
        return Outcome(Verdict.HELPED, "; ".join(helped), {"thawed": len(helped)})

    def _frozen(self, world: World) -> list[Change]:
        return [change for change in world.changes.pending(self.rule) if change.action == Freeze.name]

"""Having an incident written."""

from dataclasses import dataclass
from typing import ClassVar

from memwatchd.actions.base import Action, Intent, Occasion, Outcome, Verdict, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump(Action):
    """Has the last seconds written to disk as an incident, as `memwatchd dump` does.

    It does not wait for the disk: the incident is written by the service's own writer, and waits in memory
    when the disk is stuck or full. A rule that goes on for hours without anything being done has one, not
    one for each time it begins anew: others' incidents would have to go for them.
    """

    name: ClassVar[str] = "dump"
    summary: ClassVar[str] = "Write the last seconds to disk as an incident."
    single: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()

    def aim(self, world: World) -> Intent:
        """Say so."""
        return Intent("write an incident")

    def act(self, world: World, occasion: Occasion) -> Outcome:
        """Ask the service for it."""
        if occasion.told:
            return Outcome(Verdict.DECLINED, "nothing was done since the last incident of this rule")
        world.outlets.dump(f"rule {occasion.rule}: {occasion.reason}")
        return Outcome(Verdict.HELPED, "an incident is being written")

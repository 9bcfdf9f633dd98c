"""What a value was before the first of our changes to it that is still in force."""

from collections.abc import Mapping
from typing import Any

from memwatchd.actions.base import World


def before_ours(world: World, action: str, target: Mapping[str, Any], present: Any) -> Any:
    """Find the value that is to be put back by a change that is about to be noted.

    Several rules may change the same value. In whatever order they clear, the one whose value is in force
    puts this back, and the others find nothing of theirs.

    Args:
        world: Where changes are noted, with ``old`` and ``new`` among their facts.
        action: Whose changes.
        target: The facts that say what is changed.
        present: The value now.
    """
    ours = [
        change.facts
        for change in world.changes.pending()
        if change.action == action and target.items() <= change.facts.items()
    ]
    in_force = any(facts.get("new") == present for facts in ours)
    # Newest first, hence the last one.
    return ours[-1].get("old", present) if in_force else present

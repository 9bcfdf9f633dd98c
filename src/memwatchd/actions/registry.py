"""All actions by name. A new one is a module of its own and a line here."""

from memwatchd.actions.base import Action

ACTIONS: dict[str, type[Action]] = {each.name: each for each in ()}

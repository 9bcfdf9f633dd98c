"""All actions by name. A new one is a module of its own and a line here."""

from memwatchd.actions.base import Action

_MODULES: tuple[type[Action], ...] = ()

ACTIONS = {action.name: action for action in _MODULES}

"""Libraries that only one format needs, and that are therefore extras."""

import importlib
from types import ModuleType

from memwatchd.errors import MemwatchdError


def need(module: str, extra: str, what: str) -> ModuleType:
    """Import a library of an extra.

    Args:
        module: Its name.
        extra: Which of memwatchd's extras has it.
        what: What it is needed for, for the message.

    Raises:
        MemwatchdError: It is not installed; names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise MemwatchdError(
            f"{what} needs {library}, which is not installed: pip install 'memwatchd[{extra}]'"
        ) from error

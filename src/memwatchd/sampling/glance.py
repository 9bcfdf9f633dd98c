"""Reading the sources now and then, in any process: for commands that want signals and have no daemon."""

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

from memwatchd.sampling.plan import SourcePlan
from memwatchd.sampling.source import Source
from memwatchd.signals.recording import Pulse, Recording


class Glance:
    """Open sources and what they say; a context manager.

    Args:
        plans: What to read; what cannot be opened or read is left out.

    Attributes:
        recording: For binding signals; renewed by `look`.
    """

    def __init__(self, plans: Iterable[SourcePlan]) -> None:
        self._closing = ExitStack()
        self._sources: dict[str, Source] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self.recording = Recording(self._sources, self._entries, Pulse(), os.sysconf("SC_PAGE_SIZE"))
        for number, plan in enumerate(plans):
            with suppress(OSError):
                self._take(number, plan.name, os.open(plan.path, os.O_RDONLY | os.O_CLOEXEC))

    def add(self, command: dict[str, Any], descriptors: list[int]) -> bool:
        """Take in watched files, as the sampler does; the descriptors stay the caller's."""
        for entry, descriptor in zip(command.get("add", ()), descriptors, strict=True):
            with suppress(OSError):
                self._take(entry["id"], entry["name"], os.dup(descriptor))
                self._entries[entry["name"]] = entry
        return True

    def _take(self, number: int, name: str, descriptor: int) -> None:
        source = Source(number, name, descriptor)
        self._closing.callback(source.close)
        source.read([], [], [])
        self._sources[name] = source

    def look(self) -> None:
        """Read all sources anew; one that is refused keeps its last text."""
        for source in self._sources.values():
            with suppress(OSError):
                source.read([], [], [])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

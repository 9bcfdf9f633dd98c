"""Samples that were recorded, one after the other, as something signals can be read from."""

from dataclasses import dataclass
from typing import Any

from memwatchd.ring.stream import Moment
from memwatchd.signals.recording import Pulse, Recording


@dataclass(slots=True)
class HeldText:
    """A text that stays as it is until it is replaced; see `memwatchd.signals.recording.Text`."""

    buffer: bytes = b""
    size: int = -1

    def hold(self, text: bytes | None) -> None:
        """Take this one; None is no text yet."""
        self.buffer, self.size = (b"", -1) if text is None else (text, len(text))


class Replay:
    """A recording whose present is the last moment that was taken.

    Args:
        page_size: Of the machine that made the recording, in bytes.
    """

    def __init__(self, page_size: int) -> None:
        self._texts: dict[str, HeldText] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self._by_number: dict[int, HeldText] = {}
        self._sources: dict[int, dict[str, Any]] | None = None
        self.recording = Recording(self._texts, self._entries, Pulse(), page_size)

    def take(self, moment: Moment) -> bool:
        """Make this moment the present.

        Returns:
            True when other sources are sampled now, so that readers must be bound anew.
        """
        changed = moment.sources is not self._sources and moment.sources != self._sources
        if changed:
            self._take_sources(moment.sources)
        self._sources = moment.sources
        sample = moment.sample
        for number, text in self._by_number.items():
            text.hold(sample.texts.get(number))
        pulse = self.recording.pulse
        pulse.lag_ns, pulse.read_ns, pulse.missed = sample.lag_ns, sample.read_ns, sample.missed
        return changed

    def _take_sources(self, sources: dict[int, dict[str, Any]]) -> None:
        self._texts.clear()
        self._entries.clear()
        self._by_number.clear()
        for number, entry in sources.items():
            name = str(entry["name"])
            self._texts[name] = self._by_number[number] = HeldText()
            self._entries[name] = entry

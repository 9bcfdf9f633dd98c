"""Rules as plain texts, and their signals."""

from dataclasses import dataclass

import pytest
from tests.conftest import meminfo, slabinfo, zoneinfo
from tests.rules.conftest import MS, S

from memwatchd.rules.book import Rulebook, RulePlan, make_engine, read_signal
from memwatchd.rules.engine import Decision, Happening, Timing
from memwatchd.signals.recording import Pulse, Recording


@dataclass
class Counted:
    """A text in one of two buffers, as in the sampler, that counts how often its size is asked for."""

    buffer: bytearray
    spare: bytearray
    size: int = -1

    def show(self, text: bytes | None) -> None:
        """Take in the next text, or none."""
        if text is None:
            self.size = -1
            return
        self.buffer, self.spare = self.spare, self.buffer
        self.buffer[: len(text)] = text
        self.size = len(text)


def make_text() -> Counted:
    return Counted(bytearray(8192), bytearray(8192))


@pytest.mark.parametrize("name", ["zone.Normal.free", "slab.dentry.bytes", "meminfo.MemFree"])
def test_a_signal_is_that_of_the_newest_text(name: str) -> None:
    """A rule would go by what its file said some ticks ago."""
    texts = {source: make_text() for source in ("zoneinfo", "slabinfo", "meminfo")}
    recording = Recording(texts, {}, Pulse(), 4096)
    read = read_signal(recording, name)
    assert read() != read()
    for number in (1, 2, 2, 3, 1, None, 1, None, None, 5):
        for source, text in texts.items():
            texts_now = {
                "zoneinfo": zoneinfo(number or 0, 10),
                "slabinfo": slabinfo(dentry=number or 0),
                "meminfo": meminfo(MemFree=4 * (number or 0)),
            }
            text.show(None if number is None else texts_now[source])
        for _ in range(2):
            found = read()
            assert found == 4096.0 * number if number is not None else found != found


def test_what_is_dear_is_read_once_for_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slab caches that are sampled five times a second would be searched two hundred times."""
    text, searches = make_text(), 0

    class Watched(bytearray):
        def find(self, *arguments: object) -> int:
            nonlocal searches
            searches += 1
            return super().find(*arguments)  # type: ignore[arg-type]

    text.buffer, text.spare = Watched(8192), Watched(8192)
    read = read_signal(Recording({"slabinfo": text}, {}, Pulse(), 4096), "slab.dentry.bytes")
    text.show(slabinfo(dentry=3))
    read()
    first = searches
    assert first > 0
    for _ in range(40):
        assert read() == 3 * 4096
    assert searches == first
    text.show(slabinfo(dentry=4))
    assert read() == 4 * 4096
    assert searches > first


def test_a_book_becomes_an_engine() -> None:
    """The rules the sampler goes by would not be those of the configuration."""
    text = make_text()
    plan = RulePlan(
        name="low",
        when="meminfo.MemFree < 5KiB",
        clear="meminfo.MemFree > 99KiB",
        timing=Timing(for_ns=100 * MS, acts=True),
    )
    engine = make_engine(Rulebook(rules=(plan,)), Recording({"meminfo": text}, {}, Pulse(), 4096))
    found: list[Decision] = []
    for number, kib in enumerate((50, 4, 4, 50, 98, 100, 100)):
        text.show(meminfo(MemFree=kib))
        found += engine.tick(S + number * 100 * MS)
    assert found == [Decision(Happening.FIRE, 0), Decision(Happening.CLEAR, 0)]

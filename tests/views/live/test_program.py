"""The program, on a terminal that a test plays."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.views.live.conftest import Told

from memwatchd.errors import NotFoundError
from memwatchd.views.live.frame import Frame
from memwatchd.views.live.lines import Line, plain
from memwatchd.views.live.program import Program


@dataclass
class Played:
    """A terminal, and time, which passes while a key is waited for.

    Attributes:
        keys: What is pressed, one after the other; empty for none until it is waited no longer.
    """

    keys: list[str]
    now_s: float = 100.0
    size: tuple[int, int] = (80, 24)
    shown: list[str] = field(default_factory=list)
    pictures: int = 0

    def show(self, lines: list[Line]) -> None:
        """Keep the picture."""
        self.shown = [plain(line).rstrip() for line in lines]
        self.pictures += 1

    def key(self, timeout_s: float) -> str:
        """Press the next one; at the end, quit."""
        key = self.keys.pop(0) if self.keys else "q"
        self.now_s += timeout_s if not key else 0.001
        return key

    def clock(self) -> float:
        """What time it is."""
        return self.now_s


def run(
    played: Played, told: Told, *, is_tape: bool = True, freeze: Callable[[], Told] | None = None
) -> Program:
    program = Program(played, told, is_tape=is_tape, rate_hz=10, freeze=freeze, clock=played.clock)
    program.run()
    return program


def test_a_recording_is_drawn_when_something_changes(told: Told) -> None:
    """A view that is left open would take processor time for nothing."""
    played = Played(["left", "left"])
    run(played, told)
    assert played.pictures == 3
    assert told.asked == ["frame 10", "a sample back", "frame 10", "a sample back", "frame 10"]


def test_playing_moves_by_the_time_that_has_passed(told: Told) -> None:
    """A recording would be played as fast as the terminal is."""
    run(Played(["space", "", "", "space"]), told)
    played = [float(each.removeprefix("play ")) for each in told.asked if each.startswith("play")]
    assert sum(played) == pytest.approx(0.2, abs=0.01)
    told.asked.clear()
    run(Played(["p", "r", "+", "", ""]), told)
    played = [float(each.removeprefix("play ")) for each in told.asked if each.startswith("play")]
    assert sum(played) == pytest.approx(-0.4, abs=0.02)


def test_playing_stops_at_the_end(told: Told) -> None:
    """It would go on drawing the last sample for ever."""
    told.more = False
    played = Played(["space", ""])
    program = run(played, told)
    assert not program.ui.playing
    assert "this is the end of the recording" in played.shown[-1]


def test_a_live_one_is_drawn_at_its_rate(told: Told, live_frame: Frame) -> None:
    """Too many pictures would cost too much, too few would miss the moment."""
    told.shown = live_frame
    played = Played([""] * 10)
    run(played, told, is_tape=False)
    assert played.pictures == 11
    assert played.now_s == pytest.approx(101.0, abs=0.02)


def test_space_freezes_and_goes_on(told: Told, live_frame: Frame, frame: Frame) -> None:
    """One could not hold the picture, or would be left with a frozen one."""
    told.shown, frozen = live_frame, Told(frame)
    played = Played(["space", "left", "space", "left"])
    program = run(played, told, is_tape=False, freeze=lambda: frozen)
    assert frozen.asked == ["frame 10", "a sample back", "frame 10"]
    assert "a sample back" in told.asked
    assert not program.ui.frozen
    assert played.shown[0].startswith(" memwatchd LIVE")


def test_what_cannot_be_frozen_goes_on(told: Told) -> None:
    """The view would end where it was to be held."""

    def fail() -> Told:
        raise NotFoundError("no samples")

    played = Played(["space"])
    program = run(played, told, is_tape=False, freeze=fail)
    assert not program.ui.frozen
    assert played.shown[-1] == " no samples"


def test_a_blank_is_typed_where_one_types(told: Told) -> None:
    """A filter or a date with a blank in it could not be typed."""
    run(Played(["t", "1", "space", "s", "enter"]), told)
    assert "to 1 s" in told.asked


def test_what_is_read_beforehand_is_shown_in_the_end(told: Told, frame: Frame) -> None:
    """Rules and growth would come to be known with the next key only."""

    class Reading(Told):
        """One that reads in three pieces."""

        left = 3

        def work(self, _budget_s: float) -> bool:
            self.left -= 1
            self.asked.append("work")
            return self.left > 0

    reading = Reading(frame)
    run(Played(["", ""]), reading)
    assert reading.asked == ["work", "frame 10", "work", "work", "frame 10"]


def test_another_size_is_drawn_at_once(told: Told) -> None:
    """The picture would stay in pieces until the next key."""
    played = Played(["resize"])
    run(played, told)
    assert played.pictures == 2

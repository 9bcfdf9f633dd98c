"""When the black box streams, how much, and what it does about a disk that will not."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.conftest import MS, ZERO_NS, Notes, S, Tape
from tests.service.conftest import wait_for

from memwatchd.config.model import BlackBox as Settings
from memwatchd.incidents.blackbox import BoxState, ExtentKind
from memwatchd.incidents.boxreader import Box, read_box, read_status
from memwatchd.ring.board import Slot
from memwatchd.ring.stream import messages, moments
from memwatchd.service.blackbox import BlackBox
from memwatchd.service.boxfile import BoxFile

SETTINGS = Settings(size_bytes=1 << 20, after_ns=2 * S)


class Disk(BoxFile):
    """A disk that fails when it is told to.

    Attributes:
        error: What every write ends with.
        gate: Closed, writes wait for it.
    """

    error: ClassVar[OSError | None] = None
    gate: ClassVar[threading.Event] = threading.Event()

    def _pwrite(self, size: int, at: int) -> None:
        with self._timed():
            self.gate.wait()
            if self.error is not None:
                raise self.error
        super()._pwrite(size, at)


@dataclass
class Scene:
    """A black box, its rings, and a clock that moves by hand.

    Attributes:
        number: Samples so far; each holds its own number.
    """

    tape: Tape
    path: Path
    settings: Settings = SETTINGS
    number: int = 0
    now_ns: int = ZERO_NS
    notes: Notes = field(default_factory=Notes)
    facts: dict[str, Any] = field(default_factory=lambda: {"program": {"name": "memwatchd"}})

    def __post_init__(self) -> None:
        self.box = self.another()

    def another(self) -> BlackBox:
        """Another run's."""
        return BlackBox(
            self.path,
            self.path.with_name("epitaph"),
            self.settings,
            10 * S,
            samples=self.tape.samples,
            events=self.tape.events,
            facts=lambda: self.facts,
            note=self.notes,
            now_ns=lambda: self.now_ns,
            open_box=Disk,
        )

    def arm(self, armed: bool = True) -> None:
        """Begin or end the danger."""
        self.tape.samples.board[Slot.ARMED] = armed

    def live(self, seconds: float, *, hz: float = 20) -> None:
        """Let time pass: samples are taken, and the box's thread does what is due."""
        for _ in range(round(seconds * hz)):
            self.now_ns += round(S / hz)
            at_s = (self.now_ns - ZERO_NS) / S
            self.tape.sample(at_s, {"vmstat": b"%d" % self.number})
            self.number += 1
            self.settle()

    def settle(self) -> None:
        """Let the box do all that can be done at this moment."""
        for _ in range(1000):
            if self.box.turn():
                return
        raise AssertionError("it never rests")

    @property
    def written_bytes(self) -> int:
        written: int = self.box.figures()["written_bytes"]
        return written

    def state(self) -> BoxState:
        """What the file says, as the next start would read it."""
        status = read_status(self.path)
        assert status is not None
        return status.state

    def read(self) -> Box:
        """The file as it is."""
        return read_box(self.path)

    def numbers(self) -> list[int]:
        """Which samples are in it."""
        found = moments(self.read().segments(ExtentKind.SAMPLES))
        return [int(moment.text("vmstat") or b"-1") for moment in found]


@pytest.fixture
def scene(tape: Tape, tmp_path: Path) -> Iterator[Scene]:
    Disk.error = None
    Disk.gate = threading.Event()
    Disk.gate.set()
    yield Scene(tape, tmp_path / "black-box")
    Disk.gate.set()


def test_nothing_is_written_while_all_is_well(scene: Scene) -> None:
    """A machine without any trouble would wear its disk out."""
    scene.live(2)
    filled = scene.written_bytes
    assert filled <= scene.settings.size_bytes + (32 << 10)
    scene.live(20)
    assert scene.written_bytes == filled
    assert (scene.state(), scene.read().extents) == (BoxState.CALM, 0)
    assert not scene.box.streaming


def test_in_danger_everything_goes_to_disk_the_past_included(scene: Scene) -> None:
    """The machine would die, and nobody would know of what."""
    scene.live(3)
    scene.tape.message(3, b"4,9,1,-;hello\n")
    scene.arm()
    scene.live(1)
    assert scene.box.streaming
    assert scene.state() is BoxState.ARMED
    every = round(SETTINGS.every_ns / S * 20)
    assert scene.numbers()[0] == 0
    assert scene.numbers()[-1] >= scene.number - 1 - every
    assert [message.raw for message in messages(scene.read().segments(ExtentKind.EVENTS))]
    assert scene.read().facts() == scene.facts


def test_no_more_than_one_interval_is_missing_at_any_moment(scene: Scene) -> None:
    """More of the last moments would be lost than is promised."""
    scene.arm()
    missing = []
    for _ in range(100):
        scene.live(1 / 20)
        missing.append(scene.number - 1 - scene.numbers()[-1])
    assert max(missing) <= SETTINGS.every_ns * 20 // S
    assert scene.numbers() == list(range(scene.numbers()[-1] + 1))


def test_danger_that_is_over_is_written_down_after_a_while(scene: Scene) -> None:
    """A clean reboot of next week would pass for a death; or the end of a danger would not be there."""
    scene.arm()
    scene.live(1)
    scene.arm(False)
    scene.live(SETTINGS.after_ns / S - 0.1)
    assert scene.state() is BoxState.ARMED
    scene.live(0.3)
    assert scene.state() is BoxState.CALM
    assert not scene.box.streaming
    written = scene.written_bytes
    scene.live(5)
    assert scene.written_bytes - written <= SETTINGS.size_bytes  # what was left to fill
    scene.arm()
    scene.live(0.5)
    assert scene.state() is BoxState.ARMED


@pytest.mark.parametrize(("state", "armed"), [(BoxState.CLOSED, True), (BoxState.CLOSED, False)])
def test_a_stop_in_good_order_is_a_clean_end(scene: Scene, state: BoxState, armed: bool) -> None:
    """Every reboot of a machine in trouble would be told as its death."""
    scene.arm(armed)
    scene.live(1)
    scene.box.finish(state)
    assert scene.state() is BoxState.CLOSED


def test_a_daemon_that_ends_against_its_will_leaves_its_last_seconds(scene: Scene) -> None:
    """What the daemon died of would be lost, or told as the machine's death."""
    scene.arm()
    scene.live(1)
    scene.tape.sample((scene.now_ns - ZERO_NS) / S, {"vmstat": b"%d" % scene.number})
    scene.box.finish(BoxState.ENDED)
    assert scene.state() is BoxState.ENDED
    assert scene.numbers()[-1] == scene.number


def test_another_run_does_not_believe_the_one_before(scene: Scene) -> None:
    """Samples of two runs would be mixed in one incident."""
    scene.arm()
    scene.live(1)
    scene.box.finish(BoxState.CLOSED)
    scene.arm(False)
    (scene.path.with_name("epitaph")).write_text("old")
    scene.box = scene.another()
    scene.live(0.2)
    assert (scene.state(), scene.read().extents) == (BoxState.CALM, 0)
    assert not scene.path.with_name("epitaph").exists()


# ---- the budget


def test_no_more_is_written_in_a_second_than_the_rate_allows(tape: Tape, tmp_path: Path) -> None:
    """A storm of samples would take the disk from those who need it to get out of the storm."""
    Disk.error = None
    Disk.gate.set()
    scene = Scene(tape, tmp_path / "box", replace(SETTINGS, rate_bytes=64 << 10))
    scene.arm()
    for number in range(60):  # a past that is larger than the rate
        tape.file(-1 + number / 100, "x", bytes(20_000))
    scene.live(10)
    # Up to a second's worth, or two writes, may come at once; pages that say in what state it is come on top.
    assert scene.written_bytes <= 10 * (64 << 10) + (256 << 10) + (16 << 10)
    assert scene.numbers()[-1] >= scene.number - 30


def test_the_newest_is_written_first_when_not_all_can_be(tape: Tape, tmp_path: Path) -> None:
    """The budget would go for what was long ago, and the end be missing."""
    Disk.error = None
    Disk.gate.set()
    scene = Scene(tape, tmp_path / "box", replace(SETTINGS, rate_bytes=64 << 10))
    scene.live(3)
    for number in range(250):
        tape.sample(3, {"vmstat": b"%d" % -number, "slabinfo": random_text(number)})
    scene.arm()
    scene.live(1)
    assert scene.numbers()[-1] >= scene.number - 1 - 2 * SETTINGS.every_ns * 20 // S


def random_text(seed: int) -> bytes:
    return random.Random(seed).randbytes(2000)


def test_a_day_has_its_limit(scene: Scene) -> None:
    """A machine that is never calm would wear its disk out."""
    per_day = 1 << 20
    scene.box.configure(replace(SETTINGS, per_day_bytes=per_day), 10 * S)
    scene.live(10)  # the file itself takes all of it
    assert scene.written_bytes <= per_day + (8 << 10)
    scene.arm()
    for _ in range(20):
        scene.tape.file(1, "x", bytes(20_000))
        scene.live(0.25)
    assert "were written today" in scene.box.problem
    assert scene.written_bytes <= per_day + (16 << 10)
    assert scene.numbers()[-1] < scene.number - 20
    assert scene.read().status.spent
    assert scene.state() is BoxState.ARMED
    assert len(scene.notes.of("warning")) == 1
    scene.box.configure(SETTINGS, 10 * S)
    scene.live(1)
    assert scene.box.problem == ""
    assert scene.numbers()[-1] >= scene.number - 1 - SETTINGS.every_ns * 20 // S


# ---- a disk that will not


def test_a_disk_that_refuses_is_told_of_once_and_tried_again(scene: Scene) -> None:
    """One error would end the recording for good, or fill the log."""
    scene.arm()
    scene.live(1)
    Disk.error = OSError(5, "Input/output error")
    scene.live(3)
    assert "Input/output error" in scene.box.problem
    assert not scene.box.streaming
    assert len(scene.notes.of("error")) == 1
    assert scene.box.figures()["errors"] >= 2
    Disk.error = None
    scene.live(10)
    assert scene.box.problem == ""
    assert scene.notes.of("info") == [f"{scene.path}: the black box is there again"]
    assert scene.numbers() == list(range(scene.numbers()[-1] + 1))
    assert scene.numbers()[-1] >= scene.number - 1 - SETTINGS.every_ns * 20 // S


def test_a_disk_without_room_is_told_of_and_tried_again(small_disk: Path, tape: Tape) -> None:
    """A disk that was full at the start would cost the black box for good."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(11_900_000))
    scene = Scene(tape, small_disk / "box")
    scene.arm()
    scene.live(2)
    assert "No space left on device" in scene.box.problem
    assert scene.box.figures()["ready"] is False
    filler.unlink()
    scene.live(10)
    assert scene.box.problem == ""
    assert scene.numbers()[0] == 0


def test_a_full_disk_does_not_matter_to_what_is_there(small_disk: Path, tape: Tape) -> None:
    """The log flood that comes with running out of memory would end the recording."""
    scene = Scene(tape, small_disk / "box")
    scene.live(2)
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(4096))
    scene.arm()
    scene.live(3)
    assert (scene.box.problem, scene.numbers()[0]) == ("", 0)


def test_a_write_that_does_not_return_is_told_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs would look like one that works; and stopping would hang with it."""
    monkeypatch.setattr("memwatchd.service.blackbox._HANGING_NS", 10 * MS)
    scene.box = box = scene.another()
    box._now_ns = time.monotonic_ns
    box.start()
    box.release()
    wait_for(lambda: box.figures()["ready"], "the file")
    Disk.gate.clear()
    scene.arm()
    wait_for(lambda: "the disk has not answered" in box.problem, "a word about it")
    began_s = time.monotonic()
    box.stop(0.05, clean=True)
    assert time.monotonic() - began_s < 5
    assert box.alive
    Disk.gate.set()
    wait_for(lambda: not box.alive, "its end")
    assert scene.state() is BoxState.CLOSED


def test_nothing_is_touched_before_the_last_death_is_saved(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new run would overwrite what the old one had left, before anybody has read it."""
    monkeypatch.setattr("memwatchd.service.blackbox._PATIENCE_NS", 0)
    scene.box.start()
    scene.arm()
    assert not scene.path.exists()
    assert "has not been saved yet" in scene.box.problem
    scene.box.release()
    wait_for(scene.path.exists, "the file")
    assert scene.box.problem == ""
    scene.box.stop(10, clean=True)


def test_a_file_that_was_removed_is_made_again(scene: Scene) -> None:
    """A mistaken rm would end the recording until somebody restarts the daemon."""
    scene.arm()
    scene.live(1)
    scene.path.unlink()
    scene.live(12)
    assert scene.numbers()[-1] >= scene.number - 1 - SETTINGS.every_ns * 20 // S
    assert scene.state() is BoxState.ARMED
    assert (scene.numbers()[0], scene.box.problem) == (0, "")


# ---- other settings


def test_switched_off_it_takes_no_space(scene: Scene) -> None:
    """Somebody who switches it off would go on paying for it."""
    scene.arm()
    scene.live(1)
    scene.box.configure(replace(SETTINGS, enabled=False), 10 * S)
    scene.settle()
    assert not scene.path.exists()
    assert (scene.box.streaming, scene.box.problem) == (False, "")
    scene.box.configure(SETTINGS, 10 * S)
    scene.live(1)
    assert scene.state() is BoxState.ARMED


def test_another_size_is_taken_at_once(scene: Scene) -> None:
    """A reload would say yes and change nothing."""
    scene.live(1)
    scene.box.configure(replace(SETTINGS, size_bytes=2 << 20), 10 * S)
    scene.settle()
    assert scene.path.stat().st_size == 2 << 20

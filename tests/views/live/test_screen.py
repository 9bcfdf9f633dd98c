"""The whole screen, at any size."""

from dataclasses import replace

import pytest

from memwatchd.views.live.frame import Frame, Happening, Sort
from memwatchd.views.live.lines import cells, plain
from memwatchd.views.live.panels import BY_KEY, PANELS
from memwatchd.views.live.screen import compose, share_out
from memwatchd.views.live.ui import Prompt, Ui


def text(frame: Frame, ui: Ui, width: int = 80, height: int = 24) -> list[str]:
    return [plain(line).rstrip() for line in compose(frame, ui, width, height)]


@pytest.mark.parametrize("width", [1, 19, 20, 60, 80, 100, 132, 210, 500])
@pytest.mark.parametrize("height", [1, 3, 4, 10, 24, 60, 200])
def test_the_screen_is_as_large_as_the_terminal(frame: Frame, width: int, height: int) -> None:
    """A line too many, or too long, would scroll the picture away."""
    for ui in (Ui(is_tape=True), Ui(is_tape=True, zoomed=True), Ui(is_tape=True, shows_help=True)):
        lines = compose(replace(frame, notes=("a note",)), ui, width, height)
        assert [cells(plain(line)) for line in lines] == [width] * height


@pytest.mark.parametrize("size", [(80, 24), (132, 43), (210, 60)])
def test_all_panels_are_there(frame: Frame, size: tuple[int, int]) -> None:
    """Something would be overlooked on a usual terminal."""
    shown = "\n".join(text(frame, Ui(is_tape=True), *size))
    assert [panel.title for panel in PANELS if f"{panel.number} {panel.title}" not in shown] == []


def test_one_panel_has_all_of_it_when_zoomed(frame: Frame) -> None:
    """A long table could not be read."""
    shown = text(frame, Ui(is_tape=True, focus="slab", zoomed=True))
    assert [line for line in shown if line.startswith("3 Slab movers")] != []
    assert not any(line.startswith("1 Memory") for line in shown)


def test_a_recording_says_where_one_is(frame: Frame) -> None:
    """One would not know whether this is before or after the kill."""
    killed = Happening(frame.zero_ns or 0, Sort.KILL, "the kernel killed eater")
    late = replace(frame, at_ns=frame.to_ns, happenings=(*frame.happenings, killed))
    head, track = text(late, Ui(is_tape=True))[:2]
    assert head.endswith("late 0.2 ms, 1 missed  2023-11-14 22:13:21.123")
    assert track.startswith(" +1.000 s  -3.0 s ─")
    assert track.endswith("█ +1.0 s")
    assert track.index("▵") < track.index("✕") < track.index("█")


def test_a_live_one_says_what_everybody_looks_at_first(live_frame: Frame) -> None:
    """One would have to search for how much is left."""
    head, told, note = text(live_frame, Ui(is_tape=False))[:3]
    assert head.startswith(" memwatchd LIVE vm1")
    assert told == " available 100 MiB of 0.977 GiB  stalled 25%  nearest rule little-left 100%"
    assert note == " armed"


def test_hostile_words_do_nothing_to_the_terminal(live_frame: Frame) -> None:
    """A host could name itself so that the screen is cleared, or worse."""
    hostile = replace(live_frame, title="a\x1b[2Jb", notes=("c\x07d",))
    ui = Ui(is_tape=False, prompt=Prompt("filter", "only", "e\x9bf"))
    assert all(char.isprintable() for line in text(hostile, ui) for char in line)


def test_what_is_typed_and_said_is_shown(frame: Frame) -> None:
    """One would type blindly."""
    ui = Ui(is_tape=True, message="this is the last sample")
    assert text(frame, ui)[-1] == " this is the last sample"
    ui.prompt = Prompt("time", "go to", "-0.5s")
    assert text(frame, ui)[-1] == " go to: -0.5s▏"


def test_room_is_shared_out_and_the_focus_stays() -> None:
    """The panel one works with would vanish when the window is made smaller."""
    wishes = [(BY_KEY[key], 4, 9) for key in ("memory", "events", "buddy")]
    shares = [(panel.key, rows) for panel, rows in share_out(wishes, 10, "buddy")]
    assert shares == [("memory", 5), ("buddy", 5)]
    assert [rows for _, rows in share_out(wishes, 40, "buddy")] == [9, 9, 22]


def test_what_has_changed_is_drawn_anew(frame: Frame) -> None:
    """A panel would go on showing what it showed first."""
    ui = Ui(is_tape=True)
    before = text(frame, ui, 210, 60)
    moved = replace(frame, caches=frame.caches[:1], rates=(), happenings=())
    assert text(moved, ui, 210, 60) == text(moved, Ui(is_tape=True), 210, 60) != before
    ui.turn_focus(1)
    assert text(frame, ui, 100, 30) == text(frame, Ui(is_tape=True, focus=ui.focus), 100, 30)

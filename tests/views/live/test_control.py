"""What keys do."""

import pytest
from tests.views.live.conftest import Told

from memwatchd.views.live.control import press
from memwatchd.views.live.frame import Frame
from memwatchd.views.live.rows import View
from memwatchd.views.live.ui import Ui


def pressed(ui: Ui, told: Told, *keys: str, page: int = 10) -> Ui:
    for key in keys:
        press(key, ui, told, told.shown, page)
    return ui


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("left", "a sample back"),
        ("right", "a sample on"),
        ("shift-left", "a second back"),
        ("<", "a second back"),
        ("shift-right", "a second on"),
        (">", "a second on"),
        ("n", "the next event"),
        ("N", "the event before"),
        ("k", "the next kill"),
        ("0", "moment zero"),
        ("home", "the first sample"),
        ("end", "the last sample"),
    ],
)
def test_keys_go_to_and_fro(told: Told, key: str, where: str) -> None:
    """A key would go elsewhere than the page of keys says."""
    told.answer = "no further"
    ui = pressed(Ui(is_tape=True, playing=True), told, key)
    assert (told.asked, ui.message, ui.playing) == ([where], "no further", False)


def test_a_time_is_typed_in(told: Told) -> None:
    """One could not go to the moment a log names."""
    ui = pressed(Ui(is_tape=True), told, "t", *"-0.55", "backspace", "s", "enter")
    assert (told.asked, ui.prompt) == (["to -0.5s"], None)
    pressed(ui, told, "t", "1", "esc")
    assert told.asked == ["to -0.5s"]


def test_a_filter_holds_as_it_is_typed_and_is_given_up(told: Told) -> None:
    """One would have to guess what the filter finds."""
    ui = pressed(Ui(is_tape=True, focus="slab"), told, "/", "d", "q")
    assert (ui.view("slab").wanted, ui.quits) == ("dq", False)
    pressed(ui, told, "enter")
    assert ui.view("slab").wanted == "dq"
    pressed(ui, told, "/", "esc")
    assert ui.view("slab") == View()


def test_sorting_goes_round(told: Told, frame: Frame) -> None:
    """One could sort by the first column only."""
    ui = Ui(is_tape=True, focus="slab")
    sorts = [pressed(ui, told, "s").message for _ in range(5)]
    assert sorts == [f"sorted by {name}" for name in ("cache", "size", "growth", "objects", "cache")]
    assert pressed(ui, told, "S").view().reverse


def test_numbers_and_tab_choose_the_panel(told: Told) -> None:
    """Keys would work on another panel than the one that is marked."""
    ui = pressed(Ui(is_tape=True), told, "3")
    assert (ui.focus, ui.zoomed) == ("slab", False)
    assert pressed(ui, told, "tab").focus == "buddy"
    assert pressed(ui, told, "shift-tab", "shift-tab").focus == "zones"
    assert pressed(ui, told, "enter").zoomed
    assert not pressed(ui, told, "esc").zoomed


def test_scrolling_stays_within_the_table(told: Told) -> None:
    """The table would be scrolled out of sight."""
    ui = pressed(Ui(is_tape=True, focus="slab"), told, "down")
    assert ui.view().top == 1
    assert pressed(ui, told, "pgdn").view().top == 2
    assert pressed(ui, told, "pgup").view().top == 0


def test_speed_span_and_direction(told: Told) -> None:
    """A recording could be played at one speed only."""
    ui = pressed(Ui(is_tape=True), told, "p", "+", "r")
    assert (ui.playing, ui.speed_signed, ui.mode_text()) == (True, -2.0, "PLAYING ◀ ×2")
    assert pressed(ui, told, *["-"] * 20).speed_signed == -0.05
    assert pressed(ui, told, "w").span_s == 30.0
    assert pressed(ui, told, *["W"] * 9).span_s == 1.0


def test_time_of_a_live_one_cannot_be_turned(told: Told) -> None:
    """It would look as if a key had been ignored."""
    ui = pressed(Ui(is_tape=False), told, "t")
    assert (ui.prompt, ui.message) == (None, "to go to another time, freeze first, with the space bar")
    assert "freeze first" in pressed(ui, told, "p").message


def test_help_comes_and_goes(told: Told) -> None:
    """One could not get out of the page of keys, or a key would do something behind it."""
    ui = pressed(Ui(is_tape=True), told, "?")
    assert ui.shows_help
    assert not pressed(ui, told, "q").shows_help
    assert not ui.quits
    assert pressed(ui, told, "q").quits


def test_a_key_without_use_says_so(told: Told) -> None:
    """One would wait for something to happen."""
    assert pressed(Ui(is_tape=True), told, "x").message == "x: no such key; ? shows them all"

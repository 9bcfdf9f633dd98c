"""What keys do: to what is shown, and to where one is in a recording."""

from collections.abc import Callable

from memwatchd.views.live.frame import Frame
from memwatchd.views.live.panels import BY_KEY, BY_NUMBER
from memwatchd.views.live.source import Move, Source
from memwatchd.views.live.ui import SPANS_S, SPEEDS, Prompt, Ui

_MOVES = {
    "left": Move.SAMPLE_BACK,
    "right": Move.SAMPLE_ON,
    "shift-left": Move.SECOND_BACK,
    "<": Move.SECOND_BACK,
    "shift-right": Move.SECOND_ON,
    ">": Move.SECOND_ON,
    "N": Move.EVENT_BACK,
    "n": Move.EVENT_ON,
    "k": Move.KILL,
    "0": Move.ZERO,
    "home": Move.FIRST,
    "end": Move.LAST,
}
_LONGEST_TYPED = 100


def press(key: str, ui: Ui, source: Source, frame: Frame, page: int) -> None:
    """Do what a key is for; freezing is not among it.

    Args:
        key: Its name, or the character.
        ui: What is shown, and how.
        source: What is gone to and fro in.
        frame: What is shown now.
        page: How many rows a page has.
    """
    ui.message = ""
    if ui.prompt is not None:
        _type(key, ui, ui.prompt, source)
    elif ui.shows_help:
        ui.shows_help = False
    elif key in _MOVES:
        ui.playing = False
        ui.message = source.move(_MOVES[key])
    elif key in BY_NUMBER:
        ui.zoomed = ui.zoomed and BY_NUMBER[key].key != ui.focus
        ui.focus = BY_NUMBER[key].key
    elif key in _PLAIN:
        _PLAIN[key](ui)
    else:
        _look(key, ui, frame, page)


def _type(key: str, ui: Ui, prompt: Prompt, source: Source) -> None:
    if key == "esc":
        ui.prompt = None
    elif key == "backspace":
        prompt.text = prompt.text[:-1]
    elif key == "enter":
        ui.prompt = None
        if prompt.what == "time":
            ui.playing = False
            ui.message = source.move_to(prompt.text) if prompt.text else ""
    elif len(key) == 1 and key.isprintable() and len(prompt.text) < _LONGEST_TYPED:
        prompt.text += key
    if prompt.what == "filter":
        # What is typed holds at once; given up, all is shown again.
        ui.change_view(wanted="" if key == "esc" else prompt.text, top=0)


def _look(key: str, ui: Ui, frame: Frame, page: int) -> None:
    """Keys for the panel in the focus."""
    panel, view = BY_KEY[ui.focus], ui.view()
    match key:
        case "s":
            _sort(ui, panel.sorts(frame))
        case "S":
            ui.change_view(reverse=not view.reverse)
        case "up" | "down" | "pgup" | "pgdn":
            by = {"up": -1, "down": 1, "pgup": -page, "pgdn": page}[key]
            most = max(0, panel.count(frame, view) - 1)
            ui.change_view(top=min(max(view.top + by, 0), most))
        case _:
            ui.message = "" if len(key) > 1 else f"{key}: no such key; ? shows them all"


def _sort(ui: Ui, sorts: list[str]) -> None:
    if not sorts:
        ui.message = "this panel cannot be sorted"
        return
    before = ui.view().sort
    chosen = 0 if before is None else (before + 1) % len(sorts)
    ui.change_view(sort=chosen, top=0)
    ui.message = f"sorted by {sorts[chosen] or 'value'}"


def _zoom(ui: Ui) -> None:
    ui.zoomed = not ui.zoomed


def _out(ui: Ui) -> None:
    ui.zoomed = False


def _help(ui: Ui) -> None:
    ui.shows_help = True


def _quit(ui: Ui) -> None:
    ui.quits = True


def _filter(ui: Ui) -> None:
    ui.prompt = Prompt("filter", f"only {ui.focus} with", ui.view().wanted)


def _ask_time(ui: Ui) -> None:
    if ui.is_tape:
        ui.prompt = Prompt("time", "go to (-0.5s, 22:13:20.5, …)")
    else:
        ui.message = "to go to another time, freeze first, with the space bar"


def _play(ui: Ui) -> None:
    if ui.is_tape:
        ui.playing = not ui.playing
    else:
        ui.message = "time passes by itself; freeze first, with the space bar"


def _reverse(ui: Ui) -> None:
    if ui.is_tape:
        ui.backwards = not ui.backwards
        ui.playing = True


def _faster(ui: Ui) -> None:
    ui.speed = min(ui.speed + 1, len(SPEEDS) - 1)


def _slower(ui: Ui) -> None:
    ui.speed = max(ui.speed - 1, 0)


def _longer(ui: Ui) -> None:
    ui.span = min(ui.span + 1, len(SPANS_S) - 1)
    ui.message = f"growth over {ui.span_s:g} s"


def _shorter(ui: Ui) -> None:
    ui.span = max(ui.span - 1, 0)
    ui.message = f"growth over {ui.span_s:g} s"


_PLAIN: dict[str, Callable[[Ui], None]] = {
    "tab": lambda ui: ui.turn_focus(1),
    "shift-tab": lambda ui: ui.turn_focus(-1),
    "enter": _zoom,
    "z": _zoom,
    "esc": _out,
    "?": _help,
    "q": _quit,
    "/": _filter,
    "t": _ask_time,
    "p": _play,
    "r": _reverse,
    "+": _faster,
    "-": _slower,
    "w": _longer,
    "W": _shorter,
}

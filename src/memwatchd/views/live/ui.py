"""What the person at the terminal has chosen: panel, sorting, filters, whether time stands still."""

from dataclasses import dataclass, field, replace
from typing import Any

from memwatchd.views.live.lines import Line
from memwatchd.views.live.panels import PANELS
from memwatchd.views.live.rows import Rows, View

SPANS_S = (1.0, 5.0, 10.0, 30.0, 60.0)
SPEEDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_USUAL_SPAN, _USUAL_SPEED = 2, 4


@dataclass(slots=True)
class Prompt:
    """Something is being typed in.

    Attributes:
        what: ``filter`` or ``time``.
    """

    what: str
    label: str
    text: str = ""


@dataclass(slots=True)
class Drawn:
    """A panel as it was drawn last.

    Attributes:
        figures: What it was drawn from.
        how: Its view, its size, whether it was in the focus.
    """

    figures: tuple[object, ...]
    table: Rows[Any]
    how: tuple[object, ...] = ()
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Ui:
    """Everything that is shown otherwise than by itself.

    Attributes:
        is_tape: What is watched can be gone to and fro in.
        frozen: It is a live one that was put aside.
        focus: Key of the panel that keys are for.
        zoomed: It has the whole screen.
        playing: Time passes in the recording; `backwards` or not.
        message: Shown until the next key.
        drawn: The panels as they were drawn last, by their keys.
    """

    is_tape: bool
    frozen: bool = False
    focus: str = "processes"
    zoomed: bool = False
    shows_help: bool = False
    playing: bool = False
    backwards: bool = False
    speed: int = _USUAL_SPEED
    span: int = _USUAL_SPAN
    prompt: Prompt | None = None
    message: str = ""
    quits: bool = False
    views: dict[str, View] = field(default_factory=dict)
    drawn: dict[str, Drawn] = field(default_factory=dict)

    @property
    def span_s(self) -> float:
        """Over which growth is told."""
        return SPANS_S[self.span]

    @property
    def speed_signed(self) -> float:
        """Seconds of the recording in a second; negative backwards."""
        return -SPEEDS[self.speed] if self.backwards else SPEEDS[self.speed]

    def view(self, key: str = "") -> View:
        """How a panel is looked at, by default the one in the focus."""
        return self.views.get(key or self.focus, View())

    def change_view(self, **changes: object) -> None:
        """Look at the panel in the focus otherwise."""
        self.views[self.focus] = replace(self.view(), **changes)  # type: ignore[arg-type]  # fields of View

    def turn_focus(self, by: int) -> None:
        """Move the focus to the panel after, or before."""
        keys = [panel.key for panel in PANELS]
        self.focus = keys[(keys.index(self.focus) + by) % len(keys)]

    def mode_text(self) -> str:
        """What is being done, in a word or two."""
        if not self.is_tape:
            return "LIVE"
        if self.playing:
            return f"PLAYING {'◀' if self.backwards else '▶'} ×{SPEEDS[self.speed]:g}"
        return "FROZEN" if self.frozen else "REPLAY"

    def hint(self) -> str:
        """The keys one needs most."""
        common = "Tab 1-9 panel  Enter zoom  s sort  / filter"
        if self.frozen:
            return f"? help  q quit  Space go on  ←→ sample  n event  t time  {common}"
        if self.is_tape:
            return f"? help  q quit  Space play  ←→ sample  n event  k kill  t time  {common}"
        return f"? help  q quit  Space freeze  {common}"

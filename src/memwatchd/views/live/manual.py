"""The page of keys."""

from memwatchd.views.live.lines import Line, Style, fit_line

_COMMON = (
    ("Tab, Shift-Tab, 1-9", "which panel keys are for"),
    ("Enter, z", "that panel on the whole screen, and back; Esc: back"),
    ("↑ ↓ PgUp PgDn", "scroll it"),
    ("s, S", "sort it by the next column; the other way round"),
    ("/", "show only rows with a text in them; Enter with nothing: all"),
    ("w, W", "growth over a longer, a shorter time"),
    ("?", "this page; any key: back"),
    ("q, Ctrl-C", "quit"),
)
_LIVE = (("Space", "freeze, and go to and fro in the last minute; again: go on"),)
_TAPE = (
    ("← →", "a sample back, on"),
    ("Shift-← →, < >", "a second back, on"),
    ("n, N", "the next event, the one before"),
    ("k, 0", "the next kill; moment zero"),
    ("Home, End", "the first, the last sample"),
    ("t", "type a time: -0.5s, 200ms, 22:13:20.5, or a date"),
    ("Space, p", "play, pause (of a frozen machine: Space goes on, p plays)"),
    ("r", "play backwards, forwards"),
    ("+ -", "faster, slower"),
)
_SIGNS = (
    "Zones: free memory on a scale with the watermarks min, low, high; ×high is free over high.",
    "Rules: near is how far the deciding comparison has come; from 80 % on a rule is near.",
    "Growth is told over some seconds (w); yellow would double it, or be the end of it, in a minute.",
    "Cgroups with * are watched: their own figures. Others: the sum over their processes.",
)


def help_lines(width: int, height: int, *, is_tape: bool) -> list[Line]:
    """The page; as much of it as fits."""
    lines = [fit_line([(" Keys", Style.STRONG)], width)]
    for key, what in (*(_TAPE if is_tape else _LIVE), *_COMMON):
        lines.append(fit_line([(f"  {key:<21}", Style.INFO), (what, Style.PLAIN)], width))
    lines += [fit_line([(f" {sign}", Style.DIM)], width) for sign in _SIGNS]
    return (lines + [fit_line((), width)] * height)[:height]

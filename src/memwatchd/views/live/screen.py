"""A whole screen: header, panels, and the line of keys; lines of exactly the terminal's size."""

from collections.abc import Sequence

from memwatchd.units import printable
from memwatchd.views.live.clock import seconds_text, wall_text
from memwatchd.views.live.frame import Frame, Sort
from memwatchd.views.live.lines import Line, Span, Style, beside, cells, fit_line, share_text, size_text
from memwatchd.views.live.manual import help_lines
from memwatchd.views.live.panels import BY_KEY, Panel
from memwatchd.views.live.ui import Drawn, Ui

# From so many cells on there are two, three, four columns.
_WIDE_CELLS = (76, 130, 200)
# Which panels stand in which column, by how many columns there are.
_COLUMNS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("memory", "rules", "zones", "stall", "slab", "processes", "events", "cgroups", "buddy"),),
    (("memory", "zones", "stall", "rules"), ("slab", "processes", "cgroups", "buddy", "events")),
    (("memory", "zones", "buddy"), ("rules", "stall", "events"), ("slab", "processes", "cgroups")),
    (("memory", "zones", "buddy"), ("stall", "slab"), ("processes", "cgroups"), ("rules", "events")),
)
# These are left out last where there is no room.
_IMPORTANCE = ("memory", "rules", "processes", "zones", "slab", "stall", "events", "cgroups", "buddy")
LEAST_WIDTH, LEAST_HEIGHT = 20, 4


def compose(frame: Frame, ui: Ui, width: int, height: int) -> list[Line]:
    """Draw everything.

    Returns:
        `height` lines of `width` cells.
    """
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        blank = fit_line((), width)
        return ([fit_line([("too small", Style.WARN)], width)] + [blank] * height)[:height]
    head = _head(frame, ui, width)[: height - 2]
    body_height = height - len(head) - 1
    if ui.shows_help:
        body = help_lines(width, body_height, is_tape=ui.is_tape)
    elif ui.zoomed:
        body = BY_KEY[ui.focus].draw(frame, ui.view(), width, body_height, focus=True)
    else:
        body = _overview(frame, ui, width, body_height)
    return [*head, *body, _foot(ui, width)]


def body_rows(frame: Frame, ui: Ui, width: int, height: int) -> int:
    """How many rows a panel shows that has the whole screen; a page of it."""
    return max(1, height - len(_head(frame, ui, width)) - 3)


# -- the header --------------------------------------------------------------------------------------------


def _head(frame: Frame, ui: Ui, width: int) -> list[Line]:
    mode, style = ui.mode_text(), Style.FOCUS if ui.is_tape or ui.frozen else Style.GOOD
    left: list[Span] = [
        (" memwatchd ", Style.STRONG),
        (f"{mode} ", style),
        (printable(frame.title), Style.PLAIN),
    ]
    late = f"late {frame.lag_s * 1000:.1f} ms"
    if frame.missed:
        late += f", {frame.missed} missed"
    if frame.zero_ns is None:
        right = f"{late}  {wall_text(frame, frame.at_ns)} "
    else:
        right = f"{late}  {wall_text(frame, frame.at_ns, '%Y-%m-%d %H:%M:%S')} "
    have = sum(cells(text) for text, _ in left)
    if have + len(right) + 1 <= width:
        left += [(" " * (width - have - len(right)), Style.PLAIN), (right, Style.PLAIN)]
    lines = [fit_line(left, width)]
    lines.append(_track(frame, width) if frame.zero_ns is not None else _sum(frame, width))
    if frame.notes:
        lines.append(fit_line([(" " + "; ".join(map(printable, frame.notes)), Style.WARN)], width))
    return lines


def _sum(frame: Frame, width: int) -> Line:
    """The figures everybody looks at first."""
    spans: list[Span] = []
    memory = frame.memory
    if memory is not None:
        told = f" available {size_text(memory.available_bytes)} of {size_text(memory.total_bytes)}"
        spans.append((told, Style.PLAIN))
        if memory.swap_total_bytes:
            spans.append((f"  swap {size_text(memory.swap_used_bytes)}", Style.PLAIN))
    stalled = next((rate for rate in frame.rates if rate.unit == "share"), None)
    if stalled is not None:
        spans.append((f"  stalled {share_text(stalled.now)}", Style.PLAIN))
    rule = max(frame.rules, key=lambda rule: -1.0 if rule.share is None else rule.share, default=None)
    if rule is not None and rule.share is not None:
        spans.append((f"  nearest rule {rule.name} {share_text(rule.share)}", Style.PLAIN))
    return fit_line(spans, width)


def _track(frame: Frame, width: int) -> Line:
    """Where in the recording this is, with its kills."""
    zero_ns = frame.zero_ns or 0
    now = f" {seconds_text(zero_ns, frame.at_ns)} "
    ends = f" {(frame.from_ns - zero_ns) / 1e9:+.1f} s", f"{(frame.to_ns - zero_ns) / 1e9:+.1f} s "
    room = width - len(now) - len(ends[0]) - len(ends[1]) - 2
    if room < 8:
        return fit_line([(now, Style.STRONG)], width)
    cells_ = ["─"] * room
    for happening in frame.happenings:
        if happening.sort is not Sort.OTHER:
            mark = "✕" if happening.sort is Sort.KILL else "▵"
            place = _place(frame, happening.at_ns, room)
            cells_[place] = mark if cells_[place] != "✕" else "✕"
    place = _place(frame, frame.at_ns, room)
    return fit_line(
        [
            (now, Style.STRONG),
            (ends[0] + " ", Style.DIM),
            ("".join(cells_[:place]), Style.INFO),
            ("█", Style.STRONG),
            ("".join(cells_[place + 1 :]), Style.DIM),
            (" " + ends[1], Style.DIM),
        ],
        width,
    )


def _place(frame: Frame, at_ns: int, room: int) -> int:
    span_ns = max(1, frame.to_ns - frame.from_ns)
    return min(max((at_ns - frame.from_ns) * room // span_ns, 0), room - 1)


# -- the panels --------------------------------------------------------------------------------------------


def _overview(frame: Frame, ui: Ui, width: int, height: int) -> list[Line]:
    count = 1 + sum(width >= wide for wide in _WIDE_CELLS)
    blocks: list[tuple[Sequence[Line], int]] = []
    left = width - (count - 1)
    for place, keys in enumerate(_COLUMNS[count - 1]):
        column_width = left // (count - place)
        left -= column_width
        blocks.append((_column(frame, ui, [BY_KEY[key] for key in keys], column_width, height), column_width))
    return beside(blocks, height)


def _column(frame: Frame, ui: Ui, panels: list[Panel], width: int, height: int) -> list[Line]:
    """Draw panels below each other; twenty times a second most of them are as they were."""
    for panel in panels:
        figures, before = panel.figures(frame), ui.drawn.get(panel.key)
        if before is None or before.figures != figures:
            ui.drawn[panel.key] = Drawn(figures, panel.table(frame))
    wishes = [(panel, panel.least, panel.wants(frame, ui.drawn[panel.key].table, width)) for panel in panels]
    lines: list[Line] = []
    for panel, rows in share_out(wishes, height, ui.focus):
        drawn, view, focus = ui.drawn[panel.key], ui.view(panel.key), panel.key == ui.focus
        if drawn.how != (view, width, rows, focus):
            drawn.how = view, width, rows, focus
            drawn.lines = panel.draw(frame, view, width, rows, focus=focus, table=drawn.table)
        lines += drawn.lines
    return lines


def share_out(panels: Sequence[tuple[Panel, int, int]], height: int, focus: str) -> list[tuple[Panel, int]]:
    """Share lines out among the panels of a column.

    Args:
        panels: Each with how many lines it needs at least, and how many it could fill.
        height: How many lines there are.
        focus: Key of the panel that is left out last.
    """
    kept = list(panels)
    while len(kept) > 1 and sum(least for _, least, _ in kept) > height:
        kept.remove(max(kept, key=lambda each: (each[0].key != focus, _IMPORTANCE.index(each[0].key))))
    given = [min(least, height) for _, least, _ in kept]
    left = height - sum(given)
    while left > 0:
        wanting = [place for place, (_, _, wants) in enumerate(kept) if given[place] < wants]
        if not wanting:
            given[-1] += left
            break
        for place in wanting[:left]:
            given[place] += 1
        left -= len(wanting[:left])
    return [(panel, rows) for (panel, _, _), rows in zip(kept, given, strict=True)]


# -- the last line -----------------------------------------------------------------------------------------


def _foot(ui: Ui, width: int) -> Line:
    if ui.prompt is not None:
        return fit_line(
            [(f" {ui.prompt.label}: {printable(ui.prompt.text)}", Style.STRONG), ("▏", Style.FOCUS)], width
        )
    if ui.message:
        return fit_line([(f" {printable(ui.message)}", Style.WARN)], width)
    return fit_line([(f" {ui.hint()}", Style.DIM)], width)

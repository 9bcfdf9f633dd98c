"""The panels: each turns a frame into lines of a width and a height, and knows no terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memwatchd.views.live import actors, machine
from memwatchd.views.live.frame import Frame
from memwatchd.views.live.lines import Line, Style, cells, fit, fit_line
from memwatchd.views.live.rows import Rows, View, chosen, draw, sorts_of

_RULE = "─"
_EMPTY = {
    "memory": "meminfo is not sampled",
    "zones": "no zones",
    "slab": "no slab caches",
    "buddy": "no free blocks are told",
    "stall": "nothing is counted here",
    "processes": "no process table yet",
    "cgroups": "no cgroup is watched, and no process tells of one",
    "rules": "no rules",
    "events": "nothing has happened",
}


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel.

    Attributes:
        key: Its number, and its name in `Frame.absent`.
        least: Fewer lines are of no use, the title included.
        head: Lines above the table.
        table: What is in it.
        reads: Names of all of the frame that it shows.
    """

    number: str
    key: str
    title: str
    least: int
    head: Callable[[Frame, int], list[Line]]
    table: Callable[[Frame], Rows[Any]]
    reads: tuple[str, ...]

    def figures(self, frame: Frame) -> tuple[object, ...]:
        """All of a frame that it shows: it is the same picture for as long as they are the same."""
        return frame.absent.get(self.key), *[getattr(frame, name) for name in self.reads]

    def wants(self, frame: Frame, table: Rows[Any], width: int) -> int:
        """How many lines it could fill with this table."""
        return 2 + len(self.head(frame, width)) + max(1, len(table.rows))

    def sorts(self, frame: Frame) -> list[str]:
        """What it can be sorted by."""
        return [column.title for column in sorts_of(self.table(frame).columns)]

    def count(self, frame: Frame, view: View) -> int:
        """How many rows there are."""
        return len(chosen(self.table(frame), view))

    def draw(
        self,
        frame: Frame,
        view: View,
        width: int,
        height: int,
        *,
        focus: bool = False,
        table: Rows[Any] | None = None,
    ) -> list[Line]:
        """Draw it: so many lines, each so wide; `table` saves making it anew."""
        if height <= 0 or width <= 0:
            return []
        table = table or self.table(frame)
        lines = [_title(self, frame, view, width, focus=focus)]
        why = frame.absent.get(self.key) or ("" if table.rows else _EMPTY[self.key])
        if why:
            lines.append(fit_line([(f" {why}", Style.DIM)], width))
        else:
            head = self.head(frame, width)
            # The table is what matters where there is hardly any room.
            lines += head if height >= len(head) + 4 else []
            lines += draw(table, view, width, height - len(lines))
        blank = fit_line((), width)
        return (lines + [blank] * (height - len(lines)))[:height]


def _title(panel: Panel, frame: Frame, view: View, width: int, *, focus: bool) -> Line:
    told = f"{panel.number} {panel.title}"
    if view.wanted:
        told += f" /{view.wanted}"
    if panel.key == "rules" and frame.rules and frame.rules_note:
        told += f" ({frame.rules_note})"
    style = Style.FOCUS if focus else Style.TITLE
    told = f"{fit(told, min(cells(told), width - 1))} "
    return (told, style), (_RULE * (width - cells(told)), Style.DIM)


def _no_head(_frame: Frame, _width: int) -> list[Line]:
    return []


PANELS: tuple[Panel, ...] = (
    Panel("1", "memory", "Memory", 5, machine.memory_head, machine.memory, ("memory",)),
    Panel("2", "zones", "Zones and watermarks", 4, _no_head, machine.zones, ("zones",)),
    Panel("3", "slab", "Slab movers", 4, _no_head, machine.slab, ("caches",)),
    Panel("4", "buddy", "Free blocks by order", 3, _no_head, machine.buddy, ("buddies",)),
    Panel("5", "stall", "Stall and reclaim", 4, _no_head, machine.stall, ("rates", "span_s")),
    Panel("6", "processes", "Processes", 5, _no_head, actors.processes, ("processes", "watched")),
    Panel("7", "cgroups", "Cgroups", 3, _no_head, actors.cgroups, ("cgroups",)),
    Panel("8", "rules", "Rules", 4, _no_head, actors.rules, ("rules", "rules_note")),
    Panel("9", "events", "Events", 4, _no_head, actors.events, ("happenings", "zero_ns", "wall_ns")),
)
BY_KEY = {panel.key: panel for panel in PANELS}
BY_NUMBER = {panel.number: panel for panel in PANELS}

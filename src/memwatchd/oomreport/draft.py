"""One event while its statements come in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memwatchd.oomreport.record import Record
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    MEMORY_INFO,
    OOM_KILL,
    AllocationSite,
    HugePages,
    Node,
    Quote,
    SlabCache,
    Task,
    Trigger,
    Victim,
    Zone,
)
from memwatchd.oomreport.statements import recognise as said
from memwatchd.oomreport.statements import slabs, tasks
from memwatchd.oomreport.statements.killed import Chosen
from memwatchd.oomreport.statements.memcg import Constraint, Statistics
from memwatchd.oomreport.statements.origin import Process
from memwatchd.oomreport.statements.requests import Asked
from memwatchd.oomreport.statements.zones import ZoneBlocks, ZoneFigures

_MOST_UNPARSED = 200
_MOST_FRAMES = 100
# Two messages of one report are seconds apart at most, even on a serial console; the clock does not go back.
_LONGEST_PAUSE_S = 120.0
_CLOCK_NOISE_S = 2.0


class Draft:
    """Collects what is said of one event.

    Attributes:
        kind: As it looks so far: a block of figures becomes a kill when a kill line follows.
        has_head: Whether it began with a line that begins an event.
        has_mem_info: Whether the line before the machine's figures is there.
        is_open: Whether more may come.
        touched: Which message of the log the last statement of it was.
    """

    def __init__(self, kind: str, record: Record, *, has_head: bool) -> None:
        self.kind = kind
        self.has_head = has_head
        self.has_mem_info = False
        self.is_open = True
        self.touched = 0
        self.first = record
        self.last_line = record.last
        self.seconds = record.seconds
        self.caller = record.caller
        self.manner: str | None = None
        self.trigger = Trigger()
        self.process: Process | None = None
        self.hardware: str | None = None
        self.trace: list[str] = []
        self.pages: dict[str, int] = {}
        self.figures: dict[str, int] = {}
        self.figure_lines: dict[str, int] = {}
        self.zones: dict[tuple[int | None, str], Zone] = {}
        self.last_zone: tuple[int | None, str] | None = None
        self.nodes: dict[int | None, Node] = {}
        self.hugepages: dict[tuple[int | None, int], HugePages] = {}
        self.slabs: dict[int, SlabCache] = {}
        self.allocations: dict[int, AllocationSite] = {}
        self.columns: tuple[str, ...] | None = None
        self.tasks: dict[tuple[int, int | None, str], Task] = {}
        self.memcg: dict[str, Any] = {}
        self.memcg_lines: dict[str, int] = {}
        self.statistics: dict[str, int] = {}
        self.constraint: Constraint | None = None
        self.chosen: Chosen | None = None
        self.victims: list[Victim] = []
        self.reaped: set[int] = set()
        self.is_cut = False
        self.remarks: list[Quote] = []
        self.unparsed: list[Quote] = []
        self.pending: list[Quote] = []
        self.texts: dict[int, str] = {}
        self.reader: said.Reader | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the line has come that ends such an event; others may still be killed with the first."""
        return bool(self.victims) or self.manner in ("panic_on_oom", "no_killable_process", "deadlocked")

    @property
    def is_past_head(self) -> bool:
        """Whether its trace is over: what looks like one from now on is of another message.

        But that of a panic says on which kernel it was, where the beginning is lost.
        """
        if self.process is None and not self.victims and self.is_finished:
            return False
        return bool(self.pages or self.zones or self.memcg or self.tasks or self.victims)

    @property
    def is_announced(self) -> bool:
        """Whether only that addresses ran out has been said, and not yet for whom."""
        return self.manner == "vmalloc" and self.trigger.comm is None and not self.is_past_head

    def is_of_host(self, host: str | None) -> bool:
        """Whether a record of that machine may be of this event; where a line names none, any may be it."""
        return host is None or self.first.host is None or host == self.first.host

    def is_near(self, record: Record) -> bool:
        """Whether a record may be of the same event by its time."""
        if self.seconds is None or record.seconds is None:
            return True
        return -_CLOCK_NOISE_S <= record.seconds - self.seconds <= _LONGEST_PAUSE_S

    def take(self, record: Record, statement: said.Statement) -> None:
        """Take a statement in."""
        kind = type(statement)
        _TAKERS[kind](self, record, statement)
        if kind not in _WITHIN_LISTS:
            find_reader = _READERS.get(kind)
            self.reader = find_reader(statement) if find_reader is not None else None
        self.texts[record.number] = record.text.strip()
        self.last_line = max(self.last_line, record.last)
        self.seconds = record.seconds if record.seconds is not None else self.seconds
        self.unparsed += self.pending[: _MOST_UNPARSED - len(self.unparsed)]
        self.pending.clear()

    def leave(self, record: Record) -> None:
        """Note a message that nobody could read; it counts when more of the event follows."""
        if not self.is_finished and len(self.pending) < _MOST_UNPARSED:
            self.pending.append(Quote(record.number, record.text.strip()))

    def fail(self, trigger: Trigger) -> None:
        """Become an allocation failure, if its head is lost: a slab says that it got no memory."""
        if self.kind == MEMORY_INFO:
            self.kind, self.trigger = ALLOCATION_FAILURE, trigger

    def adopt(self, process: Process) -> None:
        """Take the process from a line whose head is lost."""
        self.process = process
        self.trigger = replace(self.trigger, comm=process.comm, pid=process.pid)

    def _take_asked(self, record: Record, asked: Asked) -> None:
        self.trigger, self.manner = asked.trigger, asked.manner
        if asked.is_oom and asked.trigger.order == -1:
            self.manner = "sysrq"
        del record

    def _take_process(self, record: Record, process: Process) -> None:
        del record
        comm = self.trigger.comm
        if self.process is not None:
            return
        if comm is not None and not comm.endswith(process.comm):
            return
        # Whatever stood before the name in the first line was no part of it.
        self.adopt(process)

    def _take_placed(self, record: Record, placed: said.Placed) -> None:
        del record
        self.trigger = replace(self.trigger, cpuset=placed.cpuset, mems_allowed=placed.mems_allowed)

    def _take_frame(self, record: Record, frame: said.Frame) -> None:
        del record
        if len(self.trace) < _MOST_FRAMES:
            self.trace.extend(frame.names)

    def _take_hardware(self, record: Record, hardware: said.Hardware) -> None:
        del record
        self.hardware = self.hardware or hardware.name

    def _take_block(self, record: Record, block: said.Block) -> None:
        for name, pages in block.pages.items():
            self.pages.setdefault(name, pages)
            self.figure_lines.setdefault(name, record.number)

    def _take_figures(self, record: Record, figures: said.Figures) -> None:
        for name, value in figures.values.items():
            self.figures.setdefault(name, value)
            self.figure_lines.setdefault(name, record.number)

    def _take_node(self, record: Record, node: Node) -> None:
        self.nodes.setdefault(node.node, node)
        self.is_cut |= node.all_unreclaimable is None
        del record

    def _take_zone(self, record: Record, zone: ZoneFigures) -> None:
        key = self.last_zone = (zone.node, zone.name)
        known = self.zones.get(key, Zone(zone.node, zone.name))
        self.is_cut |= zone.is_cut
        if known.line is None:
            self.zones[key] = replace(
                known,
                amounts_kb=zone.amounts_kb,
                all_unreclaimable=zone.all_unreclaimable,
                line=record.number,
            )

    def _take_reserve(self, record: Record, reserve: said.Reserve) -> None:
        zone = self.zones.get(self.last_zone) if self.last_zone is not None else None
        if zone is not None and self.last_zone is not None:
            self.zones[self.last_zone] = replace(
                zone, lowmem_reserve_pages=reserve.pages, reserve_line=record.number
            )
        # A second one is that of a zone whose own line is lost.
        self.last_zone = None

    def _take_blocks(self, record: Record, blocks: ZoneBlocks) -> None:
        key = (blocks.node, blocks.name)
        self.is_cut |= blocks.is_cut
        zone = self.zones.get(key, Zone(blocks.node, blocks.name))
        if zone.blocks_line is None and (blocks.blocks or zone.line is not None):
            self.zones[key] = replace(
                zone,
                free_blocks=blocks.blocks,
                block_kb=blocks.block_kb,
                blocks_total_kb=blocks.total_kb,
                blocks_line=record.number,
            )

    def _take_hugepages(self, record: Record, pages: HugePages) -> None:
        del record
        self.hugepages.setdefault((pages.node, pages.size_kb), pages)

    def _take_slab(self, record: Record, cache: SlabCache) -> None:
        self.slabs.setdefault(record.number, cache)

    def _take_site(self, record: Record, site: AllocationSite) -> None:
        self.allocations.setdefault(record.number, site)

    def _take_header(self, record: Record, header: said.Header) -> None:
        del record
        self.columns = header.columns
        self._shows_tasks()

    def _take_task(self, record: Record, task: Task) -> None:
        del record
        self.tasks.setdefault((task.pid, task.tgid, task.comm), task)
        self._shows_tasks()

    def _take_usage(self, record: Record, usage: said.Usage) -> None:
        for name, value in usage.figures.items():
            self.memcg.setdefault(name, value)
            self.memcg_lines.setdefault(name, record.number)

    def _take_limit(self, record: Record, limit: said.Limit) -> None:
        self.memcg.setdefault("limit_of", limit.limit_of)
        self.memcg.setdefault("task_of", limit.task_of)
        self.memcg_lines.setdefault("limit_of", record.number)

    def _take_group(self, record: Record, group: said.Group) -> None:
        self.memcg.setdefault("group_kill", group.path)
        self.memcg_lines.setdefault("group_kill", record.number)

    def _take_statistics(self, record: Record, statistics: Statistics) -> None:
        if "statistics_of" not in self.memcg:
            self.memcg["statistics_of"] = statistics.path
            self.memcg_lines["statistics_of"] = record.number
        self._add(statistics.values, record.number)

    def _take_statistic(self, record: Record, statistic: said.Statistic) -> None:
        for name, value in statistic.values.items():
            self.statistics.setdefault(name, value)
            self.memcg_lines.setdefault(name, record.number)

    def _add(self, values: dict[str, int], line: int) -> None:
        """Sum up: kernels 3.9 to 5.2 print a line for each cgroup of the subtree, and none for all."""
        for name, value in values.items():
            self.statistics[name] = self.statistics.get(name, 0) + value
            self.memcg_lines.setdefault(name, line)

    def _take_constraint(self, record: Record, constraint: Constraint) -> None:
        if self.constraint is not None:
            return
        self.constraint = constraint
        self._becomes_a_kill()
        self.trigger = replace(
            self.trigger,
            nodemask=self.trigger.nodemask or constraint.nodemask,
            cpuset=self.trigger.cpuset or constraint.cpuset,
            mems_allowed=self.trigger.mems_allowed or constraint.mems_allowed,
        )
        if constraint.oom_memcg is not None:
            self.memcg.setdefault("limit_of", constraint.oom_memcg)
            self.memcg.setdefault("task_of", constraint.task_memcg)
        self.memcg_lines.setdefault("limit_of", record.number)

    def _take_chosen(self, record: Record, chosen: Chosen) -> None:
        del record
        self.chosen = self.chosen or chosen
        self._becomes_a_kill()

    def _take_victim(self, record: Record, victim: Victim) -> None:
        del record
        if self.victims and "group_kill" not in self.memcg:
            return  # the same line again
        if not self.victims:
            victim = self._completed(victim)
        self.victims.append(victim)
        self._becomes_a_kill()

    def _completed(self, victim: Victim) -> Victim:
        """Add what the lines before say of the first victim."""
        if self.chosen is not None:
            victim = replace(victim, score=self.chosen.score, scope=victim.scope or self.chosen.scope)
        if self.constraint is not None and self.constraint.pid == victim.pid:
            uid = self.constraint.uid if victim.uid is None else victim.uid
            victim = replace(victim, uid=uid, task_memcg=self.constraint.task_memcg)
        return victim

    def _take_remark(self, record: Record, remark: said.Remark) -> None:
        self.remarks.append(Quote(record.number, record.text.strip()))
        if remark.manner is not None and not self.victims:
            self.manner = remark.manner
            self._becomes_a_kill()

    def _take_mem_info(self, record: Record, statement: said.MemInfo) -> None:
        del record, statement
        self.has_mem_info = True

    def _take_nothing(self, record: Record, statement: said.Statement) -> None:
        """Take a line that only belongs to it."""

    def _shows_tasks(self) -> None:
        """Become a kill if the beginning is lost: the kernel prints tasks only then, vendors in any dump."""
        if not self.has_mem_info:
            self._becomes_a_kill()

    def _becomes_a_kill(self) -> None:
        if self.kind == MEMORY_INFO:
            self.kind, self.has_head = OOM_KILL, False


_TAKERS: dict[type, Callable[[Draft, Record, Any], None]] = {
    Asked: Draft._take_asked,
    Process: Draft._take_process,
    said.Placed: Draft._take_placed,
    said.Frame: Draft._take_frame,
    said.Hardware: Draft._take_hardware,
    said.Block: Draft._take_block,
    said.Figures: Draft._take_figures,
    Node: Draft._take_node,
    ZoneFigures: Draft._take_zone,
    said.Reserve: Draft._take_reserve,
    ZoneBlocks: Draft._take_blocks,
    HugePages: Draft._take_hugepages,
    SlabCache: Draft._take_slab,
    AllocationSite: Draft._take_site,
    said.Header: Draft._take_header,
    Task: Draft._take_task,
    said.Usage: Draft._take_usage,
    said.Limit: Draft._take_limit,
    said.Group: Draft._take_group,
    Statistics: Draft._take_statistics,
    said.Statistic: Draft._take_statistic,
    Constraint: Draft._take_constraint,
    Chosen: Draft._take_chosen,
    Victim: Draft._take_victim,
    said.Remark: Draft._take_remark,
    said.MemInfo: Draft._take_mem_info,
    said.Head: Draft._take_nothing,
    said.Noise: Draft._take_nothing,
}
# What may stand between the rows of a list without ending it.
_WITHIN_LISTS = (said.Noise, said.Statistic, SlabCache, AllocationSite, Task, said.Remark)


def _rows_of(header: said.Header) -> said.Reader:
    return lambda text, line: tasks.parse_row(text, header.columns, line)


def _list_of(head: said.Head) -> said.Reader:
    return slabs.parse_cache if head.of == "slabs" else slabs.parse_site


def _statistics_of(statistics: Statistics) -> said.Reader:
    del statistics
    return said.read_statistic


_READERS: dict[type, Callable[[Any], said.Reader]] = {
    said.Header: _rows_of,
    said.Head: _list_of,
    Statistics: _statistics_of,
}

"""From records to events: which statement is of which event.

Events follow each other, but not always in good order: processors print at the same time, heads are left out
because they are rate-limited (the line *Killed process* never is), logs of several machines run together,
lines are lost. So a statement goes to the event that is under way on its machine, by the same caller where
printk says who that is, unless that event has said the same thing otherwise, or it was too long ago; then it
begins another.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from memwatchd.oomreport.building import build
from memwatchd.oomreport.conflicts import is_of_another
from memwatchd.oomreport.draft import Draft
from memwatchd.oomreport.record import Record
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    MEMORY_INFO,
    OOM_KILL,
    USERSPACE_KILL,
    Event,
    Node,
    Quote,
    Task,
    Victim,
)
from memwatchd.oomreport.statements import recognise as said
from memwatchd.oomreport.statements.killed import Chosen
from memwatchd.oomreport.statements.memcg import Constraint, Statistics
from memwatchd.oomreport.statements.origin import Process
from memwatchd.oomreport.statements.requests import Asked
from memwatchd.oomreport.statements.userspace import (
    UserspaceKill,
    is_because,
    parse_nohang_choice,
    parse_userspace,
)
from memwatchd.oomreport.statements.zones import ZoneBlocks, ZoneFigures

# Programs that pass the kernel's messages on under their own name.
_KERNEL_PROGRAMS = frozenset(("kernel", "klogd", "vmunix", "dmesg", "unknown", "kmsg"))
# The oom_reaper speaks after the next event has begun, so some are kept back.
_KEPT_BACK = 8
# Of an event without an end, after so many messages that are not of it, nothing more is expected.
_LONGEST_SILENCE = 400
# How far back a process line may be whose first line is lost, and a balloon driver's message.
_CONTEXT_LINES = 100
# slab_out_of_memory() speaks right after the figures of the allocation that failed.
_SOON = 3
_MOST_CONTEXT = 8
# What can begin an event whose head is lost.
_KILLS = (Constraint, Chosen, Victim, said.Usage, said.Limit, Statistics)
_FIGURES = (said.MemInfo, said.Block, ZoneFigures, Node, ZoneBlocks, said.Header, Task)
# What stands in front of all figures, in an event as in any other trace.
_HEADS = (Process, said.Frame, said.Hardware, said.Placed, said.Noise)


class Assembler:
    """Puts the statements of a log together.

    Attributes:
        is_busy: Whether an event is under way, so that the next messages matter.
    """

    def __init__(self) -> None:
        self._events: deque[Draft | Event] = deque()
        self._processes: dict[str | None, tuple[int, Process]] = {}
        self._context: deque[Quote] = deque(maxlen=_MOST_CONTEXT)
        self._messages = 0
        self._choice: Victim | None = None

    @property
    def is_busy(self) -> bool:
        """Whether more of an event may come."""
        # A loop, for this is asked after every message; the newest is the likeliest.
        for each in reversed(self._events):
            if isinstance(each, Draft) and each.is_open and not each.is_finished and self._is_awaited(each):
                return True
        return False

    def feed(self, record: Record) -> Iterator[Event]:
        """Take in a record; gives the events that are over."""
        self._messages += 1
        if record.program is None or record.program in _KERNEL_PROGRAMS:
            self._feed_kernel(record)
        else:
            self._feed_program(record)
        while len(self._events) > _KEPT_BACK:
            yield _built(self._events.popleft())

    def close(self) -> Iterator[Event]:
        """Give the events that are left, as they are."""
        while self._events:
            yield _built(self._events.popleft())

    def _feed_program(self, record: Record) -> None:
        kill = parse_userspace(record.text, record.program, record.number)
        if kill is not None:
            if kill.killer == "nohang":
                kill, self._choice = _with_choice(kill, self._choice), None
            self._events.append(_event_of(kill, record))
        elif record.program is not None and record.program.startswith("nohang"):
            self._choice = parse_nohang_choice(record.text, record.number) or self._choice
        elif self._events and is_because(record.text.strip()):
            self._go_on(self._events[-1], record)

    def _go_on(self, event: Draft | Event, record: Record) -> None:
        """Take a further line of what the kernel's lowmemorykiller says."""
        if isinstance(event, Draft) or event.killer != "lowmemorykiller":
            return
        self._events[-1] = replace(
            event,
            reason=f"{event.reason or ''} {record.text.strip()}".lstrip(),
            last_line=record.last,
            texts={**event.texts, record.number: record.text.strip()},
        )

    def _feed_kernel(self, record: Record) -> None:
        draft = self._under_way(record)
        statement = said.recognise(record.text, record.number, draft.reader if draft else None)
        if statement is None:
            self._not_understood(record, draft)
        elif isinstance(statement, Asked):
            self._begin(record, statement, draft)
        elif isinstance(statement, said.Reaped):
            self._reaped(record, statement.pid)
        elif draft is not None and not is_of_another(draft, statement):
            if not draft.is_past_head or not isinstance(statement, _HEADS):
                self._take(draft, record, statement)
        else:
            self._begin_headless(record, statement)

    def _not_understood(self, record: Record, draft: Draft | None) -> None:
        if "alloon" in record.text:
            self._context.append(Quote(record.number, record.text.strip()))
        if draft is not None:
            draft.leave(record)
        self._feed_program(record)

    def _under_way(self, record: Record) -> Draft | None:
        """The event that a record is of, as far as machine, caller and time tell."""
        newest: Draft | None = None
        for draft in reversed(self._events):
            if not isinstance(draft, Draft) or not draft.is_open or not draft.is_of_host(record.host):
                continue
            if not self._is_awaited(draft) or not draft.is_near(record):
                draft.is_open = False
                continue
            if record.caller is not None and draft.caller == record.caller:
                return draft
            newest = newest or draft
        if newest is not None and record.caller and newest.caller and record.caller != newest.caller:
            return None
        return newest

    def _begin(self, record: Record, asked: Asked, draft: Draft | None) -> None:
        if draft is not None and not draft.is_finished and self._belongs(record, asked, draft):
            return
        if draft is not None and (draft.caller is None or draft.caller == record.caller):
            draft.is_open = False
        kind = OOM_KILL if asked.is_oom else ALLOCATION_FAILURE
        self._start(Draft(kind, record, has_head=True), record, asked)

    def _belongs(self, record: Record, asked: Asked, draft: Draft) -> bool:
        """Whether a first line is of the event under way; it is taken in then."""
        if _is_repeated(draft, asked):
            return True
        if asked.manner == "slub" and self._had_failed(draft):
            draft.fail(asked.trigger)
            self._take(draft, record, said.Remark(None))
            return True
        if draft.is_announced and not asked.is_oom:
            self._take(draft, record, replace(asked, manner=draft.manner))
            return True
        return False

    def _had_failed(self, draft: Draft) -> bool:
        """Whether the allocation of a slab, which has just failed, is the event under way."""
        if draft.kind == MEMORY_INFO:
            return not draft.has_head and self._messages - draft.touched <= _SOON
        return draft.kind == ALLOCATION_FAILURE and draft.manner != "slub"

    def _begin_headless(self, record: Record, statement: said.Statement) -> None:
        if isinstance(statement, Process):
            self._processes[record.host] = (record.number, statement)
            return
        is_panic = isinstance(statement, said.Remark) and statement.manner is not None
        if not is_panic and not isinstance(statement, _KILLS + _FIGURES):
            return
        kind = MEMORY_INFO if isinstance(statement, _FIGURES) else OOM_KILL
        draft = Draft(kind, record, has_head=False)
        if kind == MEMORY_INFO and record.host in self._processes:
            line, process = self._processes.pop(record.host)
            if record.number - line <= _CONTEXT_LINES:
                draft.adopt(process)
        self._start(draft, record, statement)

    def _start(self, draft: Draft, record: Record, statement: said.Statement) -> None:
        while self._context:
            quote = self._context.popleft()
            if record.number - quote.line <= _CONTEXT_LINES:
                draft.remarks.append(quote)
                draft.texts[quote.line] = quote.text
        self._take(draft, record, statement)
        self._events.append(draft)

    def _take(self, draft: Draft, record: Record, statement: said.Statement) -> None:
        draft.take(record, statement)
        draft.touched = self._messages

    def _is_awaited(self, draft: Draft) -> bool:
        """Whether more of an event may come: not after very many messages that were not of it."""
        return self._messages - draft.touched <= _LONGEST_SILENCE

    def _reaped(self, record: Record, pid: int) -> None:
        for draft in reversed(self._events):
            if not isinstance(draft, Draft) or not draft.is_of_host(record.host):
                continue
            if any(victim.pid == pid for victim in draft.victims):
                draft.reaped.add(pid)
                draft.texts[record.number] = record.text.strip()
                draft.last_line = max(draft.last_line, record.last)
                return


def _is_repeated(draft: Draft, asked: Asked) -> bool:
    """Whether it is the first line once more, as in a paste that overlaps itself, or less of it."""
    if draft.pages or draft.memcg or asked.is_oom != (draft.kind == OOM_KILL):
        return False
    known = replace(draft.trigger, line=None, pid=None)
    again = replace(asked.trigger, line=None, pid=None)
    if again.comm is not None and again.order is None and again.gfp_mask is not None:
        return (again.comm, again.gfp_mask) == (known.comm, known.gfp_mask)
    return again == known


def _with_choice(kill: UserspaceKill, choice: Victim | None) -> UserspaceKill:
    """Add whom nohang had chosen, where its line of the kill does not name another."""
    if choice is None or kill.victim.pid is not None or kill.victim.comm not in (None, choice.comm):
        return kill
    return replace(kill, victim=replace(choice, line=kill.victim.line))


def _built(each: Draft | Event) -> Event:
    return build(each) if isinstance(each, Draft) else each


def _event_of(kill: UserspaceKill, record: Record) -> Event:
    return Event(
        kind=USERSPACE_KILL,
        killer=kill.killer,
        reason=kill.reason,
        complete=True,
        first_line=record.number,
        last_line=record.last,
        host=record.host,
        seconds=record.seconds,
        time=record.time,
        victims=(kill.victim,),
        texts={record.number: record.text.strip()},
    )

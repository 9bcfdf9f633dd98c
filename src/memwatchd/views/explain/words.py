"""What all views of an explained event say in the same words: facts, what is missing, rows of the table."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    GLOBAL,
    MEMCG,
    MEMORY_INFO,
    MEMPOLICY,
    OOM_KILL,
    RECORDED,
    USERSPACE_KILL,
    Event,
    Memcg,
    Trigger,
    Victim,
    is_unlimited,
)
from memwatchd.units import format_bytes

_KILLS_SHOWN = 4
_FLAGS_SHOWN = 6
# Parts of memory that are left out when they are smaller.
_SMALL_SHARE = 0.01
_SYSRQ_ORDER = -1
_MAX_ORDER = 32
# A date and a time; in a table what follows, parts of seconds and the zone, takes too much room.
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_SENTENCE_END = re.compile(r"\. (?=[A-Z\d])")
_SPAN = re.compile(r"`([^`]+)`")
# The three kinds of advice, as headings.
ADVICE = (
    ("What to do now", "now"),
    ("So that it does not come back", "change"),
    ("How to see that it worked", "check"),
)

_MISSING = {
    "head": "the beginning: who asked for memory, and for what",
    "memory_info": "the figures of the machine's memory",
    "zones": "the figures of the zones",
    "totals": "the lines at the end: swap, and how much RAM there is",
    "kill": "the line that says who was killed",
    "cut lines": "the ends of some lines",
    "samples": "the last samples before the moment that the recording was kept for",
}
_MANNERS = {
    "sysrq": "somebody asked for it (SysRq-f)",
    "panic_on_oom": "the kernel panicked, as vm.panic_on_oom has it",
    "no_killable_process": "there was no process left to kill",
    "deadlocked": "the kernel panicked: there was nobody left to kill",
    "stall": "the allocation took very long",
    "slub": "a slab cache could not grow",
    "vmalloc": "vmalloc could not get its pages",
}
_LIMITS = {
    GLOBAL: "the machine was out of memory",
    MEMCG: "a cgroup was at its limit",
    CPUSET: "the nodes of a cpuset were out of memory",
    MEMPOLICY: "the nodes of a memory policy were out of memory",
}
_KINDS = {
    OOM_KILL: "OOM kill",
    ALLOCATION_FAILURE: "request failed",
    MEMORY_INFO: "memory shown",
    USERSPACE_KILL: "kill",
    RECORDED: "recording",
}
# What a recording was kept for, see `memwatchd.incidents.recorder`.
_RECORDINGS = {
    "machine_died": "machine died",
    "recorder_died": "recorder died",
    "rule_fired": "rule fired",
    "requested": "asked for",
    "kernel_kill": "kill, no report",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An event in one line of a table."""

    number: str
    time: str
    kind: str
    cause: str
    victim: str


def row(number: int, diagnosis: Diagnosis) -> Row:
    """Put an event into one line."""
    event = diagnosis.case.event
    moment = _ISO.match(when(event))
    time = moment[0] if moment else when(event)
    return Row(str(number), time, kind(event), diagnosis.verdict.tag, _victims(event))


def kind(event: Event) -> str:
    """Say what sort of event it is: ``OOM kill in a cgroup``, ``kill by earlyoom``."""
    words = _KINDS.get(event.kind, event.kind)
    if event.kind == USERSPACE_KILL:
        return f"{words} by {event.killer}" if event.killer else words
    if event.kind == RECORDED:
        return _RECORDINGS.get(event.manner or "", words)
    if event.kind == OOM_KILL and event.scope in (MEMCG, CPUSET, MEMPOLICY):
        return f"{words}, {event.scope}"
    return words


def when(event: Event) -> str:
    """Say when it was, as well as the log does."""
    if event.time is not None:
        return event.time
    if event.seconds is not None:
        return f"{event.seconds:.3f} s after start"
    return f"line {event.first_line}"


def where(event: Event) -> str:
    """Say of which lines the event is."""
    if event.kind == RECORDED:
        return "as recorded"
    if event.last_line > event.first_line:
        return f"lines {event.first_line} to {event.last_line}"
    return f"line {event.first_line}"


def facts(case: Case) -> Iterator[tuple[str, str]]:
    """Give the figures that matter, each with its label, most telling first."""
    event = case.event
    yield from _killed(event)
    yield "why", _reason(event)
    if event.memcg is not None:
        yield from _memcg(event.memcg)
    yield from _asked(event.trigger, case)
    yield from _memory(case)
    yield from _swap(case)
    yield "when", _moment(event)


def limits(diagnosis: Diagnosis) -> Iterator[str]:
    """Say what of the event could not be read, and what that means for the verdict; nothing if all was."""
    event, verdict = diagnosis.case.event, diagnosis.verdict
    if event.missing:
        yield f"Missing: {'; '.join(_MISSING.get(each, each) for each in event.missing)}."
    if event.unparsed:
        count = len(event.unparsed)
        yield f"{count} {'line' if count == 1 else 'lines'} could not be read."
    if event.missing or event.unparsed:
        yield f"The verdict, {sure(verdict)}, allows for that."


def listed(parts: Sequence[str]) -> str:
    """Write a list as in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def headline(summary: str) -> tuple[str, str]:
    """Cut a summary into its first sentence and the rest."""
    end = _SENTENCE_END.search(summary)
    return (summary, "") if end is None else (summary[: end.start() + 1], summary[end.end() :])


def sure(finding: Finding) -> str:
    """Write how sure a finding is: ``90 % sure``."""
    return f"{finding.confidence:.0%} sure".replace("%", " %")


def size(amount_kb: float) -> str:
    """Write an amount of kB: ``3.91 MiB``."""
    return format_bytes(amount_kb * 1024)


def process(comm: str | None, pid: int | None) -> str:
    """Name a process: ``java (pid 4711)``."""
    name = "a process without a name" if comm is None else comm or "''"
    return name if pid is None else f"{name} (pid {pid})"


def _victims(event: Event) -> str:
    if event.kind == RECORDED:
        return "–"
    if not event.victims:
        return "?" if "kill" in event.missing else "nobody"
    first, more = event.victims[0], len(event.victims) - 1
    pid = "" if first.pid is None else f"{first.pid} "
    return f"{pid}{first.comm or '?'}" + (f" +{more}" if more else "")


def _killed(event: Event) -> Iterator[tuple[str, str]]:
    for victim in event.victims[:_KILLS_SHOWN]:
        yield "killed", _victim(victim)
    more = len(event.victims) - _KILLS_SHOWN
    if more > 0:
        yield "killed", f"… and {more} more"
    if not event.victims and event.kind in (OOM_KILL, USERSPACE_KILL):
        yield "killed", "the log does not say whom" if "kill" in event.missing else "nobody"


def _victim(victim: Victim) -> str:
    amounts = [
        f"{size(amount_kb)} {name}"
        for name, amount_kb in (
            ("resident", victim.rss_kb),
            ("anonymous", victim.anon_rss_kb),
            ("of files", victim.file_rss_kb),
            ("shared", victim.shmem_rss_kb),
            ("of page tables", victim.pgtables_kb),
        )
        if amount_kb
    ]
    if victim.anon_rss_kb == 0 and not amounts:
        amounts = ["nothing resident"]
    details = [listed(amounts)] if amounts else []
    details += [f"uid {victim.uid}"] if victim.uid is not None else []
    details += [f"oom_score_adj {victim.oom_score_adj}"] if victim.oom_score_adj is not None else []
    details += ["memory taken back"] if victim.reaped else []
    return ", ".join([process(victim.comm, victim.pid), *details])


def _reason(event: Event) -> str:
    if event.kind == USERSPACE_KILL:
        killer = event.killer or "a program"
        return f"{killer}: {event.reason}" if event.reason else f"{killer} decided so"
    if event.kind == RECORDED:
        return event.reason or "it was recorded, and nobody knows why"
    if event.manner is not None:
        return _MANNERS.get(event.manner, event.manner)
    if event.kind == ALLOCATION_FAILURE:
        return "a request for memory failed; nobody was killed for it"
    if event.kind == MEMORY_INFO:
        return "the kernel printed its figures; nobody was killed for it"
    if event.memcg is not None and event.memcg.limit_of is not None:
        return f"cgroup {event.memcg.limit_of} was at its limit"
    return _LIMITS.get(event.scope or "", "the log does not say whose memory was short")


def _memcg(memcg: Memcg) -> Iterator[tuple[str, str]]:
    parts = [
        _used("memory", memcg.usage_kb, memcg.limit_kb),
        _used("swap", memcg.swap_usage_kb, memcg.swap_limit_kb),
        _used("memory and swap", memcg.memsw_usage_kb, memcg.memsw_limit_kb),
        _used("kernel memory", memcg.kmem_usage_kb, memcg.kmem_limit_kb),
    ]
    known = [part for part in parts if part]
    if known:
        failed = f", {memcg.failcnt:,} times at it" if memcg.failcnt else ""
        yield "cgroup", "; ".join([known[0] + failed, *known[1:]])
    if memcg.task_of is not None and memcg.task_of != memcg.limit_of:
        yield "victim in", memcg.task_of


def _used(what: str, usage_kb: int | None, limit_kb: int | None) -> str:
    if usage_kb is None:
        return ""
    if is_unlimited(limit_kb):
        return f"{what} {size(usage_kb)}, no limit" if usage_kb else ""
    return f"{what} {size(usage_kb)}" + ("" if limit_kb is None else f" of {size(limit_kb)}")


def _asked(trigger: Trigger, case: Case) -> Iterator[tuple[str, str]]:
    if trigger.order == _SYSRQ_ORDER or (trigger.comm is None and trigger.order is None):
        return
    words = [process(trigger.comm, trigger.pid)]
    if trigger.order is not None and 0 <= trigger.order < _MAX_ORDER:
        words.append(f"for {size(case.page_kb << trigger.order)} (order {trigger.order})")
    if trigger.gfp_flags:
        more = len(trigger.gfp_flags) - _FLAGS_SHOWN
        flags = "|".join(trigger.gfp_flags[:_FLAGS_SHOWN]) + (f"|… {more} more" if more > 0 else "")
        words.append(f"with {flags}")
    elif trigger.gfp_mask is not None:
        words.append(f"with gfp_mask {trigger.gfp_mask:#x}")
    yield "asked", " ".join(words)


def _memory(case: Case) -> Iterator[tuple[str, str]]:
    parts = (
        ("anonymous", case.anon_kb),
        ("page cache", case.file_kb),
        ("shared and tmpfs", case.pages_kb("shmem")),
        ("slab", case.slab_kb),
        ("page tables", case.page_tables_kb),
        ("kernel stacks", case.amount_kb("kernel_stack")),
        ("huge pages", case.hugetlb_kb),
        ("in no counter", case.unaccounted_kb),
    )
    free_kb, available_kb = case.pages_kb("free"), case.event.totals.available_kb
    shown = [] if free_kb is None else [f"{size(free_kb)} free"]
    shown += [] if available_kb is None else [f"{size(available_kb)} available"]
    large = [(name, kb) for name, kb in parts if kb and (case.share(kb) or 1) >= _SMALL_SHARE]
    shown += [f"{size(kb)} {name}" for name, kb in sorted(large, key=lambda part: -part[1])]
    if shown:
        total = "" if case.ram_kb is None else f"{size(case.ram_kb)}: "
        yield "memory", total + ", ".join(shown)


def _swap(case: Case) -> Iterator[tuple[str, str]]:
    totals = case.event.totals
    if totals.swap_total_kb == 0:
        yield "swap", "none"
    elif totals.swap_total_kb is not None and totals.swap_free_kb is not None:
        yield "swap", f"{size(totals.swap_total_kb)}, of which {size(totals.swap_free_kb)} are free"


def _moment(event: Event) -> str:
    parts = [when(event)] if event.time is not None or event.seconds is not None else []
    if event.host is not None:
        parts.append(f"on {event.host}")
    if event.kernel is not None:
        parts.append(f"kernel {event.kernel}")
    parts.append(where(event))
    return ", ".join(parts)


def advice_of(findings: Sequence[Finding]) -> Advice:
    """Put the advice of several findings together, each sentence once, the verdict's first."""
    return Advice(
        now=tuple(dict.fromkeys(sentence for each in findings for sentence in each.advice.now)),
        change=tuple(dict.fromkeys(sentence for each in findings for sentence in each.advice.change)),
        check=tuple(dict.fromkeys(sentence for each in findings for sentence in each.advice.check)),
    )


def commands_of(sentence: str) -> tuple[str, list[str]]:
    """Take the commands out of a sentence of advice: what stands in backquotes and has arguments.

    Returns:
        The sentence, without the command it ends with, backquotes as they are; the commands, to be copied.
    """
    spans = _SPAN.findall(sentence)
    commands = [each for each in spans if " " in each.strip()]
    text = sentence.rstrip().removesuffix(".")
    if not commands or not text.endswith(f"`{commands[-1]}`"):
        return sentence, commands
    text = text[: -len(commands[-1]) - 2].rstrip(" :")
    return (f"{text}:" if text else ""), commands

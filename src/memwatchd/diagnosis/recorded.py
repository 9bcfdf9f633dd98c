"""What is said of a recording before its cause: how memory stood, and what memwatchd did about it.

A recording is explained by its figures alone where the kernel has printed no report: the machine went down,
or a rule fired in time. Where memory was not short, that is all there is to say.
"""

from collections.abc import Iterator
from dataclasses import replace

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.history import RuleAction
from memwatchd.diagnosis.plight import Plight, available_of, plight_of, seconds_left
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import gates
from memwatchd.diagnosis.wording import listed
from memwatchd.units import format_bytes, printable

TAG = "unknown"

# What a recording is kept for, see `memwatchd.incidents.recorder`.
MACHINE_DIED = "machine_died"
RECORDER_DIED = "recorder_died"
RULE_FIRED = "rule_fired"
KERNEL_KILL = "kernel_kill"

WEIGHT = 0.99
_CONFIDENCE = 0.9
# That nothing which is counted took it is sure; what did is not known.
_WEIGHT_SHORT = 0.05
_CONFIDENCE_SHORT = 0.5
_NAMED = 3
# Telling somebody changes nothing.
_TELLING = ("dump", "log", "notify")


def introduce(case: Case, verdict: Finding) -> Finding:
    """Put how things stood before the cause."""
    return replace(verdict, summary=f"{_situation(case)}{_deeds(case)} {verdict.summary}")


def without_cause(case: Case) -> Finding:
    """Say that memory was not short, or that nothing counted made it so."""
    plight = plight_of(case)
    if plight in (Plight.SHORT, Plight.RUNNING_OUT):
        return _finding(
            case, "But nothing that is counted took most of it.", _WEIGHT_SHORT, _CONFIDENCE_SHORT
        )
    if plight is None:
        return _finding(case, "The recording does not tell what was.", _WEIGHT_SHORT, _CONFIDENCE_SHORT)
    return _finding(case, _elsewhere(case), WEIGHT, _CONFIDENCE)


def _finding(case: Case, words: str, weight: float, confidence: float) -> Finding:
    best = sorted(gates(case), key=lambda each: -each.plainly_kb)
    available_kb, left_s = available_of(case), seconds_left(case)
    return Finding(
        TAG,
        confidence=confidence,
        weight=weight,
        summary=words,
        evidence=case.quotes(
            *case.total_lines("available_kb", "free"), *(each.zone.line for each in best[:2])
        ),
        advice=Advice(),
        figures={
            "available_kb": available_kb,
            "free_kb": case.pages_kb("free"),
            "ram_kb": case.ram_kb,
            "seconds_left": None if left_s is None else round(left_s, 1),
        },
    )


# -- how things stood --------------------------------------------------------------------------------------


def _situation(case: Case) -> str:
    plight = plight_of(case)
    if plight is None:
        return f"How much memory was left {_when(case)} was not recorded."
    left_s = seconds_left(case)
    fall = case.history.available_bytes_per_s if case.history is not None else None
    trend = ""
    if plight is Plight.RUNNING_OUT and left_s is not None and fall is not None:
        trend = f", {format_bytes(-fall)} less every second, which lasts for {left_s:.1f} s"
    return f"Memory was {plight} {_when(case)}{_ending(case)}: {_left(case)}{trend}."


def _when(case: Case) -> str:
    manner = case.event.manner
    if manner in (MACHINE_DIED, RECORDER_DIED):
        return "when the recording ends"
    rule = _rule(case)
    if manner == RULE_FIRED and rule:
        return f"when rule {printable(rule)} fired"
    return "when a kill was counted" if manner == KERNEL_KILL else "when this was recorded"


def _ending(case: Case) -> str:
    return ", before the machine went down" if case.event.manner == MACHINE_DIED else ""


def _left(case: Case) -> str:
    available_kb, ram_kb, free_kb = available_of(case), case.ram_kb, case.pages_kb("free")
    if available_kb is None or not ram_kb:
        return "nothing tells how much was left"
    free = "" if free_kb is None else f", {size(free_kb)} of it free"
    return f"{size(available_kb)} of {size(ram_kb)} ({percent(available_kb / ram_kb)}) were available{free}"


def _elsewhere(case: Case) -> str:
    """What may have been instead; nothing that nobody has seen."""
    match case.event.manner:
        case "machine_died":
            return (
                "The machine went down for another reason, such as power, a reset or a fault of the kernel,"
                " or memory ran out after the last sample that was written."
            )
        case "recorder_died":
            return "The recorder was ended for another reason than want of memory."
        case "rule_fired":
            return "The rule asked for something else than that, or fired early enough."
        case "kernel_kill":
            return (
                "What the kernel killed for is not in its log: it was the limit of a cgroup, or memory was"
                " free again by then."
            )
    return "There is no cause to be named."


# -- what was done -----------------------------------------------------------------------------------------


def _rule(case: Case) -> str | None:
    """The rule that had it written: ``rule slab-leak: meminfo.MemAvailable 41 MiB``."""
    word, _, rest = (case.event.reason or "").partition(" ")
    name, colon, _ = rest.partition(": ")
    return name if word == "rule" and colon else None


def _deeds(case: Case) -> str:
    """Say what the rule that fired did, and what came of it; of a machine that died, what was tried last."""
    if case.history is None or case.event.manner not in (RULE_FIRED, MACHINE_DIED):
        return ""
    rule = _rule(case)
    done = [
        each
        for each in (*case.history.actions, *case.history.after)
        if each.action not in _TELLING and (rule is None or (each.rule == rule and each.at_s >= 0))
    ]
    if not done:
        return " memwatchd did nothing but tell." if case.event.manner == RULE_FIRED else ""
    return f" memwatchd's answer was {listed(list(_told(done[-_NAMED:], name_rule=rule is None)))}."


def _told(done: list[RuleAction], *, name_rule: bool) -> Iterator[str]:
    for each in done:
        whose = f" of rule {printable(each.rule)}" if name_rule else ""
        came = printable(each.verdict or "still under way")
        detail = f": {printable(each.detail)}" if each.detail else ""
        yield f"{printable(each.action)}{whose} ({came}{detail})"

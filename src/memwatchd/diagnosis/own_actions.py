"""What memwatchd's own rules did before the event, whether it helped, and whether they brought it about."""

from collections.abc import Sequence

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.history import RuleAction
from memwatchd.diagnosis.wording import listed
from memwatchd.oomreport.report import MEMCG
from memwatchd.units import printable

TAG = "own_actions"

_HELPED = "helped"
_NAMED = 3
_CONFIDENCE = 0.95
# The kernel does what SysRq asks for at once, in a worker of its own.
_SYSRQ_S = 5.0


def examine(case: Case) -> Finding | None:
    """Say what was done; None without a recording, or where nothing was."""
    actions = (*case.history.actions, *case.history.after) if case.history is not None else ()
    if not actions:
        return None
    cause, helped = cause_of(case), sum(each.verdict == _HELPED for each in actions)
    return Finding(
        tag=TAG,
        confidence=_CONFIDENCE,
        weight=0.0,
        summary=f"{_caused(cause)}{_counted(case, actions, helped)}: {_told(actions)}.",
        figures={
            "actions": len(actions),
            "helped": helped,
            "last_action": actions[-1].action,
            "last_rule": actions[-1].rule,
            "last_verdict": actions[-1].verdict,
            "last_s": round(actions[-1].at_s, 3),
            "caused_by_rule": cause.rule if cause else None,
        },
    )


def cause_of(case: Case) -> RuleAction | None:
    """The action of ours that brought the event about: SysRq-f, or a limit set to that very cgroup."""
    event = case.event
    for each in reversed(case.history.actions if case.history is not None else ()):
        if not each.holds:
            continue
        if each.action == "sysrq" and event.manner == "sysrq" and each.at_s >= -_SYSRQ_S:
            return each
        limit_of = event.memcg.limit_of if event.memcg else None
        if (
            each.action == "limit"
            and event.scope == MEMCG
            and limit_of
            and f" of {limit_of} is " in each.detail
        ):
            return each
    return None


def _caused(cause: RuleAction | None) -> str:
    if cause is None:
        return ""
    return f"memwatchd itself brought it about, by {cause.action} of rule {printable(cause.rule)}. "


def _counted(case: Case, actions: Sequence[RuleAction], helped: int) -> str:
    when = "around it" if case.history is not None and case.history.after else "before"
    if len(actions) == 1:
        return f"Rules of memwatchd asked for one action {when}"
    return f"Rules of memwatchd asked for {len(actions)} actions {when}, of which {helped or 'none'} helped"


def _told(actions: Sequence[RuleAction]) -> str:
    """The last ones, oldest first."""
    said = [
        f"{printable(each.action)} of rule {printable(each.rule)} {_seconds(each.at_s)} "
        f"({printable(each.verdict or 'still under way')}{_undone(each)})"
        for each in actions[-_NAMED:]
    ]
    return ("… " if len(actions) > _NAMED else "") + listed(said)


def _undone(action: RuleAction) -> str:
    return "" if action.undone_s is None else f", put back {_seconds(action.undone_s)}"


def _seconds(at_s: float) -> str:
    return f"{-at_s:.1f} s before" if at_s <= 0 else f"{at_s:.1f} s after"

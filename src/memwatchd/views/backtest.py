"""What rules would have done during an incident: the same engine over the recorded samples."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memwatchd.config.rules import Rule
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident
from memwatchd.ring.stream import Moment, events
from memwatchd.rules.backtest import RulePast, run_over
from memwatchd.rules.book import Rulebook
from memwatchd.views.text import columns

_PAGE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration tried on one incident.

    Attributes:
        kills_ns: When the kernel killed, on the incident's monotonic clock, oldest first.
        pasts: What each rule would have done, beside the rule.
    """

    incident: Incident
    kills_ns: tuple[int, ...]
    pasts: tuple[tuple[Rule, RulePast], ...]
    recorded_s: float

    @property
    def lead_ns(self) -> int | None:
        """How long before the first kill the first acting rule would have fired; None for not at all."""
        if not self.kills_ns:
            return None
        leads = [past.lead_ns(self.kills_ns[0]) for rule, past in self.pasts if rule.severity == "act"]
        return max((lead for lead in leads if lead is not None), default=None)

    @property
    def missed(self) -> bool:
        """The kernel killed, and no acting rule would have fired before."""
        return bool(self.kills_ns) and self.lead_ns is None


def try_rules(incident: Incident, rules: tuple[Rule, ...], book: Rulebook) -> Trial:
    """Run rules over an incident.

    Args:
        incident: The past.
        rules: Those that are switched on.
        book: The same rules, as the engine takes them.
    """
    kills_ns = tuple(sorted(_kills_ns(incident)))
    page_size = incident.facts["host"].get("page_size") or _PAGE_SIZE
    clock: list[int] = []
    pasts = run_over(book, _clocked(incident.moments(), clock), kills_ns, page_size)
    recorded_s = (clock[-1] - clock[0]) / 1e9 if clock else 0.0
    return Trial(incident, kills_ns, tuple(zip(rules, pasts, strict=True)), recorded_s)


def to_json(trial: Trial) -> dict[str, Any]:
    """The trial as plain values, described in docs/json.md."""
    return {
        "incident": str(trial.incident.path),
        "recorded_s": round(trial.recorded_s, 3),
        "kills_at_s": [_at_s(trial, kill_ns) for kill_ns in trial.kills_ns],
        "lead_s": _seconds(trial.lead_ns),
        "missed": trial.missed,
        "rules": [_rule_json(trial, rule, past) for rule, past in trial.pasts],
    }


def render(trial: Trial) -> Iterator[str]:
    """Write the trial as lines of text."""
    kills = ", ".join(f"{_at_s(trial, kill_ns):+.3f} s" for kill_ns in trial.kills_ns) or "none"
    yield f"{trial.incident.path.name}   {trial.recorded_s:.1f} s recorded   kernel kills: {kills}"
    rows: list[tuple[str, ...]] = [("rule", "first", "before the kill", "fired", "flaps", "would have done")]
    rows += [_row(trial, rule, past) for rule, past in trial.pasts]
    yield from (f"  {line}" for line in columns(rows))
    if trial.missed:
        yield "  no acting rule would have fired before the kernel killed"


def compare(name: str, new: Trial, old: Trial) -> str:
    """Say in one line how two configurations differ on one incident."""
    before, after = old.lead_ns, new.lead_ns
    if not new.kills_ns:
        fired = [sum(len(past.fired_ns) for _, past in trial.pasts) for trial in (old, new)]
        return f"{name}: no kernel kill; rules would have fired {fired[0]} times, now {fired[1]}"
    words = [("nothing" if lead is None else f"{lead / 1e9:.3f} s") for lead in (before, after)]
    return f"{name}: lead over the kernel's kill {words[0]}, now {words[1]}"


def worse(new: Trial, old: Trial) -> bool:
    """Whether the new configuration would have missed a kill that the old one would have come before."""
    return new.missed and not old.missed


def _kills_ns(incident: Incident) -> Iterator[int]:
    told = [kill["monotonic_ns"] for kill in incident.facts["kills"]]
    yield from told
    if not told:
        # The kernel's messages could not be read: the counters know when, if not who.
        for event in events(incident.segments(BlockType.SAMPLES)):
            if event["event"] == "oom_kill":
                yield event["monotonic_ns"]


def _clocked(moments: Iterator[Moment], clock: list[int]) -> Iterator[Moment]:
    """Note when the first and the last sample were taken."""
    for moment in moments:
        clock[:] = [*clock[:1], moment.sample.monotonic_ns]
        yield moment


def _rule_json(trial: Trial, rule: Rule, past: RulePast) -> dict[str, Any]:
    lead_ns = past.lead_ns(trial.kills_ns[0]) if trial.kills_ns else None
    return {
        "name": rule.name,
        "severity": rule.severity,
        "fired_at_s": [_at_s(trial, fired_ns) for fired_ns in past.fired_ns],
        "lead_s": _seconds(lead_ns),
        "flaps": past.flaps,
        "cleared": past.cleared,
        "held": past.held,
        "actions": dict(_actions(rule, past)),
        "absent": list(past.absent),
    }


def _row(trial: Trial, rule: Rule, past: RulePast) -> tuple[str, ...]:
    if past.absent:
        return (rule.name, "", "", "", "", f"rests: {', '.join(past.absent)} not in this recording")
    if not past.fired_ns:
        held = "; ".join(past.held)
        return (rule.name, "", "", "0", "", f"held back: {held}" if held else "")
    lead_ns = past.lead_ns(trial.kills_ns[0]) if trial.kills_ns else None
    done = ", ".join(f"{count} × {action}" for action, count in _actions(rule, past).items())
    return (
        rule.name,
        f"{_at_s(trial, past.fired_ns[0]):+.3f} s",
        "" if lead_ns is None else f"{lead_ns / 1e9:.3f} s",
        str(len(past.fired_ns)),
        str(past.flaps),
        done or "nothing but tell",
    )


def _actions(rule: Rule, past: RulePast) -> Counter[str]:
    return Counter(rule.actions[step].action.name for _, step in past.steps if step < len(rule.actions))


def _at_s(trial: Trial, monotonic_ns: int) -> float:
    return round((monotonic_ns - trial.incident.trigger_ns) / 1e9, 3)


def _seconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else round(duration_ns / 1e9, 3)

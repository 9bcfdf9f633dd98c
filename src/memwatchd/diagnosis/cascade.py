"""Several kills within seconds: the first ones did not end the shortage, or a whole group was killed.

::

    [29924.805991] Out of memory: Killed process 4503 ((sd-pam)) total-vm:173972kB, anon-rss:0kB, ...
    [29925.425864] nfsd invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0

The kernel prints the head of a report at most ten times in five seconds, but each kill, so that a line of a
kill without a head is ordinary in a cascade.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.cgroup_paths import shown
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.shortage import size
from memwatchd.diagnosis.victim_mismatch import rss_kb
from memwatchd.diagnosis.wording import listed
from memwatchd.oomreport.report import OOM_KILL, Event, Victim
from memwatchd.units import printable

TAG = "cascade"

# A victim's memory is back within two seconds (oom_reaper gives up after one); kills that follow within half
# a minute are of the same shortage.
WINDOW_S = 30.0
NAMED = 4
_ADVICE = Advice(
    now=(
        "Judge by the first report of the row: those that follow are of a machine that has changed already.",
    ),
    change=("Bound the real consumer with MemoryMax= of its unit, so that one kill is enough.",),
    check=("oom_kill in /proc/vmstat rises by one, not by many.",),
)


def examine(case: Case) -> Finding | None:
    """Say how many died together."""
    event = case.event
    if event.kind != OOM_KILL:
        return None
    before = [each for each in case.earlier if _belongs(event, each)]
    victims = [victim for each in (*before, event) for victim in _once(each)]
    if len(victims) < 2:
        return None
    freed_kb = sum(rss_kb(victim) or 0 for victim in victims)
    headless = sum("head" in each.missing for each in (*before, event))
    sentences = [
        _count_words(event, before, victims, freed_kb),
        _headless_words(headless) if headless and before else "",
        _group_words(event),
    ]
    return Finding(
        TAG,
        confidence=0.9,
        weight=0.0,
        summary=" ".join(each for each in sentences if each),
        evidence=case.quotes(*(victim.line for victim in event.victims[:NAMED]), event.trigger.line),
        advice=_ADVICE,
        figures={
            "kills": len(victims),
            "events": len(before) + 1,
            "freed_kb": freed_kb,
            "headless": headless,
        },
    )


def _belongs(event: Event, earlier: Event) -> bool:
    """Whether an earlier kill is of the same shortage; without time stamps nobody can tell."""
    if earlier.kind != OOM_KILL or event.seconds is None or earlier.seconds is None:
        return False
    if earlier.host != event.host or (
        earlier.scope != event.scope and None not in (earlier.scope, event.scope)
    ):
        return False
    return 0 <= event.seconds - earlier.seconds <= WINDOW_S and _of_one_limit(event, earlier)


def _of_one_limit(event: Event, earlier: Event) -> bool:
    """Whether what the earlier kill freed counts for the limit that was met now: the same, or nested."""
    paths = [each.memcg.limit_of for each in (event, earlier) if each.memcg is not None]
    if len(paths) < 2 or paths[0] is None or paths[1] is None:
        return True
    inner, outer = sorted((f"{path.rstrip('/')}/" for path in paths if path), key=len, reverse=True)
    return inner.startswith(outer)


def _once(event: Event) -> list[Victim]:
    """Each process once: a group kill names the first victim again."""
    seen: dict[object, Victim] = {}
    for at, victim in enumerate(event.victims):
        seen.setdefault(at if victim.pid is None else victim.pid, victim)
    return list(seen.values())


def _count_words(event: Event, before: list[Event], victims: list[Victim], freed_kb: int) -> str:
    names = [printable(victim.comm or "?") for victim in victims]
    counted = [
        f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    ]
    who = listed(counted if len(counted) <= NAMED else [*counted[:NAMED], "others"])
    if not before:
        return f"{len(victims)} processes were killed at once ({who}), with {size(freed_kb)} resident."
    first = before[0].seconds or 0.0
    lasted = (event.seconds or 0.0) - first
    return (
        f"{len(victims)} processes were killed within {lasted:.1f} s ({who}); they had {size(freed_kb)}"
        " resident, which did not end the shortage before this kill."
    )


def _headless_words(count: int) -> str:
    one = "1 of these kills has no report of its own"
    many = f"{count} of these kills have no report of their own"
    return f"{one if count == 1 else many}, since the kernel prints at most ten in five seconds."


def _group_words(event: Event) -> str:
    if event.memcg is None or not event.memcg.group_kill:
        return ""
    return f"memory.oom.group is set for {shown(event.memcg.group_kill)}, so all of it dies at once."

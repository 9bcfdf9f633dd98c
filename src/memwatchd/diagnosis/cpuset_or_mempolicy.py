"""The asker was bound to some nodes, by a cpuset, a memory policy or its own flags, while others had memory.

::

    java invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=0, order=0, oom_score_adj=0
    java cpuset=/ mems_allowed=0-1
    oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=docker-99.scope,mems_allowed=4,global_oom,...

Kernels before 4.9 print no nodemask, and no constraint before 5.0: then only that some nodes are used up, and
others, which the request could have used as well, are not, tells of a policy. Zones of other nodes may not be
printed.
"""

from collections.abc import Sequence

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.elsewhere import notable, spare_of
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import percent, size
from memwatchd.diagnosis.watermarks import (
    Answer,
    Gate,
    gates,
    in_nodes,
    is_by_hand,
    node_allowed,
    refused,
    size_of,
    unlisted_free_kb,
)
from memwatchd.diagnosis.wording import flags_words, listed, zone_name, zone_names
from memwatchd.oomreport.report import ALLOCATION_FAILURE, CPUSET, MEMCG, MEMPOLICY, OOM_KILL, Zone

TAG = "cpuset_or_mempolicy"

# Other nodes have memory when it is this much of the machine's, and some megabytes at least.
ELSEWHERE_SHARE = 0.02
LEAST_ELSEWHERE_KB = 16 << 10
# The report names the constraint, but the nodes outside had nothing either: then it explains little.
WEIGHT_NAMED, WEIGHT_IDLE = 1.0, 0.2
# Nothing names it, but no other reason is left why memory that was free was not taken.
WEIGHT_UNNAMED = 0.95
_WORDS = {CPUSET: "a cpuset", MEMPOLICY: "a memory policy"}


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether the request was bound to nodes that were used up."""
    event = case.event
    if event.kind not in (OOM_KILL, ALLOCATION_FAILURE) or event.scope == MEMCG or is_by_hand(case):
        return None
    if event.scope in (CPUSET, MEMPOLICY):
        return _named(case)
    if not event.zones:
        return None
    outside = [zone for zone in case.zones_allowed if not node_allowed(case, zone.node)]
    unlisted_kb = _unlisted_kb(case)
    if outside or unlisted_kb:
        return _by_lists(case, outside, unlisted_kb)
    return _by_nodes(case)


def _named(case: Case) -> Finding:
    """The report has the constraint itself."""
    trigger, inside = case.event.trigger, [zone for zone in case.event.zones if node_allowed(case, zone.node)]
    elsewhere_kb = _outside_kb(case)
    idle = elsewhere_kb is not None and not _is_much(case, elsewhere_kb)
    nodes = (trigger.nodemask if case.event.scope == MEMPOLICY else None) or trigger.mems_allowed
    of_nodes = f" (nodes {nodes})" if nodes else ""
    cpuset = f" {trigger.cpuset}" if case.event.scope == CPUSET and trigger.cpuset else ""
    sentences = [
        f"The kernel says that {_WORDS[case.event.scope or CPUSET]}{cpuset[:100]}{of_nodes} bound the"
        " request.",
        _inside_words(case, inside),
    ]
    if elsewhere_kb is not None:
        sentences.append(
            f"Outside no more than {size(elsewhere_kb)} were free, so the rest of the machine was short as"
            " well."
            if idle
            else f"{size(elsewhere_kb)} were free on other nodes."
        )
    return _finding(
        case,
        " ".join(each for each in sentences if each),
        inside,
        confidence=0.75 if idle else 0.97,
        weight=WEIGHT_IDLE if idle else WEIGHT_NAMED,
        elsewhere_kb=elsewhere_kb,
    )


def _by_lists(case: Case, outside: Sequence[Zone], unlisted_kb: int) -> Finding | None:
    """A node list is narrower than the machine, or zones of other nodes were not printed."""
    answers = gates(case)
    elsewhere_kb = sum(map(spare_of, outside)) + unlisted_kb
    if not refused(answers) or not _is_much(case, elsewhere_kb):
        return None
    trigger = case.event.trigger
    inside = [each.zone for each in answers]
    nodes = sorted({zone.node for zone in inside if zone.node is not None})
    lists = [
        f"{name}={value}"
        for name, value in (("nodemask", trigger.nodemask), ("mems_allowed", trigger.mems_allowed))
        if value
    ]
    by = f", as {listed(lists)} say" if outside or trigger.nodemask else ", since only its zones are printed"
    summary = (
        f"The request was bound to node {listed([str(node) for node in nodes]) or '0'}{by}:"
        f" {_short_words(case, answers)}, while {size(elsewhere_kb)} were free elsewhere."
    )
    sure = bool(trigger.nodemask) or bool(outside)
    return _finding(
        case,
        summary,
        inside,
        confidence=0.95 if sure else 0.75,
        weight=WEIGHT_NAMED if sure else WEIGHT_UNNAMED,
        elsewhere_kb=elsewhere_kb,
    )


def _by_nodes(case: Case) -> Finding | Dismissal | None:
    """Some nodes are used up, others not, and the request could have used both."""
    answers = gates(case)
    nodes = sorted({each.zone.node for each in answers if each.zone.node is not None})
    by_node = {node: [each for each in answers if each.zone.node == node] for node in nodes}
    used_up = [node for node, theirs in by_node.items() if refused(theirs)]
    idle = [node for node in nodes if node not in used_up and _is_much(case, _spare_kb(by_node[node]))]
    if len(nodes) < 2 or case.request is None or not idle:
        return None
    if not used_up:
        return None
    elsewhere_kb = sum(_spare_kb(by_node[node]) for node in idle)
    caught = [each for node in used_up for each in by_node[node]]
    caught.sort(key=lambda each: (each.answer is Answer.SERVES, -size_of(each.zone)))
    policy = "a memory policy (numactl, set_mempolicy, mbind)"
    by = "its own flags (__GFP_THISNODE)" if case.request.this_node else policy
    also = "" if by != policy else " The report names none, yet nothing else keeps such a request from them."
    full, free = _nodes_words(used_up), _nodes_words(idle)
    summary = (
        f"{full} had nothing left, where {_short_words(case, caught)}, while {free} had"
        f" {size(elsewhere_kb)} free in zones that this request ({flags_words(case)}) may use: it must have"
        f" been bound by {by}.{also}"
    )
    strictly = any(refused(theirs, strictly=True) for theirs in by_node.values())
    return _finding(
        case,
        summary[0].upper() + summary[1:],
        [each.zone for each in caught[:2]] + [each.zone for node in idle[:2] for each in by_node[node]],
        confidence=0.97 if by != policy else 0.85 if strictly else 0.7,
        weight=WEIGHT_UNNAMED,
        elsewhere_kb=elsewhere_kb,
    )


def _finding(
    case: Case,
    summary: str,
    zones: Sequence[Zone],
    *,
    confidence: float,
    weight: float,
    elsewhere_kb: int | None,
) -> Finding:
    trigger = case.event.trigger
    constraint_lines = [
        line for line, text in case.event.texts.items() if "constraint=" in text or "mems_allowed=" in text
    ]
    return Finding(
        TAG,
        confidence=confidence,
        weight=weight,
        summary=summary,
        evidence=case.quotes(
            trigger.line,
            *constraint_lines[:2],
            *(zone.line for zone in zones[:4]),
            *case.total_lines("free"),
        ),
        advice=_advice(case),
        figures={
            "constraint": case.event.scope,
            "nodemask": trigger.nodemask,
            "mems_allowed": trigger.mems_allowed,
            "cpuset": trigger.cpuset,
            "elsewhere_free_kb": elsewhere_kb,
        },
    )


def _nodes_words(nodes: Sequence[int]) -> str:
    return f"node{'s' * (len(nodes) > 1)} {listed([str(node) for node in nodes])}"


def _inside_words(case: Case, inside: Sequence[Zone]) -> str:
    """What the allowed nodes had."""
    usable = [zone for zone in case.zones_allowed if zone in inside]
    if inside and not usable:
        free_kb = sum(zone.free_kb or 0 for zone in inside)
        return (
            f"Its nodes have only {zone_names(case, inside)}, {size(free_kb)} of it free, which a request"
            f" like this ({flags_words(case)}) may not use, since its pages cannot be moved."
        )
    words = _short_words(case, gates(case))
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _short_words(case: Case, answers: Sequence[Gate]) -> str:
    """Of the zones that had nothing the largest; one that serves by now comes last."""
    if not answers:
        return ""
    main = max(answers, key=lambda each: (each.answer is not Answer.SERVES, size_of(each.zone)))
    kept = f"min {size(main.mark_kb)}"
    if main.reserve_kb:
        kept += f" and lowmem_reserve {size(main.reserve_kb)}"
    return f"{zone_name(case, main.zone)} had {size(main.zone.free_kb or 0)} free ({kept} must stay)"


def _outside_kb(case: Case) -> int | None:
    """Free memory on nodes that were not allowed; None where nothing printed tells."""
    trigger = case.event.trigger
    if not case.event.zones:
        return None
    lists = (trigger.nodemask, trigger.mems_allowed)
    outside = [zone for zone in case.event.zones if not all(in_nodes(each, zone.node) for each in lists)]
    unlisted_kb = notable(case, unlisted_free_kb(case))
    if not outside and case.pages_kb("free") is None:
        return None
    return sum(map(spare_of, outside)) + unlisted_kb


def _unlisted_kb(case: Case) -> int:
    """Free memory in no printed zone, when that can only be because its nodes were left out.

    Zones of a higher kind than the request's are left out, too (since 6.2), and lines may be lost.
    """
    if case.request is None or "cut lines" in case.event.missing or case.is_32_bit:
        return 0
    if (
        case.request.highest_zone not in ("Normal", "HighMem", "Movable")
        or case.event.trigger.nodemask is None
    ):
        if case.request.highest_zone != "Movable" or not any(
            zone.name == "Normal" for zone in case.event.zones
        ):
            return 0
        printed = {zone.node for zone in case.event.zones}
        others = {pool.node for pool in case.event.hugepages} - printed
        if not others:
            return 0
    return notable(case, unlisted_free_kb(case))


def _is_much(case: Case, amount_kb: int) -> bool:
    return amount_kb >= max(LEAST_ELSEWHERE_KB, ELSEWHERE_SHARE * (case.ram_kb or 0))


def _spare_kb(answers: Sequence[Gate]) -> int:
    return sum(each.plainly_kb for each in answers)


def _advice(case: Case) -> Advice:
    cpuset = case.event.trigger.cpuset
    change = []
    if case.event.scope == CPUSET or (cpuset and cpuset != "/"):
        change.append(
            "Give the cpuset more nodes: cpuset.mems of its cgroup, AllowedMemoryNodes= of its unit,"
            " `docker run --cpuset-mems`, or the kubelet's static memory manager."
        )
    change.append(
        "Bind less strictly: `numactl --preferred=N` or `--interleave=all` in place of `--membind=N`,"
        " NUMAPolicy= of its unit, or give it less memory than its nodes have."
    )
    if any(zone.name == "Movable" for zone in case.event.zones):
        change.append(
            "Leave each such node some memory for the kernel: online it as `online_kernel`, not movable."
        )
    return Advice(
        now=(
            "See what is bound where: `numastat -p PID`, /proc/PID/numa_maps, Mems_allowed_list in"
            " /proc/PID/status.",
        ),
        change=tuple(change),
        check=(f"`numastat -m` shows {percent(0.05)} or more of each bound node free under full load.",),
    )

"""A circumstance: swap was free when the kernel gave up, and why, as far as the report proves it.

::

    Free swap  = 3118172kB
    Total swap = 3334140kB
    memory: usage 524288kB, limit 524288kB, failcnt 69
    swap: usage 0kB, limit 0kB, failcnt 0
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import Shortage, is_of_cgroup, shortage_of, size
from memwatchd.diagnosis.wording import listed, source_word
from memwatchd.oomreport.report import ALLOCATION_FAILURE, OOM_KILL, RECORDED, is_unlimited

# The kernel itself regards swap as full from half on (vm_swap_full in include/linux/swap.h).
_FREE_SHARE = 0.5
# As many anonymous pages as this are what init and a shell have; there is nothing in them to gain.
_NOTHING_SHARE = 0.02
_SWAP_OUT = ("swap_writepage", "__swap_writepage", "swap_write_unplug", "swap_writeout")
_NETWORK = ("nfs_", "rpc_", "xs_", "tcp_sendmsg", "sock_sendmsg", "nbd_", "iscsi_", "smb", "cifs_", "ceph_")
_CONFIDENCE = 0.95


def examine(case: Case) -> Finding | Dismissal | None:
    """Say that swap was free, and why that did not help."""
    if is_of_cgroup(case):
        return _of_cgroup(case)
    totals = case.event.totals
    free_kb, total_kb = totals.swap_free_kb, totals.swap_total_kb
    if not total_kb or free_kb is None or free_kb < _FREE_SHARE * total_kb:
        return None
    shortage = shortage_of(case)
    kind = case.event.kind
    if kind != OOM_KILL and (kind not in (ALLOCATION_FAILURE, RECORDED) or shortage is None):
        return None
    reasons = _reasons(case, shortage)
    why = f": {listed(reasons)}" if reasons else f"; the {source_word(case)} does not prove why"
    return Finding(
        tag="swap_untouched",
        confidence=_CONFIDENCE,
        weight=0,
        summary=f"{size(free_kb)} of {size(total_kb)} of swap were free all the same{why}.",
        evidence=case.quotes(
            *case.total_lines("swap_free_kb", "swap_total_kb", "active_anon"),
            *(shortage.zone_lines() if shortage else ()),
        ),
        advice=Advice(change=_changes(case, reasons)),
        figures={"swap_total_kb": total_kb, "swap_free_kb": free_kb, "reasons": len(reasons)},
    )


def _of_cgroup(case: Case) -> Finding | None:
    memcg = case.event.memcg
    if memcg is None:
        return None
    if memcg.swap_limit_kb == 0:
        words, lines = "its limit for swap is 0 (memory.swap.max)", ("swap", "limit")
        change = (
            "Set memory.swap.max (systemd: MemorySwapMax=) if the machine has swap and the group may use it."
        )
    elif (
        memcg.memsw_limit_kb is not None
        and memcg.memsw_limit_kb == memcg.limit_kb
        and not is_unlimited(memcg.limit_kb)
    ):
        words, lines = "its limit for memory and swap together is that for memory", ("memsw", "limit")
        change = "Raise memory.memsw.limit_in_bytes above memory.limit_in_bytes if the group may use swap."
    else:
        return None
    return Finding(
        tag="swap_untouched",
        confidence=_CONFIDENCE,
        weight=0,
        summary=f"The cgroup could not use swap, whatever the machine has of it: {words}.",
        evidence=case.quotes(*(memcg.lines.get(name) for name in lines)),
        advice=Advice(change=(change,)),
        figures={"swap_limit_kb": memcg.swap_limit_kb, "memsw_limit_kb": memcg.memsw_limit_kb},
    )


def _reasons(case: Case, shortage: Shortage | None) -> list[str]:
    """What the report proves, and nothing that is only likely."""
    reasons = [*_of_request(case)]
    if shortage is None:
        return reasons
    lists_kb = shortage.sum_kb("active_anon", "inactive_anon", "isolated_anon")
    if lists_kb is not None and lists_kb <= _NOTHING_SHARE * shortage.total_kb:
        where = "" if shortage.whole else f" in {shortage.place}"
        reasons.append(f"there was hardly anything to swap out{where} ({size(lists_kb)} of anonymous pages)")
    pinned_kb = shortage.amount_kb("mlocked")
    if pinned_kb and pinned_kb >= shortage.total_kb / 2:
        reasons.append(f"{size(pinned_kb)} are locked in memory (mlock) and may not be swapped out")
    return reasons


def _of_request(case: Case) -> list[str]:
    reasons: list[str] = []
    trace = case.event.trace
    if any(name in _SWAP_OUT for name in trace):
        over = " over the network" if any(name.startswith(_NETWORK) for name in trace) else ""
        reasons.append(
            f"writing to swap{over} needs memory itself, and it was for that that memory was asked"
        )
    request, mask = case.request, case.event.trigger.gfp_mask
    if request is None or mask == 0:
        return reasons
    if not request.may_reclaim:
        reasons.append("the request could not wait for anything to be swapped out")
    elif not request.may_io:
        reasons.append("reclaim on behalf of this request may not start I/O (no __GFP_IO)")
    elif request.no_retry:
        reasons.append("the request would rather fail than wait for long (__GFP_NORETRY)")
    return reasons


def _changes(case: Case, reasons: list[str]) -> tuple[str, ...]:
    if any("over the network" in each for each in reasons):
        return (
            "Put swap onto a local disk, or into zram; over a network it cannot be relied on in a shortage.",
            "Raise vm.min_free_kbytes, which is what sending has to live on meanwhile.",
        )
    if reasons:
        return ()
    return ("See `sysctl vm.swappiness`: with 0 the kernel swaps only when hardly any page cache is left.",)

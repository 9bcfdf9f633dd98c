"""A pool of huge pages was taken out of RAM: nothing else can use it, whether or not somebody has taken them.

::

    Node 0 hugepages_total=2048 hugepages_free=2048 hugepages_surp=0 hugepages_size=2048kB
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import Shortage, percent, shortage_of, size
from memwatchd.oomreport.report import HugePages

# As a consumer like others, from a tenth on.
_SHARE = 0.1
# All terms together may exceed RAM by what moved while they were printed, and not by more.
_EXCESS_SHARE = 0.05


def examine(case: Case) -> Finding | Dismissal | None:
    """Say whether a pool of huge pages has a large share of the memory that was short."""
    shortage = shortage_of(case)
    if shortage is None:
        return None
    pools = _pools(case, shortage)
    total_kb = sum(pool.total * pool.size_kb for pool in pools)
    if not total_kb:
        return None
    quotes = case.quotes(*(pool.line for pool in pools))
    if _contradicts(case, shortage):
        return Dismissal(
            "hugetlb",
            f"Huge pages are said to be {size(total_kb)}, but with all else that would be more than the "
            f"{size(shortage.total_kb)} there are: one of the figures is wrong.",
            quotes,
        )
    share = shortage.share(total_kb)
    if share < _SHARE:
        return Dismissal("hugetlb", f"Huge pages have only {shortage.told(total_kb)}.", quotes)
    free_kb = sum(pool.free * pool.size_kb for pool in pools)
    return Finding(
        tag="hugetlb",
        confidence=shortage.confidence,
        weight=shortage.weight(total_kb),
        summary=(
            f"A pool of huge pages has {shortage.told(total_kb)}; {_use(total_kb, free_kb)} "
            "Nothing but programs that ask for huge pages can have this memory."
        ),
        evidence=(*quotes, *case.quotes(*shortage.zone_lines())),
        advice=_advice(pools, free_kb),
        figures={"hugetlb_kb": total_kb, "hugetlb_free_kb": free_kb, "total_kb": shortage.total_kb},
    )


def _pools(case: Case, shortage: Shortage) -> tuple[HugePages, ...]:
    """Pools of the memory that was short."""
    nodes = {zone.node for zone in shortage.zones}
    pools = (pool for pool in case.event.hugepages if pool.total)
    return tuple(pool for pool in pools if shortage.whole or pool.node is None or pool.node in nodes)


def _contradicts(case: Case, shortage: Shortage) -> bool:
    if not shortage.whole or shortage.estimated or case.accounted_kb is None:
        return False
    return case.accounted_kb > (1 + _EXCESS_SHARE) * shortage.total_kb


def _use(total_kb: int, free_kb: int) -> str:
    if free_kb <= 0:
        return "all of it is in use."
    if free_kb >= total_kb:
        return "none of it is in use."
    return f"{size(free_kb)} of it ({percent(free_kb / total_kb)}) are not in use."


def _advice(pools: tuple[HugePages, ...], free_kb: int) -> Advice:
    sizes = sorted({pool.size_kb for pool in pools})
    now = [
        "Make the pool smaller, free pages go at once: "
        f"`echo N > /sys/kernel/mm/hugepages/hugepages-{each}kB/nr_hugepages`."
        for each in sizes
    ]
    return Advice(
        now=tuple(now) if free_kb > 0 else (),
        change=(
            "Set vm.nr_hugepages (or hugepages= on the kernel's command line) to what the programs really "
            "take, and let the rest come with vm.nr_overcommit_hugepages.",
            "If the pool is right, what runs beside it has to fit into the rest of RAM.",
        ),
        check=("HugePages_Free less HugePages_Rsvd in /proc/meminfo, which is what nobody needs, is small.",),
    )

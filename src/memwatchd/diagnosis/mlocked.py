"""Memory that may not be reclaimed: locked by mlock(), or in a ramfs, or in shared segments with SHM_LOCK.

::

    unevictable:11906449 dirty:12 writeback:85 unstable:0
    Node 0 Normal free:43528kB ... unevictable:47623952kB ... mlocked:1808kB ...

Pages that devices have pinned (VFIO, RDMA) are on the ordinary lists: no report shows them.
"""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Finding
from memwatchd.diagnosis.shortage import Shortage, shortage_of, size

# As a consumer like others, from a tenth on.
_SHARE = 0.1


def examine(case: Case) -> Finding | None:
    """Say whether unevictable memory has a large share of what was short."""
    shortage = shortage_of(case)
    if shortage is None:
        return None
    unevictable_kb, mlocked_kb = shortage.amount_kb("unevictable"), shortage.amount_kb("mlocked")
    held_kb = max(unevictable_kb or 0, mlocked_kb or 0)
    if shortage.share(held_kb) < _SHARE:
        return None
    return Finding(
        tag="mlocked",
        confidence=shortage.confidence,
        weight=shortage.weight(held_kb),
        summary=f"{shortage.told(held_kb)} may not be reclaimed (unevictable){_why(held_kb, mlocked_kb)}",
        evidence=case.quotes(*shortage.lines("unevictable", "shmem")),
        advice=_advice(shortage, held_kb, mlocked_kb),
        figures={"unevictable_kb": unevictable_kb, "mlocked_kb": mlocked_kb, "total_kb": shortage.total_kb},
    )


def _why(held_kb: int, mlocked_kb: int | None) -> str:
    if mlocked_kb is None:
        return ": locked by mlock(), in a ramfs, or shared memory with SHM_LOCK."
    if mlocked_kb >= held_kb / 2:
        return f": {size(mlocked_kb)} of it are locked by mlock()."
    locked, rest = (
        (f"only {size(mlocked_kb)} of it are", "the rest") if mlocked_kb else ("nothing of it is", "it")
    )
    return (
        f", and {locked} locked by mlock(): {rest} is in a ramfs or initramfs, or "
        "shared memory with SHM_LOCK, or a driver's."
    )


def _advice(shortage: Shortage, held_kb: int, mlocked_kb: int | None) -> Advice:
    if mlocked_kb is not None and mlocked_kb < held_kb / 2:
        now = "`findmnt -t ramfs` and `ipcs -m` (status locked) show what it may be; delete what is large."
        change = "Use tmpfs with size= instead of ramfs, which has no limit and cannot be swapped."
    else:
        now = "`grep VmLck /proc/[0-9]*/status | sort -k2 -n | tail` shows who has locked it."
        change = (
            "Limit it with LimitMEMLOCK= of the unit; virtual machines with <locked/> or -overcommit "
            "mem-lock=on, and databases that lock their buffers, must leave room for the rest."
        )
    return Advice(
        now=(now,),
        change=(change,),
        check=(f"Mlocked and Unevictable in /proc/meminfo, of {size(shortage.total_kb)}, stay as planned.",),
    )

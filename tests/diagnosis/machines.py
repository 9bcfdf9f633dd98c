"""Machines out of memory, as events made from MiB figures: what the tests of findings look at.

What is not named of the RAM is processes' own; once that is named as well, the rest is in no counter::

    machine()                                 1 GiB, full of processes, no swap
    machine(slab=700)                         slab has 700 MiB of it, processes the rest
    machine(anon=200)                         three quarters of it are in no counter
    machine(zones=(zone("Normal", 100), zone("HighMem", 900, free=500)), gfp=0xCC0)

Every fact has a line of its own in ``texts``, so that what is quoted can be compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memwatchd.diagnosis.case import Case
from memwatchd.oomreport.report import (
    GLOBAL,
    OOM_KILL,
    Event,
    Memcg,
    Node,
    Task,
    Totals,
    Trigger,
    Victim,
    Zone,
)

MIB = 1024
PAGES = 256  # in a MiB
GFP_HIGHUSER_MOVABLE = 0x100CCA
GFP_KERNEL = 0xCC0
GFP_ATOMIC = 0x820
GFP_NOIO = 0xC00


def zone(
    name: str = "Normal",
    ram: float = 1024,
    free: float | None = None,
    *,
    node: int | None = 0,
    present: float | None = None,
    reserve: Sequence[int] = (),
    **amounts: float,
) -> Zone:
    """One zone from MiB figures; free is what min asks for, unless it is given. Watermarks are usual ones."""
    least = max(1.0, ram / 200)
    figures = {
        "free": least if free is None else free,
        "min": least,
        "low": least * 1.25,
        "high": least * 1.5,
        "present": ram if present is None else present,
        "managed": ram,
        **amounts,
    }
    return Zone(
        node=node,
        name=name,
        amounts_kb={key: round(mib * MIB) for key, mib in figures.items()},
        lowmem_reserve_pages=tuple(reserve),
        block_kb=4,
    )


def machine(
    ram: float = 1024,
    *,
    free: float | None = None,
    anon: float | None = None,
    file: float = 10,
    shmem: float = 0,
    unevictable: float = 0,
    mlocked: float = 0,
    slab: float = 30,
    slab_reclaimable: float = 0,
    pagetables: float = 4,
    kernel_stack: float = 4,
    dirty: float = 0,
    writeback: float = 0,
    swap: float | None = 0,
    swap_free: float | None = None,
    reserved: float = 16,
    zones: Iterable[Zone] | None = None,
    tasks: Iterable[Task] = (),
    gfp: int | None = GFP_HIGHUSER_MOVABLE,
    order: int = 0,
    kind: str = OOM_KILL,
    scope: str | None = GLOBAL,
    pages: Mapping[str, int] | None = None,
    node: Mapping[str, float] | None = None,
    **others: Any,
) -> Event:
    """A machine that has killed for want of memory.

    Amounts are in MiB. `anon` is processes' own memory, the rest of RAM where it is not given; `shmem` comes
    on top of it, on the same lists. `slab_reclaimable` is a part of `slab`. Free is what the watermark asks
    for, and swap is full, unless `free` and `swap_free` say otherwise; a kernel without swap has None.
    `pages` are more figures of the Mem-Info block, `node` of the node's line in MiB, `others` of the event.
    """
    made = (
        (zone(ram=ram, free=free, present=ram + reserved, mlocked=mlocked),)
        if zones is None
        else tuple(zones)
    )
    free_mib = sum((each.free_kb or 0) for each in made) / MIB
    taken = free_mib + file + shmem + unevictable + slab + pagetables + kernel_stack
    own = max(0, ram - taken) if anon is None else anon
    mib = {
        "active_anon": own / 2,
        "inactive_anon": own / 2 + shmem,
        "isolated_anon": 0,
        "active_file": file / 2,
        "inactive_file": file / 2,
        "isolated_file": 0,
        "unevictable": unevictable,
        "dirty": dirty,
        "writeback": writeback,
        "slab_reclaimable": slab_reclaimable,
        "slab_unreclaimable": slab - slab_reclaimable,
        "shmem": shmem,
        "pagetables": pagetables,
        "free": free_mib,
    }
    totals = Totals(
        pages={name: round(each * PAGES) for name, each in mib.items()} | dict(pages or {}),
        ram_pages=round((ram + reserved) * PAGES),
        reserved_pages=round(reserved * PAGES),
        swap_total_kb=None if swap is None else round(swap * MIB),
        swap_free_kb=None if swap is None else round((swap_free or 0) * MIB),
    )
    on_node = {"kernel_stack": kernel_stack, **(node or {})}
    event = Event(
        kind=kind,
        scope=scope,
        complete=True,
        trigger=Trigger(comm="sh", gfp_mask=gfp, order=order),
        zones=made,
        nodes=(Node(0, {name: round(each * MIB) for name, each in on_node.items()}),),
        totals=totals,
        tasks=tuple(tasks),
        tasks_listed=bool(tasks),
    )
    return with_lines(replace(event, **others))


def cgroup(memcg: Memcg, **others: Any) -> Event:
    """A kill for a cgroup's limit: no Mem-Info, no zones."""
    return with_lines(Event(OOM_KILL, scope="memcg", complete=True, memcg=memcg, **others))


def task(
    comm: str,
    rss: float,
    *,
    pid: int | None = None,
    anon: float | None = None,
    swap: float = 0,
    **others: Any,
) -> Task:
    """A row of the table, from MiB; each name has a pid of its own."""
    number = 1000 + sum(comm.encode()) if pid is None else pid
    return Task(
        pid=number,
        uid=0,
        tgid=number,
        comm=comm,
        rss_pages=round(rss * PAGES),
        rss_anon_pages=None if anon is None else round(anon * PAGES),
        swap_pages=round(swap * PAGES),
        **others,
    )


def tasks(comm: str, count: int, rss: float, **others: Any) -> tuple[Task, ...]:
    """Many rows of one name."""
    return tuple(task(comm, rss, pid=2000 + number, **others) for number in range(count))


def victim(comm: str, anon: float, **others: Any) -> Victim:
    """Who was killed, with MiB of its own memory."""
    return Victim(pid=1000, comm=comm, anon_rss_kb=round(anon * MIB), **others)


def case(ram: float = 1024, **figures: Any) -> Case:
    """`machine`, as findings get it."""
    return Case(machine(ram, **figures))


def with_lines(event: Event) -> Event:
    """Give every fact a line of its own: totals by name, zones, nodes, tasks, the kill and the rest."""
    texts: dict[int, str] = {}

    def line(text: str) -> int:
        texts[len(texts) + 1] = text
        return len(texts)

    names = ("ram_pages", "reserved_pages", "swap_total_kb", "swap_free_kb")
    totals = {name: line(f"{name}:{pages}") for name, pages in event.totals.pages.items()}
    totals |= {name: line(name) for name in names if getattr(event.totals, name) is not None}
    memcg = event.memcg
    if memcg is not None:
        known = ("usage", "limit", "swap", "memsw", *memcg.statistics)
        memcg = replace(memcg, lines={name: line(f"memcg {name}") for name in known})
    made = replace(
        event,
        totals=replace(event.totals, lines=totals),
        memcg=memcg,
        zones=tuple(replace(each, line=line(f"zone {each.name}")) for each in event.zones),
        nodes=tuple(replace(each, line=line(f"node {each.node}")) for each in event.nodes),
        tasks=tuple(replace(each, line=line(f"task {each.comm}")) for each in event.tasks),
        victims=tuple(replace(each, line=line(f"killed {each.comm}")) for each in event.victims),
        slabs=tuple(replace(each, line=line(f"slab {each.name}")) for each in event.slabs),
        hugepages=tuple(replace(each, line=line("hugepages")) for each in event.hugepages),
        allocations=tuple(replace(each, line=line(f"site {each.site}")) for each in event.allocations),
    )
    return replace(made, texts=texts, last_line=len(texts))

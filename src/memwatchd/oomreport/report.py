"""What one event in the kernel's log says, as it says it: nothing is derived here, and nothing invented.

An event of the kind `RECORDED` stands in no log: it is made of the kernel's files as they were recorded.

What a report does not hold is None, a list it does not hold is empty. Units are in the names; where the
kernel prints pages, it stays pages. ``line`` is the line of the input on which a fact stands, so that it can
be quoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

OOM_KILL = "oom_kill"
ALLOCATION_FAILURE = "allocation_failure"
MEMORY_INFO = "memory_info"
USERSPACE_KILL = "userspace_kill"
RECORDED = "recorded"

GLOBAL = "global"
MEMCG = "memcg"
CPUSET = "cpuset"
MEMPOLICY = "mempolicy"


@dataclass(frozen=True, slots=True)
class Quote:
    """A line of the input, as it stands there."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """Who asked for memory, and for what.

    Attributes:
        gfp_flags: Names as the kernel prints them (``GFP_KERNEL``, ``__GFP_ZERO``); decoded from the number
            where the kernel printed only that and its era is known.
        flags_printed: Whether the kernel itself printed the names.
        order: log2 of the pages asked for; -1 when somebody pressed SysRq-f.
        oom_adj: The knob of kernels before 2.6.36.
        nodemask, mems_allowed: Node lists as printed (``0-1``); "(null)" is None.
        cpuset: Its name.
    """

    comm: str | None = None
    pid: int | None = None
    gfp_mask: int | None = None
    gfp_flags: tuple[str, ...] = ()
    flags_printed: bool = False
    order: int | None = None
    oom_score_adj: int | None = None
    oom_adj: int | None = None
    nodemask: str | None = None
    cpuset: str | None = None
    mems_allowed: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Memcg:
    """The cgroup whose limit was met.

    Attributes:
        limit_of: Path of the cgroup with the limit.
        task_of: Path of the cgroup the victim lived in; at or below limit_of.
        usage_kb, limit_kb: As printed; an unlimited one has a limit beyond any machine (`is_unlimited`).
        memsw_usage_kb, memsw_limit_kb: memory+swap of cgroup v1.
        swap_usage_kb, swap_limit_kb: swap of cgroup v2.
        kmem_usage_kb, kmem_limit_kb: kernel memory of cgroup v1.
        statistics: memory.stat of the whole subtree in bytes (counts where the kernel counts), by the
            kernel's keys: ``anon``, ``file``, ``slab`` on v2; ``cache``, ``rss``, ``total_cache`` on v1.
        statistics_of: Whose they are.
        group_kill: memory.oom.group: all tasks of that cgroup were killed.
        lines: Where each of these stands, by its name here, and each statistic by its key.
    """

    limit_of: str | None = None
    task_of: str | None = None
    usage_kb: int | None = None
    limit_kb: int | None = None
    failcnt: int | None = None
    memsw_usage_kb: int | None = None
    memsw_limit_kb: int | None = None
    swap_usage_kb: int | None = None
    swap_limit_kb: int | None = None
    kmem_usage_kb: int | None = None
    kmem_limit_kb: int | None = None
    statistics: Mapping[str, int] = field(default_factory=dict)
    statistics_of: str | None = None
    group_kill: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that was killed.

    Attributes:
        uid: Its user's.
        score: oom_score the choice was made by; printed until 5.0.
        reaped: Whether the oom_reaper, or the event's text, says that its memory was taken back.
        scope: `GLOBAL` or `MEMCG` by the words of its own line; None where it has none.
        rss_kb: All it had resident, which is what killers in user space print.
        task_memcg: The cgroup it lived in; since 5.0 also where the limit was not a cgroup's.
    """

    pid: int | None
    comm: str | None
    uid: int | None = None
    score: int | None = None
    total_vm_kb: int | None = None
    anon_rss_kb: int | None = None
    file_rss_kb: int | None = None
    shmem_rss_kb: int | None = None
    pgtables_kb: int | None = None
    oom_score_adj: int | None = None
    reaped: bool = False
    scope: str | None = None
    rss_kb: int | None = None
    task_memcg: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class FreeBlocks:
    """The free blocks of one order in one zone.

    Attributes:
        count: How many.
        types: Letters of the migrate types they are of: U, M, E, R, H, C, I; empty where none are printed.
    """

    count: int
    types: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone of one node.

    Attributes:
        node: None where the kernel does not print nodes.
        amounts_kb: By the kernel's names: ``free``, ``boost``, ``min``, ``low``, ``high``, ``present``,
            ``managed``, ``reserved_highatomic``, ``free_cma``, ``slab_unreclaimable``, ... Which there are
            depends on the kernel: until 4.7 everything is counted per zone, afterwards little more than the
            LRU.
        all_unreclaimable: None where it is not printed for zones (since 4.8).
        lowmem_reserve_pages: One figure for each kind of zone a request may have come down from.
        free_blocks: By order, zeros included; empty where the line is missing.
        block_kb: Smallest block of that line, which is the size of a page.
        blocks_total_kb: What the line says they sum up to.
        line, blocks_line, reserve_line: Where they stand.
    """

    node: int | None
    name: str
    amounts_kb: Mapping[str, int] = field(default_factory=dict)
    all_unreclaimable: bool | None = None
    lowmem_reserve_pages: tuple[int, ...] = ()
    free_blocks: Mapping[int, FreeBlocks] = field(default_factory=dict)
    block_kb: int | None = None
    blocks_total_kb: int | None = None
    line: int | None = None
    blocks_line: int | None = None
    reserve_line: int | None = None

    @property
    def free_kb(self) -> int | None:
        """Free memory."""
        return self.amounts_kb.get("free")

    @property
    def min_kb(self) -> int | None:
        """The watermark below which only the privileged may allocate."""
        return self.amounts_kb.get("min")

    @property
    def low_kb(self) -> int | None:
        """The watermark at which kswapd wakes up."""
        return self.amounts_kb.get("low")

    @property
    def high_kb(self) -> int | None:
        """The watermark at which kswapd sleeps again."""
        return self.amounts_kb.get("high")

    @property
    def present_kb(self) -> int | None:
        """Memory the zone has."""
        return self.amounts_kb.get("present")

    @property
    def managed_kb(self) -> int | None:
        """Memory of it that the allocator was given; since 3.9."""
        return self.amounts_kb.get("managed")


@dataclass(frozen=True, slots=True)
class Node:
    """The figures of one node, since 4.8.

    Attributes:
        amounts_kb: ``active_anon``, ``isolated(file)``, ``shmem``, ``kernel_stack``, ``Balloon``, ... in kB.
    """

    node: int | None
    amounts_kb: Mapping[str, int] = field(default_factory=dict)
    all_unreclaimable: bool | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """The machine's figures.

    Attributes:
        pages: The block after ``Mem-Info:`` by the kernel's names: ``active_anon``, ``free``,
            ``slab_reclaimable``, ``shmem``, ``pagetables``, ``free_cma``, ... in pages. 2.6 before .28 has
            ``active``, ``inactive`` and ``slab`` only.
        ram_pages, reserved_pages, highmem_pages, cma_reserved_pages, hwpoisoned_pages, pagecache_pages,
        swapcache_pages: The lines ``N pages RAM``, ``N pages reserved``, ... at its end.
        swap_total_kb, swap_free_kb: None on a kernel without swap.
        available_kb: MemAvailable; only a recording has it.
        swap_added, swap_deleted: Counters of the swap cache, until 5.19.
        lines: Where each stands, by the same names.
    """

    pages: Mapping[str, int] = field(default_factory=dict)
    ram_pages: int | None = None
    reserved_pages: int | None = None
    highmem_pages: int | None = None
    cma_reserved_pages: int | None = None
    hwpoisoned_pages: int | None = None
    pagecache_pages: int | None = None
    swapcache_pages: int | None = None
    swap_total_kb: int | None = None
    swap_free_kb: int | None = None
    swap_added: int | None = None
    swap_deleted: int | None = None
    available_kb: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HugePages:
    """One size of huge pages on one node."""

    node: int | None
    size_kb: int
    total: int
    free: int
    surplus: int
    line: int


@dataclass(frozen=True, slots=True)
class SlabCache:
    """One line of ``Unreclaimable slab info:`` (since 4.15, and only when there is very much of it)."""

    name: str
    used_kb: int
    total_kb: int
    line: int


@dataclass(frozen=True, slots=True)
class AllocationSite:
    """One line of ``Memory allocations:`` (since 6.10, with CONFIG_MEM_ALLOC_PROFILING): who allocated it.

    Attributes:
        site: ``file:line`` with module and function, as printed.
    """

    size_bytes: int
    calls: int
    site: str
    line: int


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table of tasks, read by its header.

    Attributes:
        rss_pages: All of its resident pages; since 6.8 also by kind.
        page_table_bytes: ``pgtables_bytes``; before 4.15 the count of page tables is in ``other``.
        other: The remaining columns by their names in the header: ``cpu``, ``nr_ptes``, ...
    """

    pid: int
    uid: int | None
    tgid: int | None
    comm: str
    total_vm_pages: int | None = None
    rss_pages: int | None = None
    rss_anon_pages: int | None = None
    rss_file_pages: int | None = None
    rss_shmem_pages: int | None = None
    page_table_bytes: int | None = None
    swap_pages: int | None = None
    oom_score_adj: int | None = None
    oom_adj: int | None = None
    other: Mapping[str, int] = field(default_factory=dict)
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        kind: `OOM_KILL`, `ALLOCATION_FAILURE`, `MEMORY_INFO`, `USERSPACE_KILL` or `RECORDED`.
        scope: `GLOBAL`, `MEMCG`, `CPUSET`, `MEMPOLICY`; None where nothing says so, and for the other kinds.
        manner: What is special: "sysrq" (somebody asked for it), "panic_on_oom", "no_killable_process",
            "deadlocked" (the kernel panicked), "stall" (an allocation that took long), "slub" or "vmalloc"
            (who could not get memory); None for the usual. For `RECORDED`, what the recording was kept for:
            "machine_died", "rule_fired", "requested", ...
        killer: Who killed, for `USERSPACE_KILL`: "systemd-oomd", "earlyoom", "nohang", "oomd", "kubelet", ...
        reason: Why, in that program's own words; for `RECORDED` in memwatchd's.
        complete: Whether everything is there that such a report has on such a kernel.
        missing: What is not: "head", "memory_info", "zones", "totals", "kill", "cut lines"; "samples" of a
            recording.
        first_line, last_line: The lines of the input it spans.
        seconds, time: When, by the kernel's clock and as printed.
        kernel: Release as the version line has it.
        trace: Functions of the call trace, innermost first, without addresses.
        tasks_listed: Whether there was a table of tasks at all, however many rows.
        remarks: Lines of the event that say something which has no field: what the oom_reaper could not do,
            slab that could not be printed, messages of balloon drivers.
        unparsed: Lines within the event that nobody could read, at most 200.
        texts: Every line that was read as a part of it, by its number, for quoting.
    """

    kind: str
    scope: str | None = None
    manner: str | None = None
    killer: str | None = None
    reason: str | None = None
    complete: bool = False
    missing: tuple[str, ...] = ()
    first_line: int = 0
    last_line: int = 0
    host: str | None = None
    seconds: float | None = None
    time: str | None = None
    kernel: str | None = None
    hardware: str | None = None
    taint: str | None = None
    trigger: Trigger = field(default_factory=Trigger)
    memcg: Memcg | None = None
    victims: tuple[Victim, ...] = ()
    zones: tuple[Zone, ...] = ()
    nodes: tuple[Node, ...] = ()
    totals: Totals = field(default_factory=Totals)
    hugepages: tuple[HugePages, ...] = ()
    slabs: tuple[SlabCache, ...] = ()
    allocations: tuple[AllocationSite, ...] = ()
    tasks: tuple[Task, ...] = ()
    tasks_listed: bool = False
    trace: tuple[str, ...] = ()
    remarks: tuple[Quote, ...] = ()
    unparsed: tuple[Quote, ...] = ()
    texts: Mapping[int, str] = field(default_factory=dict)

    def zone(self, name: str, node: int | None = None) -> Zone | None:
        """The zone of a name, on a node or on the first that has it."""
        return next(
            (each for each in self.zones if each.name == name and node in (None, each.node)),
            None,
        )


# PAGE_COUNTER_MAX in kB for 4 kB pages is 2^63 / 1024 less a page; older ones, other page sizes are near it.
_UNLIMITED_KB = 1 << 50


def is_unlimited(limit_kb: int | None) -> bool:
    """Whether a printed limit is the kernel's way of saying that there is none."""
    return limit_kb is not None and limit_kb >= _UNLIMITED_KB

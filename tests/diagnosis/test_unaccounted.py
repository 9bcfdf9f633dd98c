"""Memory in no counter: the subtraction, and what may hint at the owner."""

from dataclasses import replace

import pytest
from tests.diagnosis.machines import GFP_KERNEL, case, tasks, zone

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.unaccounted import examine, subtract
from memwatchd.oomreport.report import AllocationSite, HugePages, Quote


def test_the_sum_is_told_term_by_term() -> None:
    """A reader could not check what is claimed to be missing."""
    found = examine(case(1000, free=5, anon=20, file=10, slab=35, pagetables=6, kernel_stack=4))
    assert isinstance(found, Finding)
    assert found.summary == (
        "92 % of RAM is in no counter of the kernel: 0.977 GiB of RAM less free 5 MiB, anonymous pages 20 "
        "MiB, page cache 10 MiB, slab 35 MiB, page tables 6 MiB, kernel stacks 4 MiB leaves 920 MiB."
    )
    assert (found.weight, found.confidence) == (0.92, 0.95)
    assert found.figures == {
        "ram_kb": 1000 * 1024,
        "free_kb": 5 * 1024,
        "anonymous_pages_kb": 20 * 1024,
        "page_cache_kb": 10 * 1024,
        "unevictable_kb": 0,
        "slab_kb": 35 * 1024,
        "page_tables_kb": 6 * 1024,
        "kernel_stacks_kb": 4 * 1024,
        "unaccounted_kb": 920 * 1024,
        "unaccounted_share": 0.92,
        "present_kb": 1016 * 1024,
        "withheld_kb": 0,
    }


@pytest.mark.parametrize(("missing", "is_found"), [(95, False), (105, True)])
def test_from_a_tenth_on_it_is_a_finding(missing: float, is_found: bool) -> None:
    """What every kernel uses for itself would be reported as a leak."""
    found = examine(case(1000, free=5, anon=947 - missing))
    assert isinstance(found, Finding if is_found else Dismissal)


def test_huge_pages_and_shared_memory_are_not_missing() -> None:
    """A pool of huge pages would be called a leak, and tmpfs would be counted twice."""
    pool = HugePages(node=0, size_kb=2048, total=250, free=250, surplus=0, line=1)
    total = subtract(case(1000, free=5, anon=100, shmem=300, hugepages=(pool,)))
    assert total is not None
    assert total.missing_kb == (1000 - 5 - 100 - 300 - 500 - 48) * 1024


def test_plenty_of_free_memory_asks_no_question() -> None:
    """A driver's memory on an idle machine would be called the cause of an unrelated failure."""
    assert examine(case(1000, free=500, anon=100)) is None


def test_a_part_of_the_zones_proves_nothing() -> None:
    """Figures of the whole machine would be subtracted from one zone."""
    low = zone("Normal", 400, active_anon=0, inactive_anon=0)
    assert examine(case(4000, zones=(low, zone("HighMem", 3600, free=2000)), anon=0, gfp=GFP_KERNEL)) is None


def test_the_callers_of_vmalloc_are_named() -> None:
    """The code that asked in vain, and mostly is the one that has it, would stay hidden in the trace."""
    trace = (
        "out_of_memory",
        "__alloc_pages_nodemask",
        "alloc_pages_current",
        "__vmalloc_node_range",
        "alloc_x",
        "f",
    )
    found = examine(case(1000, anon=20, trace=trace))
    assert isinstance(found, Finding)
    assert "The request that failed was the kernel's own, through vmalloc, by alloc_x()." in found.summary


def test_a_trace_of_unsure_entries_is_better_than_none() -> None:
    """Kernels without frame pointers put a question mark before all of it, and nobody would be named."""
    event = case(1000, anon=20).event
    lines = ("? __alloc_pages_nodemask+0x8ba/0x9d8", "? vmalloc+0x28/0x2a", "? alloc_fdtable+0x6a/0xd8")
    texts = {**event.texts, **{100 + number: text for number, text in enumerate(lines)}}
    found = examine(Case(replace(event, texts=texts)))
    assert isinstance(found, Finding)
    assert "through vmalloc, by alloc_fdtable(), by all appearances." in found.summary


@pytest.mark.parametrize("function", ["handle_mm_fault", "filemap_fault", "kmem_cache_alloc"])
def test_memory_that_is_counted_is_not_hinted_at(function: str) -> None:
    """A page fault, where most shortages are noticed, would be named as the culprit."""
    found = examine(case(1000, anon=20, trace=("__alloc_pages", function, "do_something")))
    assert isinstance(found, Finding)
    assert "kernel's own" not in found.summary


def test_the_kernels_list_of_allocations_is_read() -> None:
    """The kernel itself names the line of code, and nobody would tell."""
    sites = (
        AllocationSite(800 << 20, 200000, "mm/filemap.c:1951 func:__filemap_get_folio", 1),
        AllocationSite(600 << 20, 150000, "drivers/x/y.c:42 [y] func:y_fill", 2),
        AllocationSite(1 << 20, 10, "fs/z.c:1 func:z", 3),
    )
    found = examine(case(1000, anon=20, allocations=sites))
    assert isinstance(found, Finding)
    assert "The kernel's list of allocations names 600 MiB by y_fill (drivers/x/y.c:42 [y])." in found.summary
    assert found.evidence[-1].text == "site drivers/x/y.c:42 [y] func:y_fill"


def test_small_tasks_are_said_to_be_innocent() -> None:
    """The next step would be to look at processes, of which killing all frees nothing."""
    found = examine(case(1000, anon=20, tasks=tasks("sh", 10, 1)))
    assert isinstance(found, Finding)
    assert "All 10 tasks together have 10 MiB: killing them frees no more." in found.summary


def test_compressed_swap_is_hinted_at_where_it_fits() -> None:
    """The memory of zram is in no counter, and would be looked for in drivers."""
    found = examine(case(1000, anon=400, swap=2000))
    assert isinstance(found, Finding)
    assert "If swap is zram, the 1.95 GiB in it are kept, compressed, in this memory." in found.summary


@pytest.mark.parametrize(
    ("taint", "is_told"), [("P OE", True), ("Not tainted", False), ("G W", False), (None, False)]
)
def test_foreign_modules_are_mentioned(taint: str | None, is_told: bool) -> None:
    """The letters of "Not tainted" would accuse a module that is not there."""
    found = examine(case(1000, anon=20, taint=taint))
    assert isinstance(found, Finding)
    assert ("taint P or O" in found.summary) == is_told


def test_a_balloon_that_shrinks_the_machine_is_seen() -> None:
    """The guest looks like a small machine full of processes; the host has taken three quarters of it."""
    found = examine(case(1000, reserved=3000))
    assert isinstance(found, Finding)
    assert found.summary == (
        "75 % of the machine's memory is not there for its programs: "
        "2.93 GiB of the machine's 3.91 GiB are withheld (reserved)."
    )
    assert (found.weight, found.confidence) == (0.75, 0.66)


@pytest.mark.parametrize(
    ("said", "is_found"), [("virtio_balloon virtio0: Out of puff!", True), ("eth0: up", False)]
)
def test_a_drivers_words_make_less_enough(said: str, is_found: bool) -> None:
    """What KASAN and a crash kernel reserve would be called a balloon, or a balloon would be called KASAN."""
    found = examine(case(800, reserved=200, remarks=(Quote(77, said),)))
    assert isinstance(found, Finding) == is_found
    if isinstance(found, Finding):
        assert Quote(77, said) in found.evidence


def test_the_balloons_own_counter_is_believed() -> None:
    """A balloon that the kernel counts (since 6.17) would count as accounted for, so nobody would be told."""
    found = examine(case(1000, anon=300, node={"Balloon": 600}))
    assert isinstance(found, Finding)
    assert "the balloon has 600 MiB" in found.summary
    assert found.weight == pytest.approx(0.643, abs=0.01)


def test_a_balloon_outside_of_managed_is_not_taken_off() -> None:
    """Its pages are not part of what is left, and would hide as much of what is missing."""
    total = subtract(case(1000, anon=500, reserved=3000, node={"Balloon": 2900}))
    assert total is not None
    assert "balloon" not in total.terms_kb
    assert total.missing_kb > 400 * 1024


@pytest.mark.parametrize(
    ("kernel", "is_told"), [("3.2.59", False), ("3.10.0-1160.el7", True), ("6.8.1+x", True)]
)
def test_kernels_without_lines_of_huge_pages_leave_them_open(kernel: str, is_told: bool) -> None:
    """A database's pool of huge pages would be called a leak on a kernel that does not print it."""
    found = examine(case(1000, anon=20, kernel=kernel))
    assert isinstance(found, Finding)
    assert ("this kernel does not print them" in found.summary) != is_told
    assert (found.confidence == 0.95) == is_told


@pytest.mark.parametrize(
    ("hardware", "node", "is_told"),
    [
        ("QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2 04/01/2014", {}, True),
        ("Microsoft Corporation Virtual Machine/Virtual Machine, BIOS Hyper-V UEFI 4.1", {}, True),
        ("Dell Inc. PowerEdge R640/0PHYDR, BIOS 2.6.4 04/09/2020", {}, False),
        ("QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2 04/01/2014", {"Balloon": 0}, False),
    ],
)
def test_in_a_virtual_machine_the_balloon_comes_to_mind(
    hardware: str, node: dict[str, float], is_told: bool
) -> None:
    """Most kernels count a balloon nowhere, and the answer is on the host, not in the guest."""
    found = examine(case(1000, anon=20, hardware=hardware, node=node))
    assert isinstance(found, Finding)
    assert ("virtual machine" in found.summary) == is_told
    assert any("virsh dommemstat" in sentence for sentence in found.advice.now) == is_told

"""Swap that was free when the kernel gave up, and the reasons that a report proves."""

from dataclasses import replace
from typing import Any

import pytest
from tests.diagnosis.machines import GFP_ATOMIC, GFP_KERNEL, GFP_NOIO, case, cgroup, zone

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Finding
from memwatchd.diagnosis.swap_untouched import examine
from memwatchd.oomreport.report import ALLOCATION_FAILURE, MEMORY_INFO, RECORDED, Memcg

SWAP: dict[str, Any] = {"swap": 1000, "swap_free": 900}
SENDING = ("__alloc_pages", "kmem_cache_alloc", "nfs_writehdr_alloc", "nfs_swap_rw", "__swap_writepage")


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"anon": 1}, "there was hardly anything to swap out (1 MiB of anonymous pages)"),
        ({"gfp": GFP_NOIO}, "reclaim on behalf of this request may not start I/O (no __GFP_IO)"),
        ({"gfp": GFP_ATOMIC}, "the request could not wait for anything to be swapped out"),
        (
            {"unevictable": 800, "mlocked": 800},
            "800 MiB are locked in memory (mlock) and may not be swapped out",
        ),
        (
            {"trace": SENDING, "kind": ALLOCATION_FAILURE},
            "writing to swap over the network needs memory itself, and it was for that that memory was asked",
        ),
        (
            {"trace": ("__alloc_pages", "bio_alloc", "swap_writepage")},
            "writing to swap needs memory itself, and it was for that that memory was asked",
        ),
    ],
)
def test_what_the_report_proves_is_told(figures: dict[str, Any], reason: str) -> None:
    """A reader would take free swap for a mistake of the kernel."""
    found = examine(case(1000, **SWAP, **figures))
    assert isinstance(found, Finding)
    assert found.summary == f"900 MiB of 0.977 GiB of swap were free all the same: {reason}."


def test_what_it_does_not_prove_is_not() -> None:
    """A guess would be read as a fact."""
    found = examine(case(1000, **SWAP))
    assert isinstance(found, Finding)
    assert found.summary.endswith("were free all the same; the report does not prove why.")


def test_it_is_never_the_verdict() -> None:
    """What filled the memory would be pushed aside by a circumstance."""
    found = examine(case(1000, **SWAP))
    assert isinstance(found, Finding)
    assert found.weight == 0


def test_a_zone_without_anonymous_pages_is_seen() -> None:
    """Swapping out what is in high memory does not help a request for low memory."""
    low = zone("Normal", 860, active_anon=0, inactive_anon=0, unevictable=0)
    found = examine(case(3860, zones=(low, zone("HighMem", 3000, free=900)), gfp=GFP_KERNEL, **SWAP))
    assert isinstance(found, Finding)
    assert "hardly anything to swap out in Normal (0 B of anonymous pages)" in found.summary


@pytest.mark.parametrize("free", [0, 490])
def test_from_half_on_the_kernel_counts_swap_as_full(free: float) -> None:
    """Swap in heavy use would be called untouched."""
    assert examine(case(1000, swap=1000, swap_free=free)) is None


def test_nobody_was_killed_and_nothing_was_short() -> None:
    """Free swap on a healthy machine would be remarked upon."""
    assert examine(case(1000, free=300, kind=MEMORY_INFO, scope=None, **SWAP)) is None
    assert examine(case(1000, free=300, kind=ALLOCATION_FAILURE, scope=None, **SWAP)) is None


def test_without_swap_there_is_none_to_use() -> None:
    """A machine without swap would be said to have it free."""
    assert examine(case(1000)) is None
    assert examine(case(1000, swap=None)) is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"swap_limit_kb": 0}, "its limit for swap is 0 (memory.swap.max)"),
        ({"memsw_limit_kb": 1000}, "its limit for memory and swap together is that for memory"),
        ({"memsw_limit_kb": 1 << 53}, None),
        ({"swap_limit_kb": 5000}, None),
        ({}, None),
    ],
)
def test_a_cgroup_may_be_kept_from_swap(limits: dict[str, Any], words: str | None) -> None:
    """Swap of the machine would be looked at, which the container cannot use."""
    found = examine(Case(cgroup(Memcg(limit_of="/a", usage_kb=1000, limit_kb=1000, **limits))))
    if words is None:
        assert found is None
    else:
        assert isinstance(found, Finding)
        assert found.summary == f"The cgroup could not use swap, whatever the machine has of it: {words}."


@pytest.mark.parametrize("available", [20, 500])
def test_a_recording(available: int) -> None:
    """Swap that is free would be remarked on beside a machine that was not short of memory, or not at all."""
    short = case(1000, **SWAP, kind=RECORDED, gfp=None)
    totals = replace(short.event.totals, available_kb=available << 10)
    found = examine(Case(replace(short.event, totals=totals)))
    assert getattr(found, "summary", None) == (
        "900 MiB of 0.977 GiB of swap were free all the same; the recording does not prove why."
        if available == 20
        else None
    )

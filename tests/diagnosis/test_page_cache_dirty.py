"""Page cache that had not been written yet."""

import pytest
from tests.diagnosis.machines import case, cgroup

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.page_cache_dirty import examine
from memwatchd.oomreport.report import Memcg


def test_dirty_cache_is_told_with_its_share() -> None:
    """A reader would wonder why the kernel killed beside half a gigabyte of page cache."""
    found = examine(case(1000, file=600, dirty=500, writeback=40))
    assert isinstance(found, Finding)
    assert found.summary == (
        "540 MiB of 600 MiB of page cache (90 %) waited to be written and could not be dropped: 54 % of "
        "memory."
    )
    assert (found.weight, found.confidence) == (0.54, 0.95)


def test_clean_cache_is_told_not_to_be_it() -> None:
    """The same reader would suspect slow disks, though hardly anything waited for them."""
    found = examine(case(1000, file=600, dirty=20))
    assert isinstance(found, Dismissal)
    assert found.reason == (
        "There were 600 MiB of page cache (60 %), but only 20 MiB of it waited to be written."
    )


def test_little_cache_is_no_question() -> None:
    """A few dirty pages on a machine full of processes would be mentioned every time."""
    assert examine(case(1000, file=100, dirty=100)) is None


def test_pages_on_their_way_to_swap_are_not_page_cache() -> None:
    """Writeback counts swapping, too, and would make more of the page cache dirty than there is."""
    found = examine(case(1000, file=200, writeback=500))
    assert isinstance(found, Finding)
    assert found.weight == 0.2


@pytest.mark.parametrize(
    "statistics",
    [
        {"file": 900 << 10, "file_dirty": 800 << 10, "file_writeback": 50 << 10, "shmem": 0},
        {"cache": 1, "dirty": 0, "total_cache": 900 << 10, "total_dirty": 850 << 10, "total_shmem": 0},
        {"cache": 900 << 10, "dirty": 850 << 10, "writeback": 0},
    ],
)
def test_a_cgroup_full_of_dirty_cache_is_seen(statistics: dict[str, int]) -> None:
    """A copy of a large file within a container would be blamed on the processes beside it."""
    found = examine(Case(cgroup(Memcg(usage_kb=1000, limit_kb=1000, statistics=statistics))))
    assert isinstance(found, Finding)
    assert found.summary == (
        "850 KiB of 900 KiB of page cache (94 %) waited to be written and could not be dropped: "
        "85 % of the cgroup."
    )


@pytest.mark.parametrize(
    "statistics",
    [
        {"file": 900 << 10, "file_dirty": 10 << 10, "file_writeback": 0},
        {"file": 900 << 10, "file_dirty": 90 << 10, "shmem": 890 << 10},
        {"anon": 900 << 10},
        {},
    ],
)
def test_a_cgroup_full_of_something_else_is_not(statistics: dict[str, int]) -> None:
    """A tmpfs, which counts as file, or clean cache would be called dirty."""
    assert examine(Case(cgroup(Memcg(usage_kb=1000, limit_kb=1000, statistics=statistics)))) is None

"""From numbers by time to what is said of the seconds before an event."""

import pytest
from tests.diagnosis.test_series import drawn

from memwatchd.diagnosis.history import PROCESS, SLAB, Grower, History, Reclaim, RuleAction, ZonePast
from memwatchd.diagnosis.past import Past, Size, ZoneLevels, derive_history
from memwatchd.diagnosis.series import Series

MIB = 1 << 20


def mib(figures: str) -> Series:
    """A drawing in MiB."""
    times_s, values = drawn(figures)
    return Series(times_s, [value * MIB for value in values])


def past(**changed: object) -> Past:
    """Nine seconds with a sample a second, and what is given beside them."""
    return Past(**{"times_s": [float(at) for at in range(-8, 0)] + [-0.01], **changed})  # type: ignore[arg-type]


def derived(**changed: object) -> History:
    history = derive_history(past(**changed))
    assert history is not None
    return history


def test_a_whole_history() -> None:
    """A figure of the history would be another than what was recorded."""
    action = RuleAction(-1.5, "slab", "drop_caches", "helped", "freed 3 MiB")
    history = derive_history(
        Past(
            times_s=[-20.0, -12.0, -11.0, -9.0, -8.0, -1.0, -0.01],
            missed=7,
            sizes=[
                Size("AnonPages", mib("50 50 50 50 50 50 90 130 170")),
                Size("Shmem", mib("7 7 7 7 7 7 7 7 7")),
                Size(SLAB, mib("10 10 10 10 10 10 20 30 40"), "nfs_inode_cache"),
                Size(PROCESS, mib("40 40 40 40 40 40 70 100 130"), "java", 17),
                Size(PROCESS, mib("90 90 90 90 90 90 90 90 90"), "cron", 18),
            ],
            zones=[
                ZoneLevels(0, "Normal", mib("90 90 40 30 20 10"), mib("50 " * 6), mib("30 " * 6)),
                ZoneLevels(0, "DMA", mib("15 15 15"), mib("3 3 3"), mib("2 2 2")),
            ],
            amounts={
                "available": mib("60 40 20 5"),
                "swap_total": mib("100 100 100 100"),
                "swap_free": mib("90 60 30 0"),
            },
            counters={
                "direct_scanned": drawn("0 0 0 0 0 0 0 0 0 0 0 0 10 100 1000"),
                "direct_reclaimed": drawn("0 0 0 0 0 0 0 0 0 0 0 0 5 20 30"),
                "kswapd_scanned": drawn("500 500 500"),
                "kswapd_reclaimed": drawn("400 400 400"),
                "stalled_some_s": drawn("3 3 3 3.5 4.5"),
                "stalled_full_s": drawn("1 1 1 1 1.25"),
                "allocstalls": drawn("7 7 9"),
                "swapped_out_pages": drawn("0 100 300"),
            },
            actions=[action],
        )
    )
    assert history == History(
        from_s=-20.0,
        samples=7,
        newest_s=-0.01,
        missed=7,
        longest_gap_s=8.0,
        growers=(
            Grower("AnonPages", "", None, 50 * MIB, 170 * MIB, -3.0, 0.0, 40.0 * MIB),
            Grower(PROCESS, "java", 17, 40 * MIB, 130 * MIB, -3.0, 0.0, 30.0 * MIB),
            Grower(SLAB, "nfs_inode_cache", None, 10 * MIB, 40 * MIB, -3.0, 0.0, 10.0 * MIB),
        ),
        seen_pids=frozenset({17, 18}),
        zones=(
            ZonePast(0, "Normal", 10 * MIB, 30 * MIB, 50 * MIB, -3.0, -2.0),
            ZonePast(0, "DMA", 15 * MIB, 2 * MIB, 3 * MIB, None, None),
        ),
        available_bytes=5 * MIB,
        available_bytes_per_s=-55 * MIB / 3,
        swap_total_bytes=100 * MIB,
        swap_free_bytes=0,
        last_s=10.0,
        swap_free_bytes_per_s=-30.0 * MIB,
        direct=Reclaim(1000, 30),
        kswapd=Reclaim(0, 0),
        stalled_some_s=1.5,
        stalled_full_s=0.25,
        allocstalls=2,
        swapped_out_pages=300,
        actions=(action,),
    )


def test_what_a_kernel_does_not_count_is_not_there() -> None:
    """A kernel without PSI or without swap would seem to have had no stall, or full swap."""
    history = derived()
    assert history == History(from_s=-8.0, samples=9, newest_s=-0.01, longest_gap_s=1.0, last_s=8.0)
    assert history.stalled_some_s is None
    assert history.direct is None
    assert history.swap_free_bytes is None


def test_nothing_recorded_is_no_history() -> None:
    """An event from before the recording would be explained by what came after it."""
    assert derive_history(Past(times_s=[])) is None


def test_the_end_of_the_recording_is_a_gap() -> None:
    """A recorder that stood still in the last second would seem to have seen it."""
    assert derived(times_s=[-3.0, -2.0, -1.9]).longest_gap_s == 1.9


def test_only_the_last_seconds_are_counted() -> None:
    """Reclaim of half a minute ago would hide that there was nothing left in the end."""
    scanned, reclaimed = drawn("0 " + "9000 " * 13 + "9100"), drawn("0 " + "8000 " * 13 + "8001")
    history = derived(
        times_s=[-14.0, -0.01], counters={"direct_scanned": scanned, "direct_reclaimed": reclaimed}
    )
    assert history.direct == Reclaim(100, 1)
    assert history.direct.efficiency == 0.01


def test_reclaim_needs_both_counters() -> None:
    """Kernels before 3.5 count no pgsteal_direct: their reclaim would be said to have freed nothing."""
    assert derived(counters={"direct_scanned": drawn("0 50 100")}).direct is None
    assert Reclaim(0, 0).efficiency is None


@pytest.mark.parametrize(
    ("figures", "from_start", "rising"),
    [
        pytest.param("10 20 30 40 50 60 70 80 90", True, True, id="all the time"),
        pytest.param("10 10 10 10 10 10 40 70 90", False, True, id="in the end"),
        pytest.param("10 50 90 90 90 90 90 90 90", True, False, id="in the beginning"),
    ],
)
def test_when_it_grew(figures: str, from_start: bool, rising: bool) -> None:
    """What had grown half a minute ago would be taken for what brought the machine down."""
    grower = derived(sizes=[Size("AnonPages", mib(figures))]).grower("AnonPages")
    assert grower is not None
    assert (grower.from_start, grower.rising) == (from_start, rising)


def test_a_process_that_is_younger_than_the_recording_did_not_grow_before_it() -> None:
    """Its first value is the first of the series, not of the recording."""
    grower = derived(sizes=[Size(PROCESS, mib("0 40 80"), "hog", 17)]).grower(PROCESS)
    assert grower is not None
    assert (grower.since_s, grower.from_start) == (-2.0, False)


def test_noise_is_left_out() -> None:
    """The list would be full of what every machine does all the time."""
    history = derived(
        sizes=[
            Size("AnonPages", mib("100 100 100 100 300 500")),
            Size("Shmem", mib("7 7 7 7 7 7.9")),  # less than 1 MiB
            Size("PageTables", mib("10 10 10 10 10 11.5")),  # little beside the first
            Size("page cache", mib("900 900 900 900 900 910")),  # little of itself
            *(Size(SLAB, mib(f"0 0 0 0 0 {10 + place}"), f"cache{place}") for place in range(9)),
        ]
    )
    assert [each.name or each.kind for each in history.growers] == [
        *("AnonPages", "cache8", "cache7", "cache6", "cache5", "cache4"),
    ]


def test_asking_for_a_grower() -> None:
    """Another finding would blame the wrong cache, or a process for its namesake."""
    history = derived(
        sizes=[
            Size(SLAB, mib("0 0 0 5"), "dentry"),
            Size(SLAB, mib("0 0 0 9"), "inode_cache"),
            Size(PROCESS, mib("0 0 0 7"), "java", 17),
            Size(PROCESS, mib("0 0 0 6"), "java", 18),
        ]
    )

    def name(grower: Grower | None) -> tuple[str, int | None] | None:
        return None if grower is None else (grower.name, grower.pid)

    assert name(history.grower(SLAB)) == ("inode_cache", None)
    assert name(history.grower(SLAB, "dentry")) == ("dentry", None)
    assert name(history.grower(SLAB, "nfs_inode_cache")) is None
    assert name(history.grower(PROCESS, pid=18)) == ("java", 18)
    assert [each.pid for each in history.growers_of(PROCESS)] == [17, 18]


def test_asking_for_a_zone() -> None:
    """The zone of another node would be shown."""
    low = mib("3 3")
    history = derived(zones=[ZoneLevels(node, "Normal", mib("9 9"), low, low) for node in (0, 1)])
    assert [zone and zone.node for zone in (history.zone("Normal"), history.zone("Normal", 1))] == [0, 1]
    assert history.zone("DMA") is None

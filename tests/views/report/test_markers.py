"""What happened when."""

from tests.views.report.conftest import COMM, HOSTILE, RULE

from memwatchd.views.report.markers import Marker, Sort, find_markers
from memwatchd.views.report.story import Story


def test_everything_worth_a_mark_is_found(story: Story) -> None:
    """A kill, or what was done against it, would not be seen in the charts."""
    assert story.markers == (
        Marker(Sort.GAP, -4.0, -3.0, "no sample for 1000 ms, 9 missed"),
        Marker(Sort.KSWAPD, -4.0, 2.0, "kswapd reclaimed for 6.0 s: 54,000 pages scanned"),
        Marker(Sort.DIRECT, -2.0, 2.0, "tasks reclaimed themselves for 4.0 s: 20,000 pages scanned"),
        Marker(Sort.RULE, -1.5, -1.5, f"rule {RULE} fired: meminfo.MemAvailable 95.4 MiB"),
        Marker(Sort.ACTION, -1.4, -1.4, f"rule {RULE}: reclaim: helped: {HOSTILE}"),
        Marker(Sort.KILL, 0.0, 0.0, f"the kernel killed {COMM} (pid 4711) for /app"),
    )


def test_of_very_many_gaps_the_longest_are_kept(story: Story) -> None:
    """A busy machine's page would be gaps and nothing else."""
    gaps = [{"at_s": float(place), "missed": 1, "length_s": place / 1000} for place in range(500)]
    summary = story.summary | {"samples": {"gaps": gaps}, "kills": [], "events": []}
    found = find_markers(summary, ())
    assert [marker.to_s for marker in found] == [float(place) for place in range(400, 500)]

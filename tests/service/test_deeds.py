"""What came of actions, as numbers."""

from memwatchd.actions.base import Verdict
from memwatchd.service.deeds import Deeds

MS = 1_000_000


def test_buckets_hold_all_that_was_no_longer() -> None:
    """Quantiles of how long actions take would be nonsense."""
    deeds = Deeds()
    for took_ms in (0.5, 1, 2, 50, 200_000):
        deeds.add(Verdict.HELPED, round(took_ms * MS))
    deeds.add(Verdict.TIMED_OUT, 5000 * MS)
    facts = deeds.facts()
    assert facts["took"] == {
        "buckets": [
            *([0.001, 2], [0.003, 3], [0.01, 3], [0.03, 3], [0.1, 4], [0.3, 4], [1.0, 4], [3.0, 4]),
            *([10.0, 5], [30.0, 5], [100.0, 5]),
        ],
        "count": 6,
        "sum_s": 205.0535,
    }
    assert (facts["verdicts"]["helped"], facts["verdicts"]["timed out"]) == (5, 1)


def test_what_was_not_done_took_no_time() -> None:
    """Declined at once would make a slow action look fast."""
    deeds = Deeds()
    deeds.add(Verdict.DECLINED, 1)
    facts = deeds.facts()
    assert facts["verdicts"]["declined"] == 1
    assert facts["took"]["count"] == 0

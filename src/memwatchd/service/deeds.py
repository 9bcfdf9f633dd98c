"""What came of each action and how long it took, for the state file."""

from dataclasses import dataclass, field
from typing import Any

from memwatchd.actions.base import Verdict

# Upper bounds, in seconds: from a signal, which takes a millisecond, to drop_caches on a large machine.
_BOUNDS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(slots=True)
class Deeds:
    """Of one action since the service started; every verdict is there with 0 from the start."""

    verdicts: dict[str, int] = field(default_factory=lambda: {str(verdict): 0 for verdict in Verdict})
    _counts: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS_S))
    _count: int = 0
    _sum_s: float = 0.0

    def add(self, verdict: Verdict, took_ns: int) -> None:
        """Count one; how long it took says nothing where it was not done."""
        self.verdicts[str(verdict)] += 1
        if verdict is Verdict.DECLINED:
            return
        took_s = took_ns / 1e9
        self._counts = [
            count + (took_s <= bound) for bound, count in zip(_BOUNDS_S, self._counts, strict=True)
        ]
        self._count += 1
        self._sum_s += took_s

    def facts(self) -> dict[str, Any]:
        """As it stands in the state file; a bucket has all that took no longer than its bound, in seconds."""
        buckets = [list(each) for each in zip(_BOUNDS_S, self._counts, strict=True)]
        took = {"buckets": buckets, "count": self._count, "sum_s": round(self._sum_s, 6)}
        return {"verdicts": dict(self.verdicts), "took": took}

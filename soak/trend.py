"""Whether a figure grows: robustly, so that neither a peak nor a step at the edge decides.

**Sizes** (memory) get a Theil–Sen slope: the median of the slopes between all pairs of points. Up to 29 % of
the points may be arbitrarily wrong without moving it far, which a least-squares line does not survive.
**Counts** (descriptors, threads) come and go with each connection, so it is their floor that counts: the
lowest value of the last third against the lowest of the first. One that leaks raises the floor for good.
"""

from collections.abc import Sequence
from itertools import combinations
from statistics import median

Points = Sequence[tuple[float, float]]

# All pairs of so many are some seven thousand.
_MOST_POINTS = 120
FEWEST_POINTS = 9


def growth(points: Points) -> float | None:
    """How much a figure grew from the first to the last point, by its median slope.

    Args:
        points: Time and value, by time.

    Returns:
        In the unit of the values; None when there are too few points to tell.
    """
    if len(points) < FEWEST_POINTS:
        return None
    few = thinned(points)
    slopes = [(b - a) / (later - at) for (at, a), (later, b) in combinations(few, 2) if later > at]
    return median(slopes) * (few[-1][0] - few[0][0]) if slopes else None


def floor_rise(points: Points) -> float | None:
    """How far the lowest value of the last third is above that of the first; None with too few points."""
    if len(points) < FEWEST_POINTS:
        return None
    third = len(points) // 3
    return min(value for _, value in points[-third:]) - min(value for _, value in points[:third])


def thinned(points: Points) -> list[tuple[float, float]]:
    """Medians of neighbouring points, so that there are not too many of them."""
    size = -(-len(points) // _MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(median(at for at, _ in group), median(value for _, value in group)) for group in groups]

"""A value's last minute as a picture: a band from the lowest to the highest in each tenth of a second."""

from collections.abc import Callable, Iterator, Sequence
from math import isinf, isnan

WIDTH, HEIGHT = 600, 72

Band = Sequence[tuple[float, float]]


def draw(band: Band, low: float, high: float, label: Callable[[float], str]) -> str:
    """Draw a band as inline SVG.

    Args:
        band: (lowest, highest) of each span, oldest first; NaN where nothing is known.
        low: The value at the bottom.
        high: The value at the top; more than `low`.
        label: Writes a value. What it gives must be safe in HTML.
    """
    shapes = "".join(_shape(run, low, high, len(band)) for run in _runs(band))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img">'
        f'<path d="M0 0H{WIDTH}M0 {HEIGHT}H{WIDTH}" class="frame"/>{shapes}</svg>'
        f'<div class="scale"><span>{label(high)}</span><span>{label(low)}</span></div>'
    )


def _runs(band: Band) -> Iterator[list[tuple[int, float, float]]]:
    """Spans in a row of which something is known."""
    run: list[tuple[int, float, float]] = []
    for at, (lowest, highest) in enumerate(band):
        if isnan(lowest) or isinf(lowest):
            if run:
                yield run
            run = []
        else:
            run.append((at, lowest, highest))
    if run:
        yield run


def _shape(run: list[tuple[int, float, float]], low: float, high: float, count: int) -> str:
    def x(at: int) -> str:
        return f"{at * WIDTH / count:.0f}"

    def y(value: float) -> str:
        share = (min(max(value, low), high) - low) / (high - low)
        return f"{(1 - share) * HEIGHT:.1f}"

    upper = _line([(at, y(highest)) for at, _, highest in run], run[-1][0] + 1)
    lower = _line([(at, y(lowest)) for at, lowest, _ in run], run[-1][0] + 1)
    forth = "".join(f"L{x(at)} {level}" for at, level in upper)
    back = "".join(f"L{x(at)} {level}" for at, level in reversed(lower))
    return f'<path d="M{forth[1:]}{back}Z" class="band"/>'


def _line(points: list[tuple[int, str]], end: int) -> list[tuple[int, str]]:
    """Steps: each level from its beginning to the next one's; levels that do not change need no point."""
    found: list[tuple[int, str]] = []
    for at, level in points:
        if not found:
            found.append((at, level))
        elif level != found[-1][1]:
            found += [(at, found[-1][1]), (at, level)]
    found.append((end, found[-1][1]))
    return found

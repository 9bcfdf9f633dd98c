"""When a child that died is started again, drawn as timelines of half seconds.

child   X it dies, # it cannot even be started, . it runs (or is gone)
start   S it is started
"""

import pytest

from memwatchd.service.children import Backoff

STEP_NS = 500_000_000
START_NS = 1_000_000 * STEP_NS


def run(child: str) -> str:
    """Follow a child that was started right before the timeline; it dies at each X."""
    backoff = Backoff()
    backoff.started(START_NS - STEP_NS)
    drawn = ""
    for step, char in enumerate(child):
        now_ns = START_NS + step * STEP_NS
        if char == "X":
            backoff.died(now_ns)
        if not backoff.due(now_ns):
            drawn += "."
        elif char == "#":
            backoff.died(now_ns)
            drawn += "#"
        else:
            backoff.started(now_ns)
            drawn += "S"
    return drawn


@pytest.mark.parametrize(
    ("child", "start"),
    [
        ("........", "........"),
        # At once the first time.
        ("...X....", "...S...."),
        # Then after half a second, one, two …
        ("XX......", "S.S....."),
        ("XX.X....", "S.S..S.."),
        ("XX.X..X.......", "S.S..S....S..."),
        # A good life of ten seconds, and all is forgotten.
        ("XX.X" + "." * 22 + "X..", "S.S..S" + "." * 20 + "S.."),
    ],
)
def test_a_child_that_dies_young_is_started_later_and_later(child: str, start: str) -> None:
    """A sampler that dies at its start would be started ten times a second, or never again."""
    assert run(child) == start


def test_it_is_never_given_up() -> None:
    """After an hour of trouble the machine would be without a recorder for ever."""
    backoff, now_ns, waits_s = Backoff(), START_NS, []
    for _ in range(12):
        backoff.started(now_ns)
        backoff.died(now_ns)
        since_ns = now_ns
        while not backoff.due(now_ns):
            now_ns += STEP_NS
        waits_s.append((now_ns - since_ns) / 1e9)
    assert waits_s == [0, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]


def test_a_child_that_cannot_be_started_is_tried_later_and_later() -> None:
    """Without memory for a process, a machine in trouble would be kept busy with ten tries a second."""
    backoff, now_ns, tries = Backoff(), START_NS, 0
    backoff.died(now_ns)
    for _ in range(600):  # a minute, as the service's loop turns
        now_ns += 100_000_000
        if backoff.due(now_ns):
            tries += 1
            backoff.died(now_ns)
    assert tries <= 9


def test_what_was_never_started_is_not_due() -> None:
    """A child that is switched off would be started."""
    assert not Backoff().due(START_NS)

"""How long tasks waited for memory."""

import pytest

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Dismissal, Finding
from memwatchd.diagnosis.history import History
from memwatchd.diagnosis.stall import examine
from memwatchd.oomreport.report import OOM_KILL, Event


def case(**history: object) -> Case:
    return Case(Event(OOM_KILL), History(**{"from_s": -20.0, "last_s": 10.0, **history}))  # type: ignore[arg-type]


def test_a_stall() -> None:
    """A machine that stood still for seconds would look as if it had been hit out of the blue."""
    found = examine(
        case(
            stalled_some_s=3.2,
            stalled_full_s=1.1,
            allocstalls=12345,
            refaulted_file_pages=4000,
            refaulted_anon_pages=500,
            major_faults=77,
        )
    )
    assert found == Finding(
        tag="stall",
        confidence=0.95,
        weight=0.0,
        summary=(
            "Tasks waited for memory in 3.20 s of the last 10.0 s (32.0%), and all that had something to do "
            "at once in 1.10 s (11.0%); 12,345 allocations had to reclaim memory first; "
            "4,500 pages came back that had just been dropped."
        ),
        figures={
            "last_s": 10.0,
            "some_s": 3.2,
            "full_s": 1.1,
            "allocstalls": 12345,
            "refaulted_file_pages": 4000,
            "refaulted_anon_pages": 500,
            "major_faults": 77,
        },
    )


def test_what_is_not_counted_is_not_said() -> None:
    """A kernel without these counters would be said to have counted nothing."""
    found = examine(case(stalled_some_s=3.2))
    assert isinstance(found, Finding)
    assert found.summary == "Tasks waited for memory in 3.20 s of the last 10.0 s (32.0%)."


def test_no_stall() -> None:
    """A rule on stalls would be advised where none could have helped."""
    found = examine(case(stalled_some_s=0.04, stalled_full_s=0.0))
    assert isinstance(found, Dismissal)
    assert found.reason.startswith("Tasks hardly waited for memory before: 0.04 s of the last 10.0 s.")


@pytest.mark.parametrize(
    "without",
    [
        pytest.param(Case(Event(OOM_KILL)), id="a recording"),
        pytest.param(case(), id="PSI"),
        pytest.param(case(stalled_some_s=0.1, last_s=0.2), id="time"),
    ],
)
def test_nothing_is_said_without(without: Case) -> None:
    """A kernel without PSI would be said to have had no stall."""
    assert examine(without) is None

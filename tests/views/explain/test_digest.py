"""Several events on one page."""

from collections.abc import Iterable
from dataclasses import replace

from tests.views.explain.events import limit_met, unaccounted

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import RECORDED
from memwatchd.views.explain.digest import Digest, in_markdown, on_screen, telling
from memwatchd.views.explain.text import Screen, render


def written(paper: Digest, diagnoses: Iterable[Diagnosis]) -> list[str]:
    """What is printed at each step."""
    steps = ["".join(paper.begin())]
    steps += [
        "".join(paper.take(number, "kern.log", diagnosis)) for number, diagnosis in enumerate(diagnoses, 1)
    ]
    return [*steps, "".join(paper.end())]


def whole(diagnosis: Diagnosis) -> str:
    return "".join(f"{line}\n" for line in render(diagnosis, Screen()))


def test_a_single_event_has_no_table() -> None:
    """The verdict would not be the first line."""
    assert written(Digest(on_screen(Screen()), whole=False), [unaccounted()]) == [
        "",
        "",
        whole(unaccounted()),
    ]


def test_nothing_is_nothing() -> None:
    """An empty page would be printed for a quiet night."""
    assert written(Digest(on_screen(Screen()), whole=False), []) == ["", ""]
    assert written(Digest(in_markdown(), whole=True), []) == ["", ""]


def test_lines_of_the_table_come_as_they_are_read() -> None:
    """A log of hundreds of megabytes would show nothing until its end."""
    events = [limit_met("a"), limit_met("b"), limit_met("c")]
    *begun, end = written(Digest(on_screen(Screen()), whole=False), events)
    assert [len(step.splitlines()) for step in begun] == [0, 0, 3, 1]
    head, note, *rest = end.split("\n\n")
    assert (head, note) == (
        "\nEvent 3, which tells most; --event N prints another one, --all prints every one",
        "\n\n".join(whole(events[2]).split("\n\n")[:1]),
    )
    assert rest


def test_the_most_telling_event_is_shown() -> None:
    """The last half of a report would be shown instead of a whole one before it."""
    events = [limit_met("whole"), limit_met("half", complete=False)]
    end = written(Digest(on_screen(Screen()), whole=False), events)[-1]
    assert end.endswith(whole(events[0]))
    assert "Event 1, which" in end


def test_all_of_them() -> None:
    """`--all` would leave some out, or run one into the other."""
    _, first, second, end = written(Digest(on_screen(Screen()), whole=True), [limit_met(), unaccounted()])
    assert first == f"Event 1, 12.500 s after start, OOM kill, memcg\n\n{whole(limit_met())}"
    assert second == f"\nEvent 2, Jan  5 15:19:27, OOM kill\n\n{whole(unaccounted())}"
    assert end == ""


def test_markdown_has_a_table_and_one_event() -> None:
    """A ticket about a night with several kills would name one."""
    text = "".join(written(Digest(in_markdown(), whole=False), [limit_met(), limit_met("b")]))
    assert text.startswith("## Events\n\n| | time |")
    assert text.count("\n| ") == 3
    assert text.count("\n## ") == 1


def test_a_recording_tells_most_if_it_names_a_cause() -> None:
    """Of an incident without a report an old kill that is still in its log would be shown instead."""
    kill = limit_met()
    event = replace(kill.case.event, kind=RECORDED)
    named = replace(kill, case=Case(event))
    calm = replace(named, findings=(replace(kill.verdict, tag="unknown"),))
    half = limit_met(complete=False)
    assert telling(named) > telling(kill) >= telling(calm) > telling(half)

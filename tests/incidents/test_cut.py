"""A smaller incident of one."""

from pathlib import Path
from typing import Any

import pytest
from tests.columns import each_row
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo, slabinfo, vmstat

from memwatchd.errors import NotFoundError
from memwatchd.incidents.cut import cut_incident
from memwatchd.incidents.format import BlockType
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.ring.stream import messages, process_rows, stored_files
from memwatchd.signals.table import read_table


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Incident:
    """A tick every tenth of a second, slabinfo every half, a new source in the middle; three segments."""
    for number in range(-20, 21):
        at_s = number / 10
        if number in (-8, 9):
            tape.new_segment()
        if number == 0:
            tape.watch("process/7/statm", pid=7, comm="x")
        texts = {"meminfo": meminfo(MemFree=1000 + number), "vmstat": vmstat(oom_kill=number)}
        if number % 5 == 0:
            texts["slabinfo"] = slabinfo(dentry=100 + number)
        if number > 0:
            texts["process/7/statm"] = b"1 %d 3\n" % number
        tape.sample(at_s, texts)
        tape.noticed(at_s + 0.01, "tick", number=number)
        tape.message(at_s + 0.02, b"4,%d,%d,-;m\n" % (number + 20, 60_000_000 + number * 100_000))
        tape.file(at_s + 0.03, "loadavg", b"%d\n" % number)
        tape.processes(at_s + 0.04, {"pid": number + 50, "comm": "x", "rss_kib": 4})
    return open_incident(write_incident({"counters": {"vmstat": 1}}, texts={"config": b"rules: {}\n"}))


def columns(incident: Incident) -> dict[float, dict[str, float]]:
    """Every signal of every sample."""
    table = read_table(incident.moments(), 4096)
    found: dict[float, dict[str, float]] = {(at_ns - ZERO_NS) / S: {} for at_ns in table.times_ns}
    for name, column in table.columns.items():
        for at, value in zip(found.values(), each_row(column, len(table.times_ns)), strict=True):
            if value == value:
                at[name] = value
    return found


def cut(incident: Incident, out: Path, from_s: float, to_s: float) -> Incident:
    cut_incident(incident, out, ZERO_NS + round(from_s * S), ZERO_NS + round(to_s * S))
    return open_incident(out)


@pytest.mark.parametrize(
    ("from_s", "to_s"),
    [(-2, 2), (-1.23, 1.17), (-0.8, 0.9), (-0.79, -0.41), (0, 0), (-0.4, 5), (-9, -1.9), (1.2, 1.3)],
)
def test_what_is_left_reads_as_before(incident: Incident, tmp_path: Path, from_s: float, to_s: float) -> None:
    """A cut would show other numbers than the incident it is of, or lack sources read before it begins."""
    smaller = cut(incident, tmp_path / "cut.mwi", from_s, to_s)
    expected = {at_s: row for at_s, row in columns(incident).items() if from_s <= at_s <= to_s}
    assert columns(smaller) == expected
    assert (smaller.problems, smaller.complete) == ([], True)
    assert smaller.trigger_ns == incident.trigger_ns


def test_events_messages_files_and_processes(incident: Incident, tmp_path: Path) -> None:
    """What lies outside would be in it, and what the first moment needs from before would not."""
    smaller = cut(incident, tmp_path / "cut.mwi", -0.5, 0.5)
    inside = [number for number in range(-20, 21) if -0.5 <= number / 10 + 0.02 <= 0.5]
    noticed = [each["number"] for each in from_incident(smaller).events() if each["event"] == "tick"]
    assert noticed == inside
    told = [message.raw for message in messages(smaller.segments(BlockType.EVENTS))]
    assert told == [b"4,%d,%d,-;m\n" % (number + 20, 60_000_000 + number * 100_000) for number in inside]
    files = [stored.text for stored in stored_files(smaller.segments(BlockType.EVENTS))]
    assert files == [b"%d\n" % number for number in (-6, *inside)]
    pids = [row["pid"] for part in process_rows(smaller.segments(BlockType.EVENTS)) for row in part.rows]
    assert pids == [number + 50 for number in range(-20, 5)]
    assert smaller.texts() == incident.texts()


def test_what_is_said_of_it(incident: Incident, tmp_path: Path) -> None:
    """The facts of a death would change with the seconds that somebody looks at."""
    smaller = cut(incident, tmp_path / "cut.mwi", -0.5, 0.5)
    said: dict[str, Any] = {
        "window": {"from_ns": ZERO_NS - S // 2, "to_ns": ZERO_NS + S // 2},
        "cut": {"from_ns": ZERO_NS - S // 2, "to_ns": ZERO_NS + S // 2},
    }
    assert smaller.meta == incident.meta | said
    assert smaller.header == incident.header
    assert smaller.path.stat().st_size < incident.path.stat().st_size / 2


def test_a_cut_can_be_cut(incident: Incident, tmp_path: Path) -> None:
    """Its first segment begins in another way than those of the recorder."""
    once = cut(incident, tmp_path / "once.mwi", -1.2, 1.2)
    twice = cut(once, tmp_path / "twice.mwi", -0.7, 0.3)
    assert columns(twice) == columns(cut(incident, tmp_path / "direct.mwi", -0.7, 0.3))


def test_nothing_between(incident: Incident, tmp_path: Path) -> None:
    """An empty incident would be written, or half of one be left behind."""
    with pytest.raises(NotFoundError, match="no samples between these moments"):
        cut(incident, tmp_path / "cut.mwi", 7, 8)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["ring0", "ring1"]


def test_an_interruption_leaves_nothing(
    incident: Incident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an incident would lie there under a name that looks like a whole one."""
    monkeypatch.setattr("memwatchd.incidents.writer.IncidentWriter.finish", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut(incident, tmp_path / "cut.mwi", -1, 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["ring0", "ring1"]


def _interrupt(*_ignored: object) -> None:
    raise KeyboardInterrupt

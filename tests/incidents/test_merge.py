"""One incident of several of one boot."""

from pathlib import Path

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo
from tests.incidents.test_cut import columns, cut

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.merge import merge_incidents
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.incidents.rewrite import Contents
from memwatchd.incidents.rewrite import write_incident as write_file
from memwatchd.ring.stream import messages

FIRST, SECOND = 100, 200


def kill(pid: int, at_s: float) -> dict[str, object]:
    return {"monotonic_ns": ZERO_NS + round(at_s * S), "pid": pid, "comm": "x", "amounts_kib": {}}


@pytest.fixture
def whole(tape: Tape, write_incident: WriteIncident) -> Incident:
    """Four seconds with two kills."""
    for number in range(-20, 21):
        if number % 7 == 0:
            tape.new_segment()
        tape.sample(number / 10, {"meminfo": meminfo(MemFree=1000 + number)})
        tape.message(number / 10 + 0.02, b"4,%d,%d,-;m\n" % (number + 20, 60_000_000))
        if number in (-5, 5):
            tape.noticed(number / 10, "oom_kill", source="vmstat", rise=1)
    facts = {"kills": [kill(FIRST, -0.5), kill(SECOND, 0.5)], "window": window(-2, 2), "degraded": ["one"]}
    return open_incident(write_incident(facts, texts={"config": b"a\n"}))


def window(from_s: float, to_s: float) -> dict[str, int]:
    return {"from_ns": ZERO_NS + round(from_s * S), "to_ns": ZERO_NS + round(to_s * S)}


def rewritten(
    incident: Incident, out: Path, header: IncidentHeader | None = None, **meta: object
) -> Incident:
    """The same incident with other facts."""
    streams = {kind: incident.segments(kind) for kind in (BlockType.EVENTS, BlockType.SAMPLES)}
    texts = incident.texts()
    merged = {**incident.meta, **meta}
    write_file(out, Contents(header or incident.header, merged, streams, texts, complete=True))
    return open_incident(out)


def test_pieces_make_the_whole(whole: Incident, tmp_path: Path) -> None:
    """Samples that two incidents have would count twice, or those of one be lost."""
    spans = [(-1.1, 0.4), (-2, -0.7), (-0.2, 0.3), (0.25, 3)]
    pieces = [cut(whole, tmp_path / f"{place}.mwi", *span) for place, span in enumerate(spans)]
    out = tmp_path / "merged.mwi"
    merge_incidents(pieces, out)
    merged = open_incident(out)
    assert columns(merged) == columns(whole)
    assert (merged.problems, merged.complete, merged.texts()) == ([], True, whole.texts())
    told = [message.raw for message in messages(merged.segments(BlockType.EVENTS))]
    assert told == [message.raw for message in messages(whole.segments(BlockType.EVENTS))]
    assert from_incident(merged).events() == from_incident(whole).events()


def test_what_is_said_of_them(whole: Incident, tmp_path: Path) -> None:
    """A kill that two incidents tell of would be two kills, and moment zero that of neither."""
    later = rewritten(
        whole,
        tmp_path / "later.mwi",
        trigger=whole.meta["trigger"] | {"monotonic_ns": ZERO_NS + S, "detail": "later"},
        kills=[kill(SECOND, 0.5), kill(300, 1.5)],
        window=window(0, 3),
        degraded=["one", "two"],
    )
    for order in ([whole, later], [later, whole]):
        merge_incidents(order, tmp_path / "merged.mwi")
        facts = open_incident(tmp_path / "merged.mwi").facts
        assert facts["trigger"] == whole.facts["trigger"]
        assert [each["pid"] for each in facts["kills"]] == [FIRST, SECOND, 300]
        assert (facts["counters"], facts["window"]) == ({"vmstat": 2}, window(-2, 3))
        assert facts["degraded"] == ["one", "two"]


def test_a_daemon_that_was_started_again(whole: Incident, tape: Tape, tmp_path: Path) -> None:
    """Segments of the same number would replace each other: a new daemon counts from 1."""
    again = cut(whole, tmp_path / "again.mwi", 1, 2)
    first = cut(whole, tmp_path / "first.mwi", -2, -1)
    renumbered = tmp_path / "renumbered.mwi"
    merge_incidents([again, again], renumbered)
    assert [each.header.sequence for each in open_incident(renumbered).segments(BlockType.SAMPLES)] == [1, 2]
    merge_incidents([first, open_incident(renumbered)], tmp_path / "merged.mwi")
    expected = {at_s: row for at_s, row in columns(whole).items() if abs(at_s) >= 1}
    assert columns(open_incident(tmp_path / "merged.mwi")) == expected


def test_what_does_not_belong_together(whole: Incident, tmp_path: Path) -> None:
    """Samples of two clocks would stand in one row of time."""
    header = IncidentHeader(b"i" * 16, b"b" * 16, 0)
    host = {"hostname": "web"}
    cases = [
        (rewritten(whole, tmp_path / "boot.mwi", header), "are of two boots"),
        (rewritten(whole, tmp_path / "host.mwi", header, host=host), "are of two machines"),
        (rewritten(whole, tmp_path / "page.mwi", host={"page_size": 65536}), "have pages of different sizes"),
    ]
    for other, said in cases:
        with pytest.raises(MemwatchdError, match=f"{other.path.name}.* {said}|{said}"):
            merge_incidents([whole, other], tmp_path / "merged.mwi")
    assert not (tmp_path / "merged.mwi").exists()


def test_texts_that_differ_are_both_kept(whole: Incident, tmp_path: Path) -> None:
    """After a reload the configuration of one of them would be gone."""
    other = tmp_path / "other.mwi"
    streams = {kind: whole.segments(kind) for kind in (BlockType.EVENTS, BlockType.SAMPLES)}
    texts = {"config": b"b\n", "kmsg-backlog": b"4,1,1,-;x\n"}
    write_file(other, Contents(whole.header, whole.meta, streams, texts, complete=False))
    merge_incidents([whole, open_incident(other)], tmp_path / "merged.mwi")
    merged = open_incident(tmp_path / "merged.mwi")
    assert merged.texts() == {"config": b"a\n", "config of other.mwi": b"b\n", "kmsg-backlog": b"4,1,1,-;x\n"}
    assert not merged.complete

"""Writing an incident and reading it back, at every stage of its life."""

import os
from pathlib import Path

import pytest
from tests.conftest import BOOT_ID, ZERO_REALTIME_NS, Tape

from memwatchd.errors import FormatError, NotFoundError
from memwatchd.incidents import reader
from memwatchd.incidents.format import (
    BLOCK_HEADER_BYTES,
    BlockHeader,
    BlockType,
    IncidentHeader,
)
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.writer import IncidentWriter
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events

HEADER = IncidentHeader(b"i" * 16, BOOT_ID, ZERO_REALTIME_NS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "incident.mwi"


def texts_of(incident: Incident, name: str = "vmstat") -> list[bytes | None]:
    return [moment.text(name) for moment in incident.moments()]


def store(writer: IncidentWriter, tape: Tape) -> None:
    writer.add_segments(BlockType.SAMPLES, read_segments(tape.samples))
    writer.add_segments(BlockType.EVENTS, read_segments(tape.events))


def test_everything_comes_back(path: Path, tape: Tape) -> None:
    """An incident would not hold what the ring held."""
    for number in range(3):
        tape.sample(number, {"vmstat": b"tick %d\n" % number})
        tape.new_segment()
    tape.happened(1, "sampler_died", status=-9)
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"trigger": {"kind": "requested", "monotonic_ns": 5}})
    store(writer, tape)
    writer.add_text(0, "config.yaml", b"sampling: {}\n")
    writer.add_text(1, "kmsg-backlog", b"\xff\0")
    writer.finish()
    incident = open_incident(path)
    assert (incident.header, incident.complete, incident.problems) == (HEADER, True, [])
    assert incident.meta == {"trigger": {"kind": "requested", "monotonic_ns": 5}}
    assert incident.trigger_ns == 5
    assert texts_of(incident) == [b"tick 0\n", b"tick 1\n", b"tick 2\n"]
    assert [event["event"] for event in events(incident.segments(BlockType.EVENTS))] == ["sampler_died"]
    assert incident.texts() == {"config.yaml": b"sampling: {}\n", "kmsg-backlog": b"\xff\0"}


def test_one_that_is_removed_while_it_is_read(path: Path, tape: Tape) -> None:
    """`show` of an incident that makes room for a new one would end in a traceback."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    writer.finish()
    incident = open_incident(path)
    path.unlink()
    with pytest.raises(NotFoundError, match="No such file"):
        texts_of(incident)


def test_a_segment_that_grew_is_stored_again_and_the_later_one_counts(path: Path, tape: Tape) -> None:
    """The seconds after the kill would be missing, or the samples before it be there twice."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    before = path.stat().st_size
    store(writer, tape)
    assert path.stat().st_size == before  # nothing new, nothing stored
    tape.sample(1, {"vmstat": b"1"})
    store(writer, tape)
    tape.new_segment()
    tape.sample(2, {"vmstat": b"2"})
    store(writer, tape)
    writer.finish()
    assert texts_of(open_incident(path)) == [b"0", b"1", b"2"]
    assert writer.last_sequence(BlockType.SAMPLES) == 2


def test_where_the_later_version_is_damaged_the_earlier_one_counts(path: Path, tape: Tape) -> None:
    """A bad sector would cost samples that were safe on disk already."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    first_end = path.stat().st_size
    tape.sample(1, {"vmstat": b"1"})
    store(writer, tape)
    writer.finish()
    with path.open("r+b") as file:
        file.seek(first_end + 200)
        file.write(b"\xff" * 8)
    incident = open_incident(path)
    assert texts_of(incident) == [b"0"]
    assert len(incident.problems) == 1
    assert "damaged" in incident.problems[0]


def test_a_growing_file_can_be_read_at_every_stage(path: Path, tape: Tape) -> None:
    """An incident could be looked at only after its aftermath, or never if the daemon dies meanwhile."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"complete": False})
    with pytest.raises(NotFoundError):
        open_incident(path.with_name("other"))
    for number in range(4):
        tape.sample(number, {"vmstat": b"%d" % number})
        store(writer, tape)
        incident = open_incident(path)
        assert texts_of(incident) == [b"%d" % each for each in range(number + 1)]
        assert (incident.complete, incident.meta, incident.problems) == (False, {"complete": False}, [])
    writer.add_meta({"complete": True})
    writer.finish()
    incident = open_incident(path)
    assert (incident.complete, incident.meta) == (True, {"complete": True})


def test_blocks_that_come_while_it_is_read_are_no_damage(
    path: Path, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks in the very moment would be told that the incident is damaged, and lose a part of it."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    come = [path.stat().st_size]
    os.truncate(path, 1 << 20)
    tape.sample(0, {"vmstat": b"0"})
    read = reader._block_at

    def slowly(descriptor: int, at: int, header: IncidentHeader, where: Path) -> BlockHeader | None:
        block = read(descriptor, at, header, where)
        if at in come:
            come.remove(at)
            store(writer, tape)
            writer.add_text(0, "config.yaml", b"rules: {}")
        return block

    monkeypatch.setattr(reader, "_block_at", slowly)
    incident = open_incident(path)
    assert (incident.problems, texts_of(incident)) == ([], [b"0"])


def test_reserved_space_with_zeros_is_no_damage(path: Path, tape: Tape) -> None:
    """Every incident that is still open would be called damaged."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    incident = open_incident(path)
    assert (texts_of(incident), incident.problems, incident.complete) == ([b"0"], [], False)
    assert path.stat().st_size == 1 << 20
    writer.finish()
    assert path.stat().st_size < 10_000
    assert open_incident(path).complete


def test_old_blocks_of_another_incident_in_the_reserved_space_are_ignored(path: Path, tape: Tape) -> None:
    """Kills of another day would be shown as part of this one."""
    old = IncidentWriter(path, IncidentHeader(b"o" * 16, BOOT_ID, 1))
    old.add_meta({"old": "x" * 3000})
    for number in range(6):
        tape.sample(number, {"vmstat": b"old %d" % number})
        tape.new_segment()
    store(old, tape)
    old.add_text(0, "old", b"old")
    old.close()
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"new": 1})
    writer.add_text(0, "new", b"new")
    incident = open_incident(path)
    assert (incident.meta, incident.texts(), texts_of(incident)) == ({"new": 1}, {"new": b"new"}, [])
    assert (incident.problems, incident.complete) == ([], False)
    assert incident.header == HEADER


def test_a_file_that_ends_in_the_middle_of_a_block_keeps_what_is_before(path: Path, tape: Tape) -> None:
    """A full disk would cost the whole incident."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    kept = path.stat().st_size
    writer.add_text(0, "config", b"x" * 500)
    writer.close()
    os.truncate(path, kept + 300)
    incident = open_incident(path)
    assert texts_of(incident) == [b"0"]
    assert incident.texts() == {}
    assert incident.problems == [
        f"the file ends in the middle of a block, at {kept + 300} of {kept + BLOCK_HEADER_BYTES + 508} bytes"
    ]


def test_blocks_of_a_later_version_are_skipped(path: Path, tape: Tape) -> None:
    """An incident written by a newer program would be unreadable."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1})
    writer._block(99, 0, b"what is this")  # type: ignore[arg-type]
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    writer.finish()
    incident = open_incident(path)
    assert (texts_of(incident), incident.problems, incident.complete) == ([b"0"], [], True)


@pytest.mark.parametrize("meta", [b"[]", b"not json", b"[" * 5000, b'"x"'])
def test_an_incident_without_meta_data_is_refused(path: Path, meta: bytes) -> None:
    """A damaged meta block would end in a traceback."""
    writer = IncidentWriter(path, HEADER)
    writer._block(BlockType.META, 0, meta)
    writer.close()
    with pytest.raises(FormatError, match="nothing readable is left"):
        open_incident(path)


def test_a_directory_is_no_incident(tmp_path: Path) -> None:
    """A wrong argument would end in a traceback."""
    with pytest.raises(FormatError, match="Is a directory"):
        open_incident(tmp_path)


@pytest.mark.parametrize("trigger", [{}, {"trigger": 7}, {"trigger": {}}, {"trigger": {"monotonic_ns": "x"}}])
def test_a_trigger_without_a_time_is_at_zero(path: Path, trigger: dict[str, object]) -> None:
    """An incident by another program would end in a traceback."""
    writer = IncidentWriter(path, HEADER)
    writer.add_meta({"a": 1, **trigger})
    writer.finish()
    assert open_incident(path).trigger_ns == 0


def test_publishing_gives_the_final_name_and_nothing_is_lost(path: Path, tape: Tape) -> None:
    """A reader would find half an incident under its final name."""
    beside = path.with_name(".reserve")
    writer = IncidentWriter(beside, HEADER)
    writer.add_meta({"a": 1})
    assert not path.exists()
    writer.publish(path)
    assert not beside.exists()
    tape.sample(0, {"vmstat": b"0"})
    store(writer, tape)
    writer.sync()
    writer.finish()
    writer.close()
    assert texts_of(open_incident(path)) == [b"0"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_it_is_not_written_through_a_symbolic_link(path: Path, tmp_path: Path) -> None:
    """Whoever may write to the directory could have any file of root's overwritten."""
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        IncidentWriter(path, HEADER)
    assert not (tmp_path / "victim").exists()

"""Finding one moment of an incident, as a person names it."""

import time
from pathlib import Path

import pytest
from tests.conftest import MS, ZERO_NS, S, Tape, WriteIncident

from memwatchd.errors import NotFoundError
from memwatchd.incidents.moment import moment_at, parse_at
from memwatchd.incidents.reader import Incident, open_incident


@pytest.fixture
def incident(tape: Tape, write_incident: WriteIncident) -> Incident:
    for number in range(5):
        tape.sample(-2 + number, {"vmstat": b"%d" % number})
    return open_incident(write_incident())


@pytest.mark.parametrize(
    ("text", "offset_ns"),
    [
        ("0", 0),
        ("-0.5s", -500 * MS),
        ("-0.5", -500 * MS),
        ("+1.5s", 1500 * MS),
        ("-200ms", -200 * MS),
        ("2 min", 120 * S),
        (" -3s ", -3 * S),
        ("2023-11-14T22:13:20.123Z", 0),
        ("2023-11-14T22:13:21.123+00:00", S),
        ("2023-11-14 23:13:19.123+01:00", -S),
    ],
)
def test_moments_as_people_name_them(incident: Incident, text: str, offset_ns: int) -> None:
    """One would be shown another moment than one asked for."""
    assert abs(parse_at(text, incident) - ZERO_NS - offset_ns) < 1000


def test_a_time_without_zone_is_local(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time read off the wall would be taken for UTC."""
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        assert abs(parse_at("2023-11-15T00:13:20.123", incident) - ZERO_NS) < 1000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "5h", "1e9", "--1", "s", "nan", "inf", "2023-13-01", "\udcff"),
        *("9" * 400, "-" + "9" * 5000 + "s", "0001-01-01", "9999-12-31T23:59:59"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_moment_is_said_in_one_sentence(incident: Incident, text: str) -> None:
    """A typing error would end in a traceback."""
    try:
        parse_at(text, incident)  # far away is allowed
    except NotFoundError as error:
        assert str(error).startswith(f"--at {text[:10]}")


@pytest.mark.parametrize(
    ("offset_s", "text"),
    [(-100.0, b"0"), (-2.0, b"0"), (-1.001, b"0"), (-1.0, b"1"), (0.0, b"2"), (0.9, b"2"), (99.0, b"4")],
)
def test_the_last_sample_at_or_before_a_moment(incident: Incident, offset_s: float, text: bytes) -> None:
    """What is shown for the moment of the kill would be from after it."""
    assert moment_at(incident, ZERO_NS + round(offset_s * S)).text("vmstat") == text


def test_an_incident_without_samples_has_no_moments(write_incident: WriteIncident) -> None:
    """A damaged incident would end in a traceback."""
    path: Path = write_incident()
    with pytest.raises(NotFoundError, match="no samples in this incident"):
        moment_at(open_incident(path), ZERO_NS)


def test_a_moment_is_found_without_reading_what_was_before(tape: Tape, write_incident: WriteIncident) -> None:
    """To step through an incident each step would read all of it."""
    for number in range(6):
        tape.new_segment()
        tape.sample(number, {"vmstat": b"%d" % number})
        tape.sample(number + 0.5, {"vmstat": b"%d" % (number + 50)})
    incident = open_incident(write_incident())
    decoded = [moment.sample.monotonic_ns for moment in incident.moments(ZERO_NS + 4 * S)]
    assert decoded == [ZERO_NS + round(at_s * S) for at_s in (4, 4.5, 5, 5.5)]
    found = [moment_at(incident, ZERO_NS + round(at_s * S)).text("vmstat") for at_s in (-3, 2.9, 3, 3.4, 9)]
    assert found == [b"0", b"52", b"3", b"3", b"55"]


def test_a_damaged_segment_does_not_hide_the_moment_before(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """A moment in a damaged segment would be answered with the one after it."""
    for number in range(3):
        tape.new_segment()
        tape.sample(number, {"vmstat": b"only here %d" % number})
    data = bytearray(write_incident().read_bytes())
    # The middle segment's sample no longer says what it was, and the block's CRC knows.
    place = data.find(b"only here 1")
    data[place] ^= 1
    path = tmp_path / "damaged.mwi"
    path.write_bytes(data)
    moment = moment_at(open_incident(path), ZERO_NS + round(1.5 * S))
    assert moment.text("vmstat") == b"only here 0"

"""state.json, which the service renews and others read."""

import json
from pathlib import Path
from typing import Any

import pytest

from memwatchd.errors import FormatError, NotRunningError
from memwatchd.state import read_state, status_line, write_state


def test_what_is_written_is_read(tmp_path: Path, daemon_state: dict[str, Any]) -> None:
    """`status` would show something else than the service says."""
    path = tmp_path / "state.json"
    for _ in range(2):
        write_state(path, daemon_state)
        assert read_state(path) == {"version": 1, **daemon_state}
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"version": 2}', b"\xff\xfe\xfd", b'{"version": "1"}'],
)
def test_a_damaged_state_is_said_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    """`status` would end in a traceback."""
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"state\.json: "):
        read_state(path)


def test_no_state_is_no_daemon(tmp_path: Path) -> None:
    """`status` on a machine without the daemon would end in a traceback."""
    with pytest.raises(NotRunningError, match="is not running"):
        read_state(tmp_path / "state.json")
    with pytest.raises(NotRunningError):
        read_state(tmp_path)


def test_a_directory_that_is_gone_is_the_writers_business(tmp_path: Path) -> None:
    """The service could not say that its state is out of date."""
    with pytest.raises(OSError, match="No such file"):
        write_state(tmp_path / "gone" / "state.json", {})


def test_a_reader_never_sees_half_of_it(tmp_path: Path, daemon_state: dict[str, Any]) -> None:
    """A scrape at the wrong moment would find a damaged file."""
    path = tmp_path / "state.json"
    write_state(path, daemon_state)
    with path.open("rb") as before:
        write_state(path, {"other": 1})
        assert json.loads(before.read())["pid"] == daemon_state["pid"]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, "1000 ticks at 200 Hz, 7 missed, 3 kills, 2 incidents"),
        ({"degraded": ["a", "b"]}, "1000 ticks at 200 Hz, 7 missed, 3 kills, 2 incidents, 2 degraded"),
    ],
)
def test_the_line_of_systemctl_status(
    daemon_state: dict[str, Any], changed: dict[str, Any], line: str
) -> None:
    """`systemctl status` would not show that something is wrong."""
    assert status_line({**daemon_state, **changed}) == line


def test_the_line_before_the_first_tick(daemon_state: dict[str, Any]) -> None:
    """The service would end in its first second."""
    sampling = {**daemon_state["sampling"], "rate_hz": None, "ticks": 0, "missed": 0, "armed": True}
    state = {**daemon_state, "sampling": sampling}
    assert status_line(state) == "0 ticks at 0 Hz, 0 missed, 3 kills, 2 incidents, armed"

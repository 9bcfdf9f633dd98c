"""Names chosen by strangers, in everything that a person or a program is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_cli import Cli, cli
from tests.conftest import Tape, WriteIncident, meminfo

__all__ = ["cli"]

# Clears the screen, sets the window's title, has some terminals answer, goes back over the line, ends a
# line, is no UTF-8, turns the direction of writing, hides.
EVIL = "e\x1b[2J\x1b]0;x\x07\x1bP$q\x1b\\\x08\r\n\udcff\x9b31m\u202e\u200b\x7f<b>\"'{}\\"
CGROUP = f"/a{EVIL}"


def kill() -> dict[str, Any]:
    """A kill as an incident's meta data has it."""
    return {
        "monotonic_ns": 10**9,
        "pid": 4711,
        "comm": EVIL,
        "scope": "cgroup",
        "limit_cgroup": CGROUP,
        "task_cgroup": CGROUP,
        "amounts_kib": {"anon-rss": 5},
        "sequence": 1,
        "timestamp_usec": 1,
    }


@pytest.fixture
def incident(tmp_path: Path, tape: Tape, write_incident: WriteIncident) -> Path:
    """One in which everything that can have a name has that one."""
    for step in (-2, -1, 0, 2):
        tape.sample(step / 2, {"meminfo": meminfo(MemAvailable=100 + step), f"process/{EVIL}": b"x"})
    meta = {
        "kills": [kill()],
        "host": {"hostname": EVIL, "os": EVIL, "kernel": EVIL},
        "degraded": [EVIL],
        "disagreements": [EVIL],
        "program": {"version": EVIL},
    }
    return write_incident(meta, directory=tmp_path / "state/incidents")


@pytest.mark.parametrize(
    "words",
    [
        ("show", "last"),
        ("show", "last", "--json"),
        ("incidents",),
        ("incidents", "--json"),
        ("explain", "last"),
        ("explain", "last", "--json"),
        ("backtest", "last"),
        ("signals", "--incident", "last"),
        ("raw", "last", "--source", EVIL.encode("utf-8", "surrogateescape").decode("latin-1")),
        ("show", f"/none/{EVIL}"),
    ],
    ids=lambda words: "-".join(words)[:20],
)
def test_nothing_reaches_the_terminal(cli: Cli, incident: Path, words: tuple[str, ...]) -> None:
    """A process could type into the administrator's terminal, or hide a line of the report."""
    result = cli(*words)
    assert "Traceback" not in result.err
    for text in (result.out, result.err):
        assert {sign for sign in text if not sign.isprintable()} <= {"\n"}


def test_json_gives_the_name_back(cli: Cli, incident: Path) -> None:
    """A program would look for a process that never was there."""
    (shown,) = json.loads(cli("show", "last", "--json").out)["kills"]
    assert shown["comm"].encode("utf-8", "surrogateescape") == EVIL.encode("utf-8", "surrogateescape")

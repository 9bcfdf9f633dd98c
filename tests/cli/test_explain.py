"""``memwatchd explain``: what it reads, what it prints, how it ends."""

import bz2
import gzip
import json
import lzma
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest
from jsonschema import Draft202012Validator
from tests.cli.test_cli import Cli, cli
from tests.conftest import Tape, WriteIncident, meminfo
from tests.views.explain.events import limit_met

from memwatchd.cli import explain, inputs
from memwatchd.cli.inputs import parse_since
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.history import History
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.errors import NotFoundError
from memwatchd.oomreport.report import Event
from memwatchd.roots import Roots
from memwatchd.views.explain.schema import json_schema

__all__ = ["cli"]

QUIET = b"nothing\nof interest\n"
ONE = b"before\nkill eater\nafter\n"
TWO = b"kill a\nkill b\n"


def read_events(blocks: Iterable[bytes]) -> Iterator[Event]:
    """Take every line that begins with "kill" for a kill."""
    for number, line in enumerate(b"".join(blocks).splitlines(), 1):
        text = line.decode("utf-8", "surrogateescape").rpartition(";")[2]
        if text.startswith("kill "):
            yield replace(limit_met(text[5:], lines=(number, number)).case.event, seconds=60.0)


def diagnose(event: Event, history: History | None, earlier: Sequence[Event]) -> Diagnosis:
    recorded = f" of {history.samples} samples" if history else ""
    finding = limit_met(f"{event.trigger.comm} after {len(earlier)}{recorded}").findings[0]
    return Diagnosis(Case(event, history, tuple(earlier)), (finding,), ())


@pytest.fixture(autouse=True)
def chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simple reader of logs in place of the real one."""
    monkeypatch.setattr(explain, "read_events", read_events)
    monkeypatch.setattr(explain, "diagnose", diagnose)


@pytest.fixture
def log(tmp_path: Path) -> Callable[[bytes, str], Path]:
    def write(text: bytes, name: str = "kern.log") -> Path:
        path = tmp_path / name
        path.write_bytes(text)
        return path

    return write


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[bytes]]:
    """The end of a pipe to the command's standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as ours, os.fdopen(writing, "wb") as theirs:
        monkeypatch.setattr(sys, "stdin", ours)
        yield theirs


def verdicts(out: str) -> list[str]:
    return [line for line in out.splitlines() if "filled its cgroup" in line]


# ---- what is read


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda text: gzip.compress(text[:9]) + gzip.compress(text[9:]),
    ],
)
def test_files_are_unpacked(cli: Cli, log: Callable[..., Path], pack: Callable[[bytes], bytes]) -> None:
    """Rotated logs would have to be unpacked by hand, or only the first part of one would be read."""
    result = cli("explain", log(pack(ONE)))
    assert (result.status, result.err) == (0, "")
    assert verdicts(result.out) == ["eater after 0 filled its cgroup."]


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input(cli: Cli, stdin: IO[bytes], arguments: tuple[str, ...]) -> None:
    """`dmesg | memwatchd explain` would not work, or wait for ever."""
    stdin.write(gzip.compress(ONE))
    stdin.close()
    result = cli("explain", *arguments)
    assert (result.status, verdicts(result.out)) == (0, ["eater after 0 filled its cgroup."])


def test_several_inputs(cli: Cli, log: Callable[..., Path], stdin: IO[bytes]) -> None:
    """Kills would be counted as one series that were of two machines, or have two numbers alike."""
    stdin.write(ONE)
    stdin.close()
    result = cli("explain", "--json", log(TWO, "a"), log(QUIET, "b"), "-")
    events = json.loads(result.out)["events"]
    assert [(event["number"], event["input"].rpartition("/")[2]) for event in events] == [
        (1, "a"),
        (2, "a"),
        (3, "standard input"),
    ]
    assert [event["findings"][0]["summary"].partition(" filled")[0] for event in events] == [
        "a after 0",
        "b after 1",
        "eater after 0",
    ]
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("by_name", ["last", "path", "stem"])
def test_an_incident(
    cli: Cli, tape: Tape, write_incident: WriteIncident, tmp_path: Path, by_name: str
) -> None:
    """The recorder's own files would be taken for logs."""
    tape.message(-0.1, b"4,99,59900000,-;boring\n")
    tape.message(0, b"4,100,60000000,-;kill eater\n")
    path = write_incident({}, directory=tmp_path / "state/incidents")
    name = {"last": "last", "path": str(path), "stem": path.stem}[by_name]
    (event,) = json.loads(cli("explain", "--json", name).out)["events"]
    assert (event["input"], event["lines"]) == (path.name, [2, 2])


def test_what_an_incident_recorded_is_used(cli: Cli, tape: Tape, write_incident: WriteIncident) -> None:
    """Who grew in the last seconds would be recorded, and not be said."""
    tape.sample(-2, {"meminfo": meminfo(MemAvailable=100)})
    tape.sample(-1, {"meminfo": meminfo(MemAvailable=50)})
    tape.message(0, b"4,100,60000000,-;kill eater\n")
    out = cli("explain", write_incident({})).out
    assert verdicts(out) == ["eater after 0 of 2 samples filled its cgroup."]


def test_the_kernel_s_log(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a log on disk there would be nothing to read, or programs could accuse one another."""
    path = tmp_path / "kmsg"
    path.write_bytes(b"4,99,59900000,-;kill eater\n")
    monkeypatch.setattr(inputs, "Roots", lambda: Roots(kmsg=path))
    assert verdicts(cli("explain", "--kmsg").out) == ["eater after 0 filled its cgroup."]
    path.write_bytes(b"12,99,59900000,-;kill eater\n")
    assert cli("explain", "--kmsg").status == 6


class Journal:
    """A pretended journal."""

    since: list[float]

    def __init__(self) -> None:
        self.since = []
        self.entries = [
            {
                "__REALTIME_TIMESTAMP": datetime(2026, 11, 21, tzinfo=UTC),
                "_TRANSPORT": "kernel",
                "MESSAGE": b";kill eater",
            }
        ]

    def add_match(self, *matches: str) -> None:
        pass

    def add_disjunction(self) -> None:
        pass

    def close(self) -> None:
        pass

    def seek_realtime(self, realtime: float) -> None:
        self.since.append(realtime)

    def get_next(self) -> dict[str, Any]:
        return self.entries.pop() if self.entries else {}


@pytest.mark.parametrize(
    ("arguments", "hours"),
    [(("--journal", "-1h"), (1, 1)), (("--journal=-90min",), (1.5, 1.5)), (("--journal",), (24, 49))],
)
def test_the_journal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], hours: tuple[float, float]
) -> None:
    """In the morning the night would be missing; or a span with a dash would be taken for an option."""
    fake = Journal()
    monkeypatch.setattr(inputs, "open_journal", lambda: fake)
    result = cli("explain", *arguments)
    assert (result.status, verdicts(result.out)) == (0, ["eater after 0 filled its cgroup."])
    ago_h = (datetime.now(UTC).timestamp() - fake.since[0]) / 3600
    assert hours[0] <= ago_h <= hours[1] + 0.1


def test_an_empty_journal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who may not read the journal would think that nothing has happened."""
    fake = Journal()
    fake.entries.clear()
    monkeypatch.setattr(inputs, "open_journal", lambda: fake)
    result = cli("explain", "--journal", "2026-11-21")
    assert result.status == 6
    assert "2026-11-21 00:00: 0 lines read (all of it is only for root" in result.line


def test_a_person_who_names_nothing_gets_the_journal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command would wait for typing."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(inputs, "open_journal", Journal)
    assert verdicts(cli("explain").out) == ["eater after 0 filled its cgroup."]


NOW = datetime(2026, 11, 21, 8, 0, 30, tzinfo=UTC).astimezone()
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today", MIDNIGHT.isoformat()),
        ("-1h", "2026-11-21T07:00:30+00:00"),
        ("-1d12h", "2026-11-19T20:00:30+00:00"),
        ("2026-11-20T03:00:00+00:00", "2026-11-20T03:00:00+00:00"),
        (f"{MIDNIGHT:%Y-%m-%d}", MIDNIGHT.isoformat()),
        (f"{NOW:%H:%M}", NOW.replace(second=0).isoformat()),
    ],
)
def test_moments_of_the_past(text: str, moment: str) -> None:
    """The wrong night would be read."""
    assert parse_since(text, NOW) == datetime.fromisoformat(moment)


@pytest.mark.parametrize("text", ["tomorrow?", "-1 fortnight", "-99999999d", "25:00", "", "9" * 5000])
def test_what_is_no_moment(cli: Cli, text: str) -> None:
    """All of the journal would be read, or a traceback printed."""
    with pytest.raises(NotFoundError, match="expected today, yesterday"):
        parse_since(text, NOW)
    assert (cli("explain", f"--journal={text}").status) == 6


def test_the_moment_of_the_start() -> None:
    """The boot before would be read as well, or half of this one."""
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert abs((NOW - parse_since("boot", NOW)).total_seconds() - uptime_s) < 60


# ---- what is printed


def test_of_several_there_is_a_table_and_one(cli: Cli, log: Callable[..., Path]) -> None:
    """Of a night with many kills one would see one, or none for all the others."""
    out = cli("explain", log(TWO)).out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["time", "1", "2"]
    assert verdicts(out) == ["b after 1 filled its cgroup."]
    assert len(verdicts(cli("explain", "--all", log(TWO)).out)) == 2


def test_one_of_several(cli: Cli, log: Callable[..., Path]) -> None:
    """The event that the table names could not be had."""
    assert verdicts(cli("explain", "--event", 1, log(TWO)).out) == ["a after 0 filled its cgroup."]
    result = cli("explain", "--event", 3, log(TWO))
    assert (result.status, result.line.rpartition("; ")[2]) == (6, "there is no event 3, only 2")
    (event,) = json.loads(cli("explain", "--json", "--event", 2, log(TWO)).out)["events"]
    assert event["number"] == 2


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_numbers_that_are_none(cli: Cli, number: str) -> None:
    """Another event than the one that was meant would be printed."""
    assert cli("explain", "--event", number, "x").status == 2


def test_markdown(cli: Cli, log: Callable[..., Path]) -> None:
    """A ticket would be plain text, or hold escape sequences."""
    out = cli("explain", "--markdown", log(ONE)).out
    assert out.startswith("## eater after 0 filled its cgroup.\n\nmemcg\\_limit, 95 % sure\n\n- **killed**: ")


def test_the_schema(cli: Cli) -> None:
    """Scripts could not be checked."""
    assert json.loads(cli("explain", "--schema").out) == json_schema()


def test_json_meets_the_schema(cli: Cli, log: Callable[..., Path]) -> None:
    """Scripts would break."""
    found = json.loads(cli("explain", "--json", log(TWO)).out)
    Draft202012Validator(json_schema()).validate(found)


# ---- how it ends


def test_no_event_is_said(cli: Cli, log: Callable[..., Path]) -> None:
    """A quiet log would be taken for a program that understood nothing."""
    path = log(QUIET + b"without an end")
    result = cli("explain", path)
    assert result.status == 6
    assert result.line.startswith(
        f"memwatchd: {path}: 3 lines read, and no OOM report in them: no 'invoked oom"
    )


def test_no_event_in_json(cli: Cli, log: Callable[..., Path]) -> None:
    """A script would get no JSON."""
    result = cli("explain", "--json", log(QUIET))
    assert (result.status, json.loads(result.out)) == (6, {"schema": "memwatchd.explain/1", "events": []})
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("name", ["missing.log", ".", "missing", "a" * 5000, "last", "x\0y"])
def test_inputs_that_cannot_be_opened(cli: Cli, tmp_path: Path, name: str) -> None:
    """A traceback would be printed, or nothing."""
    result = cli("explain", tmp_path / name if name in (".", "missing.log") else name)
    assert result.status == 6
    assert name[:50].replace("\0", "\\x00") in result.line or str(tmp_path) in result.line


def test_the_others_are_read_all_the_same(cli: Cli, log: Callable[..., Path], tmp_path: Path) -> None:
    """One log of yesterday that is gone would hide the kill of today."""
    result = cli("explain", tmp_path / "gone", log(ONE))
    assert (result.status, verdicts(result.out)) == (6, ["eater after 0 filled its cgroup."])
    assert "gone: no such file" in result.err


@pytest.mark.parametrize(
    ("pack", "cut"), [(gzip.compress, 9), (bz2.compress, 9), (lzma.compress, 12), (gzip.compress, 1)]
)
def test_damaged_files(cli: Cli, log: Callable[..., Path], pack: Callable[[bytes], bytes], cut: int) -> None:
    """A log that was cut by the very crash would give a traceback, or pass for a whole one."""
    path = log(pack(ONE * 1000)[:-cut])
    result = cli("explain", path)
    assert result.status == 5
    assert f"memwatchd: {path}: cannot be read any further: " in result.err
    assert result.err.count("\n") == 1


def test_what_could_be_read_of_a_damaged_file_is_explained(cli: Cli, log: Callable[..., Path]) -> None:
    """The one kill that is in it would be lost with its end."""
    result = cli("explain", log(gzip.compress(ONE)[:-4]))
    assert (result.status, verdicts(result.out)) == (5, ["eater after 0 filled its cgroup."])


def test_a_broken_incident(cli: Cli, write_incident: WriteIncident, log: Callable[..., Path]) -> None:
    """It would be read as a log, in which there is nothing."""
    path = log(write_incident({}).read_bytes()[:70])
    result = cli("explain", path)
    assert (result.status, "nothing readable" in result.line) == (5, True)


def test_an_incident_on_standard_input(cli: Cli, write_incident: WriteIncident, stdin: IO[bytes]) -> None:
    """It would be read as a log, in which there is nothing."""
    stdin.write(write_incident({}).read_bytes()[:4096])
    stdin.close()
    result = cli("explain")
    assert (result.status, "an incident; name its file" in result.line) == (5, True)


def test_what_this_program_cannot_unpack(cli: Cli, log: Callable[..., Path]) -> None:
    """Rubbish would be searched, and nothing found."""
    result = cli("explain", log(b"\x28\xb5\x2f\xfd" + bytes(100)))
    assert (result.status, "zstd -dc FILE | memwatchd explain -" in result.line) == (5, True)


def test_reading_stops_at_the_event_that_is_wanted(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """A person would wait for the rest of the log."""
    seen = []

    def blocks() -> Iterator[bytes]:
        for block in (ONE, ONE, ONE):
            seen.append(block)
            yield block

    def streamed(pieces: Iterable[bytes]) -> Iterator[Event]:
        for piece in pieces:
            yield from read_events([piece])

    monkeypatch.setattr(explain, "read_events", streamed)
    monkeypatch.setattr(explain, "openers", lambda *_: [lambda: inputs.Input("x", blocks())] * 2)
    assert cli("explain", "--event", 1, "x").status == 0
    assert len(seen) == 1

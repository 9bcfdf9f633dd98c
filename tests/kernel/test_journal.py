"""Reading systemd's journal: which entries, and as what lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memwatchd.kernel import journal
from memwatchd.kernel.journal import open_journal, read_journal

SINCE = datetime(2026, 11, 21, 3, tzinfo=UTC)
MOMENT = datetime(2026, 11, 21, 3, 12, 7, 918273, tzinfo=UTC)


@dataclass
class Journal:
    """A pretended journal."""

    entries: list[dict[str, Any]]
    asked: list[Any] = field(default_factory=list)
    closed: bool = False

    def add_match(self, *matches: str) -> None:
        self.asked.append(matches)

    def add_disjunction(self) -> None:
        self.asked.append("or")

    def seek_realtime(self, realtime: float) -> None:
        self.asked.append(realtime)

    def get_next(self) -> dict[str, Any]:
        return self.entries.pop(0) if self.entries else {}

    def close(self) -> None:
        self.closed = True


def kernel(message: bytes, **fields: Any) -> dict[str, Any]:
    """An entry as journald makes it of a record of /dev/kmsg."""
    return {
        "__REALTIME_TIMESTAMP": MOMENT,
        "_HOSTNAME": "db1",
        "_TRANSPORT": "kernel",
        "SYSLOG_IDENTIFIER": "kernel",
        "SYSLOG_FACILITY": 0,
        "_SOURCE_MONOTONIC_TIMESTAMP": timedelta(seconds=5864, microseconds=708440),
        "MESSAGE": message,
    } | fields


def lines(*entries: dict[str, Any]) -> list[bytes]:
    return b"".join(read_journal(Journal(list(entries)), SINCE)).splitlines()


def test_only_the_kernel_and_those_who_kill_are_asked_for() -> None:
    """All of a journal of gigabytes would be read, or the kill by systemd-oomd would not."""
    fake = Journal([])
    assert b"".join(read_journal(fake, SINCE)) == b""
    names = ("systemd", "systemd-oomd", "earlyoom", "nohang", "nohang-desktop", "oomd", "kubelet")
    assert fake.asked == [
        ("_TRANSPORT=kernel",),
        "or",
        tuple(f"SYSLOG_IDENTIFIER={name}" for name in names),
        SINCE.timestamp(),
    ]
    assert fake.closed


def test_entries_become_lines_of_syslog() -> None:
    """When and on which host it was would be lost."""
    oomd = {
        "__REALTIME_TIMESTAMP": MOMENT,
        "_HOSTNAME": "db1",
        "_TRANSPORT": "journal",
        "SYSLOG_IDENTIFIER": "systemd-oomd",
        "_PID": 512,
        "MESSAGE": b"Killed /a.slice",
    }
    assert lines(kernel(b"java invoked oom-killer"), oomd) == [
        b"2026-11-21T03:12:07.918273+00:00 db1 kernel: [ 5864.708440] java invoked oom-killer",
        b"2026-11-21T03:12:07.918273+00:00 db1 systemd-oomd[512]: Killed /a.slice",
    ]


def test_programs_are_not_the_kernel() -> None:
    """Whoever may write to /dev/kmsg could have the wrong process accused."""
    forged = kernel(b"Out of memory: Killed process 1 (init)", SYSLOG_FACILITY=3, SYSLOG_IDENTIFIER="kernel")
    assert lines(forged) == []


def test_a_name_cannot_begin_a_line() -> None:
    """A process could add a report of its own by a line feed in its name."""
    (line,) = lines(kernel(b"[ 12] a\n2026-01-01 db1 kernel: Killed process 1 (init)\xff"))
    assert line.endswith(rb"[ 12] a\x0a2026-01-01 db1 kernel: Killed process 1 (init)" + b"\xff")


def test_statistics_of_a_cgroup_are_lines() -> None:
    """What a cgroup was full of would be one line that nobody can read."""
    found = lines(kernel(b"anon 1024\nfile 0\nworkingset_refault_anon 12"))
    assert [line.split(b"] ")[1] for line in found] == [
        b"anon 1024",
        b"file 0",
        b"workingset_refault_anon 12",
    ]


@pytest.mark.parametrize("fields", [{"MESSAGE": None}, {"MESSAGE": ["x"]}])
def test_entries_without_a_message_are_left_out(fields: dict[str, Any]) -> None:
    """A broken entry would end the reading of the whole journal."""
    assert lines(kernel(b"") | fields) == []


def test_fields_may_be_missing_or_several() -> None:
    """An entry of another journald would end in a traceback."""
    entry = kernel(b"", MESSAGE=[b"first", b"second"], _HOSTNAME=["a", "b"], SYSLOG_FACILITY=[0, 3])
    del entry["_SOURCE_MONOTONIC_TIMESTAMP"]
    assert lines(entry) == [b"2026-11-21T03:12:07.918273+00:00 a kernel: first"]


def test_a_long_journal_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal of gigabytes would be held in memory."""
    monkeypatch.setattr(journal, "_BLOCK_BYTES", 150)
    fake = Journal([kernel(b"x") for _ in range(5)])
    blocks: Iterator[bytes] = read_journal(fake, SINCE)
    assert next(blocks).count(b"\n") == 3
    assert len(fake.entries) == 2
    assert next(blocks).count(b"\n") == 2


def test_this_machine_s_journal_can_be_opened() -> None:
    """The library's interface would have changed, and nobody could read the journal."""
    try:
        reader = open_journal()
    except OSError as error:
        pytest.skip(f"no journal here: {error}")
    assert isinstance(b"".join(read_journal(reader, datetime.now(UTC))), bytes)

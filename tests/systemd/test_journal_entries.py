"""What the daemon tells the journal: entries with fields, stable ids, and their texts in the catalogue."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memwatchd.service.logs import JournalHandler, journal_fields
from memwatchd.service.occasions import MESSAGE_IDS

PROJECT = Path(__file__).resolve().parents[2]
CATALOG = PROJECT / "systemd/memwatchd.catalog"
JOURNALD = Path("/lib/systemd/systemd-journald")

# Run in mount and pid namespaces of its own; what it prints is a real journald's journal.
SCENE = """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal /run/log/journal
{journald} &
for _ in $(seq 100); do [ -S /run/systemd/journal/stdout ] && break; sleep 0.1; done
systemd-cat --identifier=plain {python} -c "$TOLD"
journalctl --sync
journalctl --no-pager --output=json --output-fields={fields} MESSAGE_ID={message_id}
"""
TOLD = """
import os
status = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
from memwatchd.service.logs import Log
log = Log("info")
name = os.fsdecode(b"ev\\xffil\\nMEMWATCHD_RULE=forged\\nMESSAGE=\\x1b[2Jforged")
facts = {"victim": name, "victim_pid": 4711, "limit": None}
log.note("warning", f"kernel: {name} was killed", event="kernel_kill", **facts)
log.close()
assert log.dropped == 0
"""


def test_an_entry_has_all_that_is_known() -> None:
    """Whoever filters the journal would have to take sentences apart."""
    entry = journal_fields(
        "rule slab: kill: helped",
        logging.WARNING,
        {"event": "action", "rule": "slab", "victim_pid": 12, "figure_a.b": 1.5, "left_out": None},
    )
    assert entry == [
        b"MESSAGE=rule slab: kill: helped",
        b"PRIORITY=4",
        b"SYSLOG_IDENTIFIER=memwatchd",
        b"MESSAGE_ID=" + MESSAGE_IDS["action"].encode(),
        b"MEMWATCHD_EVENT=action",
        b"MEMWATCHD_RULE=slab",
        b"MEMWATCHD_VICTIM_PID=12",
        b"MEMWATCHD_FIGURE_A_B=1.5",
    ]


def test_an_entry_is_never_long() -> None:
    """A name of megabytes would fill the journal."""
    entry = journal_fields("x" * 10_000, logging.INFO, {"y" * 100: "z" * 10_000})
    assert [len(each) for each in entry] == [4096, 10, 27, 4096]
    assert entry[-1].startswith(b"MEMWATCHD_" + b"Y" * 54 + b"=")


def test_a_journal_that_refuses_is_counted() -> None:
    """The thread that writes would end, and the log with it."""

    def refuse(*_entry: bytes) -> None:
        raise OSError(105, "No buffer space available")

    handler = JournalHandler(refuse)
    handler.handle(logging.LogRecord("memwatchd", logging.INFO, "", 0, "%s", ("x",), None))
    assert handler.lost == 1


def test_ids_are_ids_and_none_is_there_twice() -> None:
    """Two kinds of messages could not be told apart."""
    assert len(set(MESSAGE_IDS.values())) == len(MESSAGE_IDS)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in MESSAGE_IDS.values())


def test_ids_stay_what_they_are() -> None:
    """A filter that somebody has would fall silent with the next release."""
    assert {name: MESSAGE_IDS[name][:8] for name in ("kernel_kill", "incident", "rule_fired", "action")} == {
        "kernel_kill": "e3dfd1b5",
        "incident": "3801975c",
        "rule_fired": "005baf89",
        "action": "5682b162",
    }


def test_every_kind_of_message_has_its_text() -> None:
    """`journalctl -x` would explain some messages and not others."""
    ids = re.findall(r"^-- (\w+)$", CATALOG.read_text(), re.MULTILINE)
    assert ids == list(MESSAGE_IDS.values())


def test_every_event_that_is_told_is_known() -> None:
    """A misspelt event would have no id, and nobody would notice."""
    source = PROJECT / "src/memwatchd"
    told = {
        name
        for path in source.rglob("*.py")
        for name in re.findall(r'event="(\w+)"', path.read_text())
        if path.parent.name in ("service", "incidents", "actions")
    }
    assert told | {"action"} == set(MESSAGE_IDS)


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="journalctl is not installed")
def test_systemd_takes_the_catalogue(tmp_path: Path) -> None:
    """The texts would be ignored for a missing line."""
    there = tmp_path / "usr/lib/systemd/catalog"
    there.mkdir(parents=True)
    shutil.copy(CATALOG, there)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    command = ["journalctl", f"--root={tmp_path}"]
    made = subprocess.run([*command, "--update-catalog"], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
    listed = subprocess.run([*command, "--list-catalog"], capture_output=True, text=True, check=True)
    assert sorted(line.split()[0] for line in listed.stdout.splitlines()) == sorted(MESSAGE_IDS.values())


@pytest.mark.live
def test_a_real_journal_takes_the_bytes_of_strangers() -> None:
    """A process could write fields in the daemon's name, or its name be lost."""
    if os.geteuid() != 0 or not JOURNALD.exists():
        pytest.skip("needs root and systemd-journald")
    scene = SCENE.format(
        journald=JOURNALD,
        python=sys.executable,
        message_id=MESSAGE_IDS["kernel_kill"],
        fields="MESSAGE,PRIORITY,MEMWATCHD_VICTIM,MEMWATCHD_VICTIM_PID,MEMWATCHD_RULE,MEMWATCHD_LIMIT",
    )
    result = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", scene],
        env={**os.environ, "TOLD": TOLD},
        capture_output=True,
        check=False,
    )
    if b"unshare" in result.stderr:
        pytest.skip(f"no namespaces here: {result.stderr.decode()}")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines, result.stderr.decode()
    entry = {name: value for name, value in lines[-1].items() if not name.startswith("_")}
    assert entry == {
        "MESSAGE": "kernel: ev\\xffil\\x0aMEMWATCHD_RULE=forged\\x0aMESSAGE=\\x1b[2Jforged was killed",
        "PRIORITY": "4",
        "MEMWATCHD_VICTIM": list(b"ev\xffil\nMEMWATCHD_RULE=forged\nMESSAGE=\x1b[2Jforged"),
        "MEMWATCHD_VICTIM_PID": "4711",
    }

"""Signals of watched processes."""

from math import isnan
from typing import Any

from tests.signals.conftest import Desk, make_desk

from memwatchd.signals.catalogue import list_signals

TEXTS = {
    "process/10/statm": b"5100 2500 900 1 0 700 0\n",
    "process/10/status": b"Name:\trsync\nVmRSS:\t   10000 kB\nVmSwap:\t    2048 kB\n",
    "process/10/fdinfo/3": b"pos:\t31457280000\nflags:\t0100000\n",
    "process/10/fdinfo/4": b"pos:\t7\nflags:\t0100000\n",
    "process/11/statm": b"5100 500 900 1 0 700 0\n",
    "process/12/statm": b"9 9 9 9 9 9 9\n",
}
COMMS = {"10": "rsync", "11": "rsync", "12": "a b\udcff\"'"}
TARGETS = {"process/10/fdinfo/3": "/srv/backup.img", "process/10/fdinfo/4": "/var/log/x"}


def entry(name: str) -> dict[str, Any]:
    pid = name.split("/")[1]
    facts = {"name": name, "pid": int(pid), "comm": COMMS[pid], "start_ticks": 5}
    return facts | ({"target": TARGETS[name]} if name in TARGETS else {})


def watched(page_size: int = 4096) -> Desk:
    return make_desk(TEXTS, page_size=page_size, entries={name: entry(name) for name in TEXTS})


def test_processes_of_one_name_together_and_one_alone() -> None:
    """A rule on a service of several processes would see one of them."""
    desk = watched()
    assert desk.read("process.rsync.rss") == 3000 * 4096
    assert desk.read("process.10.rss") == 2500 * 4096
    assert desk.read("process.rsync.count") == 2
    assert desk.read("process.rsync.swap") == 2 << 20
    assert desk.read('process."a b\udcff""\'".rss') == 9 * 4096
    assert watched(65536).read("process.11.rss") == 500 * 65536


def test_positions_in_files() -> None:
    """One would not see how far rsync got in the file, or in another than it was."""
    desk = watched()
    assert desk.read("process.rsync.position") == 31_457_280_000
    assert desk.read('process.10."/var/log/x".position') == 7
    assert isnan(desk.read('process.10."/nowhere".position'))
    assert isnan(desk.read("process.11.position"))


def test_a_process_that_has_gone_is_not_counted_in() -> None:
    """One process of a service that ended would take its whole sum away."""
    desk = watched()
    desk.show({name: text for name, text in TEXTS.items() if name != "process/10/statm"})
    assert desk.read("process.rsync.rss") == 500 * 4096
    desk.show({})
    assert isnan(desk.read("process.rsync.rss"))


def test_what_is_not_watched() -> None:
    """A name that is not watched would look like a process without memory."""
    desk = watched()
    assert isnan(desk.read("process.sshd.rss"))
    assert desk.read("process.sshd.count") == 0


def test_all_are_listed() -> None:
    """One would not find out under which names a process can be watched."""
    names = {signal.name for signal in list_signals(watched().recording)} - {"recorder.lag"}
    rsync = {
        f"process.{who}.{field}" for who in ("rsync", "10") for field in ("rss", "swap", "position", "count")
    }
    files = {f'process.{who}."{target}".position' for who in ("rsync", "10") for target in TARGETS.values()}
    assert rsync | files <= names
    assert {'process."a b\udcff""\'".rss', "process.12.count"} <= names
    assert "process.12.swap" not in names


def test_forged_entries_do_no_harm() -> None:
    """A forged incident would end the list with a traceback."""
    forged: dict[str, Any] = {"comm": ["x"], "pid": {}, "target": 7, "name": "process/10/statm", "cgroup": 3}
    desk = make_desk(TEXTS, entries=dict.fromkeys(TEXTS, forged))
    assert [signal.name for signal in list_signals(desk.recording)] == []

"""The process table at one moment."""

from typing import Any

from memwatchd.ring.stream import ProcessRows
from memwatchd.views.live.frame import Process
from memwatchd.views.live.table import ProcessTable, cgroups_of

S = 1_000_000_000
MIB_KIB = 1024


def part(at_s: float, *rows: dict[str, Any]) -> ProcessRows:
    return ProcessRows(round(at_s * S), tuple({"read_ns": round(at_s * S), **row} for row in rows))


def row(pid: int, rss_kib: int, **changed: Any) -> dict[str, Any]:
    return {
        "pid": pid,
        "comm": f"p{pid}",
        "state": "S",
        "rss_kib": rss_kib,
        "swap_kib": 0,
        "oom_score_adj": 0,
        "cgroup": "/a",
        "start_ticks": 5,
        "cpu_ticks": 100,
        **changed,
    }


def names(processes: tuple[Process, ...]) -> list[str]:
    return [process.name for process in processes]


def test_a_process_is_shown_as_it_was_last_read() -> None:
    """In a recording sizes would be those of a later moment."""
    table = ProcessTable()
    table.take([part(1, row(7, MIB_KIB)), part(2, row(7, 3 * MIB_KIB, cpu_ticks=150)), part(3, row(7, 9))])
    assert table.at(round(2.5 * S), 10 * S) == (
        Process(7, "p7", "S", 3 << 20, 0, 0, "/a", 0.5, growth_bytes_per_s=2.0 * (1 << 20), cpu_share=0.5),
    )
    assert table.at(0, S) == ()


def test_who_has_ended_is_gone() -> None:
    """A process that was killed would hold its memory for ever."""
    table = ProcessTable()
    for second in range(8):
        rows = [row(1, 10), row(2, 10)] if second < 3 else [row(1, 10)]
        table.take([part(second, *rows)])
    assert names(table.at(3 * S, S)) == ["p1", "p2"]
    assert names(table.at(7 * S, S)) == ["p1"]


def test_a_pid_that_comes_back_is_another_process() -> None:
    """A new process would seem to have shrunk by what the old one held."""
    table = ProcessTable()
    table.take([part(1, row(7, 5000)), part(2, row(7, 10, comm="new", start_ticks=99))])
    (found,) = table.at(2 * S, 10 * S)
    assert (found.name, found.growth_bytes_per_s) == ("new", None)


def test_hostile_names_are_made_printable() -> None:
    """A process could write on the terminal of root."""
    table = ProcessTable()
    table.take([part(1, row(7, 10, comm="a\x1b[2J\n", cgroup="/\udcff"))])
    (found,) = table.at(S, S)
    assert (found.name, found.cgroup) == ("a\\x1b[2J\\x0a", "/\\xff")


def test_rows_of_a_forged_recording_are_taken_as_they_are() -> None:
    """A damaged row would end the view."""
    table = ProcessTable()
    table.take([part(1, {"pid": 7}, {"comm": "nobody"})])
    assert table.at(S, S) == (Process(7, "?", None, None, None, None, None, 0.0),)


def test_old_readings_are_forgotten() -> None:
    """A view that is left open would hold every process there ever was."""
    table = ProcessTable(kept_ns=5 * S)
    for second in range(100):
        table.take([part(second, row(second, 10), row(1000, 10))])
    assert len(table._readings) < 10
    assert max(map(len, table._readings.values())) < 15


def test_processes_are_put_together_by_cgroup() -> None:
    """Memory of a service with many processes would be seen nowhere."""
    table = ProcessTable()
    table.take([part(1, row(1, 10), row(2, 10, cgroup="/b"), row(3, 10), row(4, 1, cgroup=None))])
    grouped = {path: names(tuple(inside)) for path, inside in cgroups_of(table.at(S, S))}
    assert grouped == {"/a": ["p1", "p3"], "/b": ["p2"]}

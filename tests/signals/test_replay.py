"""Recorded samples as something signals can be read from."""

from math import isnan

import pytest
from tests.conftest import Tape, meminfo, vmstat

from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import moments, newest
from memwatchd.signals.catalogue import find_signal
from memwatchd.signals.replay import Replay


def test_readers_follow_the_moments(tape: Tape) -> None:
    """A rule would see other numbers in the past than it saw when it was the present."""
    tape.sample(-3, {"meminfo": meminfo(MemFree=1)})
    tape.sample(-2, {"vmstat": vmstat(oom_kill=7)}, missed=2)
    tape.watch("process/4711/statm", pid=4711, comm="x")
    tape.sample(-1, {"process/4711/statm": b"1 2 3\n", "meminfo": meminfo(MemFree=3)})
    replay, seen = Replay(4096), []
    names = ("meminfo.MemFree", "vmstat.oom_kill", "process.x.rss", "recorder.missed", "recorder.read_time")
    readers = []
    for moment in moments(read_segments(tape.samples)):
        if replay.take(moment):
            readers = [find_signal(name).bind(replay.recording) for name in names]
        seen.append([None if isnan(value := read()) else value for read in readers])
    assert seen == [
        [1024, None, None, 0, pytest.approx(1e-6)],
        [1024, 7, None, 2, pytest.approx(1e-6)],
        [3072, 7, 8192, 0, pytest.approx(1e-6)],
    ]


def test_the_newest_moment_of_a_ring(tape: Tape) -> None:
    """The exporter and `signals` would show an old moment, or none when a segment has just begun."""
    assert newest(tape.samples) is None
    tape.sample(-1, {"meminfo": meminfo(MemFree=1)})
    tape.sample(0, {"meminfo": meminfo(MemFree=2)})
    moment = newest(tape.samples)
    assert moment is not None
    assert moment.text("meminfo") == meminfo(MemFree=2)
    tape.new_segment()
    again = newest(tape.samples)
    assert again is not None
    assert again.text("meminfo") == meminfo(MemFree=2)

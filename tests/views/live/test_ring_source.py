"""Reading along with a daemon."""

from pathlib import Path
from typing import Any

import pytest
from tests.live_rings import LiveRings
from tests.views.conftest import eater_row

from memwatchd.config.load import parse_config
from memwatchd.errors import NotRunningError
from memwatchd.places import Places
from memwatchd.views.live.ring_source import RingSource
from memwatchd.views.live.source import Move, Rules
from memwatchd.views.live.tape_source import TapeSource

CONFIG = """
rules:
  little-left: {when: meminfo.MemAvailable < 400MiB, actions: [{log: {}}]}
"""


@pytest.fixture
def rings(tmp_path: Path) -> LiveRings:
    return LiveRings(Places(tmp_path / "run", tmp_path / "state"))


@pytest.fixture
def rules() -> Rules:
    return Rules(parse_config(CONFIG, "test").rules)


def available_mib(source: RingSource) -> float | None:
    memory = source.frame(10.0).memory
    assert memory is not None
    return None if memory.available_bytes is None else memory.available_bytes / (1 << 20)


def test_each_frame_is_of_the_newest_sample(rings: LiveRings) -> None:
    """The view would lag behind, or stand still."""
    rings.sample(900)
    source = RingSource(rings.places, Rules())
    assert available_mib(source) == 900
    for mib in (800, 700):
        rings.sample(mib)
    assert available_mib(source) == 700
    rings.tape.new_segment()
    rings.sample(600, dentry=10, inode=5)
    assert available_mib(source) == 600
    assert {cache.name for cache in source.frame(10.0).caches} == {"dentry", "inode"}


def test_processes_events_and_kills_come_from_the_other_ring(rings: LiveRings) -> None:
    """Half of the panels would stay empty."""
    rings.sample(900)
    now_s = rings.now_s()
    rings.tape.processes(now_s, eater_row(1024, now_s))
    rings.tape.happened(now_s, "dump", detail="wanted")
    rings.tape.noticed(now_s, "missed", ticks=2)
    record = b"2,17,5,-;Out of memory: Killed process 4711 (eater) total-vm:4000kB, anon-rss:3072kB\n"
    rings.tape.message(now_s, record)
    rings.sample(800)
    frame = RingSource(rings.places, Rules()).frame(10.0)
    assert [process.name for process in frame.processes] == ["eater"]
    assert sorted(each.text for each in frame.happenings) == [
        *("dump: detail wanted", "missed: ticks 2", "the kernel killed eater (pid 4711) for the machine"),
    ]


def test_rules_are_near_by_the_samples_and_active_by_the_state_file(rings: LiveRings, rules: Rules) -> None:
    """A rule that has fired would look idle, or one would not see it coming."""
    rings.say(rules=[{"name": "little-left", "active": True, "fired": 4}])
    rings.sample(500)
    (rule,) = RingSource(rings.places, rules).frame(10.0).rules
    assert (rule.share, rule.active, rule.fired, rule.holds_s) == (0.8, True, 4, None)


@pytest.mark.parametrize("told", [[], [{"name": "other"}]])
def test_other_rules_than_the_daemons_are_said_to_be_so(
    rings: LiveRings, rules: Rules, told: list[dict[str, Any]]
) -> None:
    """One would wait for a rule that the daemon does not know."""
    rings.say(rules=told)
    rings.sample(500)
    note = RingSource(rings.places, rules).frame(10.0).rules_note
    assert note == "the daemon runs other rules: name its configuration with --config"


@pytest.mark.parametrize("state", [b"", b"[]", b'{"version": 1, "rules": {"a": 1}, "degraded": 7}', b"\xff"])
def test_a_damaged_state_file_costs_only_what_is_in_it(rings: LiveRings, rules: Rules, state: bytes) -> None:
    """The view would end by it, when it is needed."""
    rings.sample(500)
    rings.places.state.write_bytes(state)
    (rule,) = RingSource(rings.places, rules).frame(10.0).rules
    assert (rule.share, rule.active, rule.fired) == (0.8, None, None)


def test_a_daemon_that_falls_silent_is_not_taken_for_a_calm_machine(rings: LiveRings) -> None:
    """Its last figures would be taken for the present ones."""
    rings.sample(900)
    source = RingSource(rings.places, Rules())
    assert source.frame(10.0).notes == ()
    rings.stop_beating()
    (note,) = source.frame(10.0).notes
    assert note.startswith("memwatchd has been silent for 5 s")


def test_the_next_daemon_is_followed_too(rings: LiveRings) -> None:
    """After an update of the daemon every open view would have to be started anew."""
    rings.sample(900)
    source = RingSource(rings.places, Rules())
    rings.restart()
    rings.sample(300)
    source._looked_ns = 0  # as if a second had passed
    assert available_mib(source) == 300


def test_without_a_daemon_it_says_so(rings: LiveRings, tmp_path: Path) -> None:
    """It would show a machine of last week, or end in a traceback."""
    with pytest.raises(NotRunningError, match="no samples yet"):
        RingSource(rings.places, Rules())
    rings.sample(900)
    rings.stop_beating()
    with pytest.raises(NotRunningError, match="nobody writes"):
        RingSource(rings.places, Rules())
    rings.places.ring.write_bytes(b"not a ring")
    with pytest.raises(NotRunningError, match="not a memwatchd ring"):
        RingSource(rings.places, Rules())
    with pytest.raises(NotRunningError, match="No such file"):
        RingSource(Places(tmp_path / "nowhere", tmp_path), Rules())


def test_frozen_it_can_be_gone_to_and_fro_in(rings: LiveRings, rules: Rules) -> None:
    """What one has just seen on a live machine could not be looked at again."""
    for mib in (900, 800, 700):
        rings.sample(mib)
    source = RingSource(rings.places, rules)
    frozen = TapeSource(source.put_aside(), rules, title="x")
    rings.sample(100)
    while frozen.work(60.0):
        pass
    found = []
    for move in (Move.ZERO, Move.SAMPLE_BACK, Move.FIRST, Move.LAST):
        frozen.move(move)
        memory = frozen.frame(10.0).memory
        assert memory is not None
        found.append((memory.available_bytes or 0) / (1 << 20))
    assert found == [700, 800, 900, 700]
    assert available_mib(source) == 100
    assert source.move(Move.FIRST) == "the first sample: freeze first, with the space bar"


def test_it_asks_for_no_right_but_to_read(rings: LiveRings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root could look."""
    import os

    rings.sample(900)
    flags: list[int] = []
    opened = os.open

    def watch(path: Any, how: int, *more: Any, **named: Any) -> int:
        if str(path).startswith(str(rings.places.runtime_dir)):
            flags.append(how)
        return opened(path, how, *more, **named)

    monkeypatch.setattr(os, "open", watch)
    RingSource(rings.places, Rules()).frame(10.0)
    assert flags
    assert {how & (os.O_WRONLY | os.O_RDWR) for how in flags} == {0}

"""Going to and fro in a recording."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import MS, ZERO_NS, S, Tape, WriteIncident, meminfo, slabinfo, vmstat
from tests.views.conftest import kill_facts

from memwatchd.config.load import parse_config
from memwatchd.errors import NotFoundError
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.views.live.frame import Frame, Part, RuleState
from memwatchd.views.live.source import Move, Rules
from memwatchd.views.live.tape_source import TapeSource

SPAN_S = 10.0
CONFIG = """
rules:
  little-left: {when: meminfo.MemAvailable < 40% of meminfo.MemTotal, for: 1s, actions: [{log: {}}]}
  growing: {when: "rate(slab.dentry.bytes, 1s) > 1MiB/s", severity: warn}
  zfs: {when: arc.size > 1GiB, optional: true, severity: warn}
"""


@pytest.fixture
def rules() -> Rules:
    config = parse_config(CONFIG, "test")
    return Rules(config.rules, config.acting.dry_run)


def read(incident: Incident, rules: Rules = Rules()) -> TapeSource:  # noqa: B008  # it is frozen
    source = TapeSource(from_incident(incident), rules, title="x")
    while source.work(60.0):
        pass
    return source


def at_s(source: TapeSource) -> float:
    return (source.frame(SPAN_S).at_ns - ZERO_NS) / S


def part(frame: Frame, name: str) -> Part:
    assert frame.memory is not None
    return next(part for part in frame.memory.parts if part.name == name)


def test_it_begins_at_the_trigger(incident: Incident) -> None:
    """One would have to look for the kill oneself."""
    frame = TapeSource(from_incident(incident), Rules(), title="x").frame(SPAN_S)
    assert (frame.at_ns, frame.zero_ns) == (ZERO_NS, ZERO_NS)
    assert (frame.from_ns, frame.to_ns) == (ZERO_NS - 3 * S, ZERO_NS + S)
    assert frame.wall_ns is not None


@pytest.mark.parametrize("reads_first", [True, False])
def test_samples_and_seconds(incident: Incident, reads_first: bool) -> None:
    """Steps would skip samples, or depend on what has been read beforehand."""
    source = read(incident) if reads_first else TapeSource(from_incident(incident), Rules(), title="x")
    moves = (Move.SAMPLE_BACK, Move.SAMPLE_BACK, Move.SAMPLE_BACK, Move.SAMPLE_ON, Move.SECOND_BACK)
    # There is no sample at -1.5 s.
    found = []
    for move in moves:
        assert source.move(move) == ""
        found.append(at_s(source))
    assert found == [-0.5, -1.0, -2.0, -1.0, -2.0]


def test_it_ends_at_both_ends(incident: Incident) -> None:
    """One could step out of the recording."""
    source = read(incident)
    assert source.move(Move.LAST) == ""
    assert at_s(source) == 1.0
    assert source.move(Move.SAMPLE_ON) == "this is the last sample"
    source.move(Move.SECOND_ON)
    assert at_s(source) == 1.0
    source.move(Move.FIRST)
    assert at_s(source) == -3.0
    assert source.move(Move.SAMPLE_BACK) == "this is the first sample"
    source.move(Move.SECOND_BACK)
    assert at_s(source) == -3.0


def test_events_and_kills_are_found(incident: Incident) -> None:
    """What happened between two samples could not be reached, or not be left again."""
    source = read(incident)
    source.move(Move.FIRST)
    found = []
    while not source.move(Move.EVENT_ON):
        found.append(at_s(source))
    assert found == [-1.0, -0.5, 0.0, 0.001, 0.5]
    assert source.move(Move.EVENT_ON) == "nothing happens after this"
    source.move(Move.EVENT_BACK)
    assert at_s(source) == 0.001
    source.move(Move.FIRST)
    assert source.move(Move.EVENT_BACK) == "nothing happened before"
    assert source.move(Move.KILL) == ""
    assert at_s(source) == 0.0


def test_kills_are_gone_through_in_a_circle(
    tape: Tape, write_incident: WriteIncident, facts: dict[str, object]
) -> None:
    """Of several kills only the first could be looked at."""
    for tenth in range(20):
        tape.sample(tenth / 10, {"meminfo": meminfo(MemFree=1)})
    facts["kills"] = [kill_facts(0.33), kill_facts(1.05, pid=4712)]
    source = read(open_incident(write_incident(facts)))
    found = []
    for _ in range(3):
        source.move(Move.KILL)
        found.append(at_s(source))
    assert found == [0.33, 1.05, 0.33]


def test_without_a_kill_one_lands_at_zero(tape: Tape, write_incident: WriteIncident) -> None:
    """A key would do nothing, and not say why."""
    for second in (-1, 0, 1):
        tape.sample(second, {"meminfo": meminfo(MemFree=1)})
    source = read(open_incident(write_incident()))
    source.move(Move.LAST)
    assert source.move(Move.KILL) == "no kill by the kernel was recorded; this is moment zero"
    assert at_s(source) == 0.0


def test_a_typed_time_is_gone_to(incident: Incident) -> None:
    """The moment a log names could not be looked at."""
    source = read(incident)
    assert source.move_to("-0.7s") == ""
    assert at_s(source) == -1.0
    assert "expected seconds" in source.move_to("soon")
    assert at_s(source) == -1.0


def test_time_passes_both_ways(incident: Incident) -> None:
    """A recording could not be played, or not backwards, or not to its end."""
    source = read(incident)
    assert source.play(0.3)
    assert at_s(source) == 0.0
    assert source.play(0.3)
    assert at_s(source) == 0.5
    assert not source.play(5.0)
    assert at_s(source) == 1.0
    assert source.play(-1.0)
    assert at_s(source) == 0.0
    assert not source.play(-9.0)
    assert at_s(source) == -3.0


def test_figures_are_those_of_the_moment(incident: Incident) -> None:
    """What is shown would be of another moment than it says."""
    source = read(incident)
    frame = source.frame(1.0)
    assert frame.memory is not None
    assert part(frame, "MemAvailable") == Part("MemAvailable", 0.0, -200.0 * (1 << 20))
    # 5 slabs more within a second and a half: the sample in between did not happen.
    caches = {cache.name: (cache.size_bytes, cache.growth_bytes_per_s) for cache in frame.caches}
    assert caches["dentry"] == (7 * 10 * 4096.0, 20 * 4096.0)
    assert [zone.free_bytes for zone in frame.zones] == [40 * 4096]
    assert [(process.name, process.size_bytes) for process in frame.processes] == [
        ("eater", 5120 << 10),
        ("init", 400 << 10),
    ]
    rates = {rate.name: rate.now for rate in frame.rates}
    assert rates["some task waited"] == pytest.approx(0.5)
    assert [each.text for each in frame.happenings][
        -1
    ] == "the kernel killed eater (pid 4711) for the machine"
    source.move(Move.SAMPLE_BACK)
    assert source.frame(1.0).memory != frame.memory


def test_growth_needs_a_past(incident: Incident) -> None:
    """The first sample would seem to have grown out of nothing."""
    source = read(incident)
    source.move(Move.FIRST)
    frame = source.frame(SPAN_S)
    assert {part.growth_bytes_per_s for part in frame.memory.parts if frame.memory} == {None}  # type: ignore[union-attr]  # there is one
    assert {cache.growth_bytes_per_s for cache in frame.caches} == {None}


def test_rules_are_as_near_as_they_were(incident: Incident, rules: Rules) -> None:
    """The replay would tell another story than the rules did."""
    source = read(incident, rules)

    def near() -> dict[str, tuple[float | None, float | None]]:
        return {rule.name: (rule.share, rule.holds_s) for rule in source.frame(SPAN_S).rules}

    told = near()
    assert (told["little-left"], told["zfs"]) == ((1.0, 1.0), (None, None))
    assert told["growing"] == (80 / 1024, None)
    source.move(Move.FIRST)
    assert near()["little-left"] == (400_000 / 614_400, None)


def test_until_it_is_read_that_is_said(incident: Incident, rules: Rules) -> None:
    """Rules that are not known yet would look as if there were none."""
    source = TapeSource(from_incident(incident), rules, title="x")
    frame = source.frame(SPAN_S)
    assert (frame.rules, frame.rules_note) == ((), "not known before the recording has been read this far")
    assert frame.notes[0].startswith("reading, ")
    while source.work(60.0):
        pass
    assert source.frame(SPAN_S).notes == ()


def test_recorded_decisions_say_what_a_rule_did(
    tape: Tape, write_incident: WriteIncident, rules: Rules
) -> None:
    """A rule would look idle at the moment it acted."""
    for second in (-1, 0, 1):
        tape.sample(second, {"meminfo": meminfo(MemAvailable=900_000)})
    tape.noticed(-0.5, "rule_fire", rule="little-left", step=0, figures={})
    tape.noticed(0.5, "rule_clear", rule="little-left")
    source = read(open_incident(write_incident()), rules)

    def standing() -> tuple[bool | None, int | None]:
        rule: RuleState = source.frame(SPAN_S).rules[0]
        return rule.active, rule.fired

    assert standing() == (True, 1)
    source.move(Move.LAST)
    assert standing() == (False, 1)


def test_a_recording_without_samples_says_so(tape: Tape, write_incident: WriteIncident) -> None:
    """It would end in a traceback."""
    tape.happened(0, "dump")
    with pytest.raises(NotFoundError, match="no samples"):
        TapeSource(from_incident(open_incident(write_incident())), Rules(), title="x")


def test_damage_is_passed_over(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path, damage: Callable[[Path, int], None]
) -> None:
    """One damaged block would end the replay of all others."""
    for step in range(300):
        tape.sample(step / 100, {"meminfo": meminfo(MemFree=step), "vmstat": vmstat(pswpout=step)})
        if step % 100 == 99:
            tape.new_segment()
    path = write_incident()
    damage(path, path.stat().st_size // 2)
    source = read(open_incident(path))
    for move in (Move.FIRST, Move.LAST, Move.ZERO):
        source.move(move)
        source.frame(SPAN_S)
    source.move_to("1.5s")
    assert source.frame(SPAN_S).memory is not None


@pytest.fixture
def damage() -> Callable[[Path, int], None]:
    """Spoil some bytes of a file."""

    def spoil(path: Path, offset: int) -> None:
        content = bytearray(path.read_bytes())
        content[offset : offset + 64] = b"\xa5" * 64
        path.write_bytes(content)

    return spoil


def test_hostile_names_are_made_printable(tape: Tape, write_incident: WriteIncident) -> None:
    """A cache or cgroup could write on the terminal."""
    source = "cgroup/a\x1b[2J/memory.current"
    tape.watch(source, cgroup="/a\x1b[2J")
    tape.sample(
        0,
        {
            "meminfo": meminfo(MemFree=1),
            "slabinfo": slabinfo(**{"x\x1by": 3}),
            source: b"4096\n",
        },
    )
    frame = read(open_incident(write_incident())).frame(SPAN_S)
    assert [cache.name for cache in frame.caches] == ["x\\x1by"]
    assert [(cgroup.path, cgroup.used_bytes) for cgroup in frame.cgroups] == [("/a\\x1b[2J", 4096.0)]


def test_a_frame_of_a_long_recording_needs_no_others(tape: Tape, write_incident: WriteIncident) -> None:
    """A seek would decode all samples before."""
    for step in range(2000):
        tape.sample(step / 200, {"meminfo": meminfo(MemFree=step)})
    incident = open_incident(write_incident())
    opened: list[object] = []
    recorded = from_incident(incident)

    def segments(kind, from_ns):  # type: ignore[no-untyped-def]  # as in `Recorded`
        for segment in recorded.segments(kind, from_ns):
            opened.append(segment)
            yield segment

    source = TapeSource(replace(recorded, segments=segments), Rules(), title="x")
    opened.clear()
    source.move_to("5s")
    assert source.frame(SPAN_S).at_ns == ZERO_NS + 5 * S
    source.move(Move.SAMPLE_BACK)
    assert source.frame(SPAN_S).at_ns == ZERO_NS + 5 * S - 5 * MS
    assert len(opened) <= 3

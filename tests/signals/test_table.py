"""Signals of many samples at once."""

import random
import re
from collections.abc import Iterable, Iterator
from math import isnan

import pytest
from tests.columns import each_row
from tests.conftest import Tape, meminfo, slabinfo, vmstat
from tests.signals.conftest import MACHINES, machine_texts

from memwatchd.ring.reader import read_segments
from memwatchd.ring.samples import Sample
from memwatchd.ring.stream import Moment, moments
from memwatchd.signals.catalogue import find_signal, list_signals
from memwatchd.signals.replay import Replay
from memwatchd.signals.table import Table, any_of, read_table

# Numbers alone: in names they would make two lines of the same one.
_NUMBER = re.compile(rb"(?<=[ =])\d+(?![\w,])")
# Without these, lines of two zones would be those of one.
_STRUCTURE = re.compile(rb"Node|pages free|per-node")
_ROWS = 12
_STAT = b"anon 4096\nfile 8192\npgfault 7\ntotal_rss 5\n"


def filled(table: Table) -> dict[str, list[float | None]]:
    count = len(table.times_ns)
    return {
        name: [None if isnan(value) else value for value in each_row(column, count)]
        for name, column in table.columns.items()
    }


def read_one_by_one(past: list[Moment], names: Iterable[str]) -> dict[str, list[float | None]]:
    """Signals of every moment, each by a reader of its own."""
    found: dict[str, list[float | None]] = {name: [] for name in names}
    for moment in past:
        recording = present(moment).recording
        for name, values in found.items():
            value = find_signal(name).bind(recording)()
            values.append(None if isnan(value) else value)
    return found


def present(moment: Moment) -> Replay:
    replay = Replay(4096)
    replay.take(moment)
    return replay


def mutate(text: bytes, chance: random.Random) -> bytes:
    """Another text of the same file: other numbers, some of another width, lines that come, go and move."""
    lines = text.split(b"\n")
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(lines))
        lines[place] = _NUMBER.sub(
            lambda found: found[0] if chance.random() < 0.6 else b"%d" % chance.randrange(10**6), lines[place]
        )
    loose = [place for place, line in enumerate(lines[1:], 1) if not _STRUCTURE.search(line)]
    if chance.random() < 0.2 and len(loose) > 2:
        del lines[chance.choice(loose[:-1])]
    if chance.random() < 0.2:
        lines.insert(chance.randrange(len(lines)), b"nr_new_%d %d" % (chance.randrange(99), 7))
    if chance.random() < 0.2:
        one = chance.randrange(1, max(2, len(lines)))
        if not any(map(_STRUCTURE.search, lines[one - 1 : one + 1])):
            lines[one - 1 : one + 1] = lines[one - 1 : one + 1][::-1]
    return b"\n".join(lines)


def changing(machine: str, seed: int) -> Iterator[Moment]:
    """A machine whose texts change at random, and of whose sources one comes late and one goes early."""
    chance = random.Random(seed)
    named = machine_texts(machine) | {"cgroup/a.service/memory.stat": _STAT}
    entries = {number: {"id": number, "name": name} for number, name in enumerate(named)}
    last = len(named) - 1
    entries[last]["cgroup"] = "/a.service"
    phases = [
        {number: entry for number, entry in entries.items() if number != last},
        entries,
        {number: entry for number, entry in entries.items() if number},
    ]
    texts = dict(enumerate(named.values()))
    for row in range(_ROWS):
        for number in chance.sample(list(texts), 2):
            texts[number] = mutate(texts[number], chance)
        sources = phases[row * len(phases) // _ROWS]
        now = {number: text for number, text in texts.items() if number in sources and (number or row > 2)}
        yield Moment(Sample(row, row, 0, 0, 0, 1, now, tuple(now), dict.fromkeys(now, row)), sources)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_has_changed_is_overlooked(machine: str, seed: int) -> None:
    """An export would hold other numbers than the rules saw: what is not read again must not have changed."""
    past = list(changing(machine, seed))
    found = filled(read_table(past, 4096))
    listed = {signal.name for moment in past for signal in list_signals(present(moment).recording)}
    assert listed <= set(found)
    assert found == read_one_by_one(past, found)


def test_each_value_is_kept_once(tape: Tape) -> None:
    """Half a minute of all signals would take a hundred megabytes."""
    for number in range(40):
        tape.sample(number / 10, {"meminfo": meminfo(MemFree=number // 20), "slabinfo": slabinfo(dentry=5)})
    table = read_table(moments(read_segments(tape.samples)), 4096)
    kept = {name: (list(column.rows), list(column.values)) for name, column in table.columns.items()}
    assert kept["meminfo.MemFree"] == ([0, 20], [0.0, 1024.0])
    assert kept["slab.dentry.bytes"] == ([0], [5 * 4096.0])
    assert each_row(table.columns["meminfo.MemFree"], 40) == [0.0] * 20 + [1024.0] * 20


def test_what_comes_late_and_goes_early(tape: Tape) -> None:
    """A watched process that began later would seem to have been there all the time, or not at all."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1)})
    tape.watch("process/7/statm", pid=7, comm="x")
    tape.sample(1, {"process/7/statm": b"1 2 3\n"})
    tape.sample(2, {"process/7/statm": b"1 3 3\n"})
    tape.catalogue.pop()
    tape.watch("meminfo")
    tape.sample(3, {"meminfo": meminfo(MemFree=1)})
    found = filled(read_table(moments(read_segments(tape.samples)), 4096))
    assert found["process.x.rss"] == [None, 8192, 12288, None]
    assert found["process.7.rss"] == [None, 8192, 12288, None]


def test_only_what_is_wanted(tape: Tape) -> None:
    """To export two columns one would wait for a thousand."""
    tape.sample(0, {"meminfo": meminfo(MemFree=1), "vmstat": vmstat(oom_kill=2)})
    table = read_table(
        moments(read_segments(tape.samples)), 4096, any_of(("vmstat.oom_*", "meminfo.MemFree"))
    )
    assert list(table.columns) == ["meminfo.MemFree", "vmstat.oom_kill"]


@pytest.mark.parametrize(("every_ns", "rows"), [(0, 10), (250_000_000, 4), (10**9, 1), (10**12, 1)])
def test_one_sample_in_a_span(tape: Tape, every_ns: int, rows: int) -> None:
    """A minute for a chart of 500 points would be exported at 200 samples a second."""
    for number in range(10):
        tape.sample(number / 10, {"vmstat": vmstat(oom_kill=number)})
    past = list(moments(read_segments(tape.samples)))
    zero_ns = past[0].sample.monotonic_ns
    table = read_table(past, 4096, every_ns=every_ns, zero_ns=zero_ns)
    assert len(table.times_ns) == rows
    assert table.times_ns[0] == zero_ns


def test_nothing_at_all() -> None:
    """An incident without samples would end in a traceback."""
    table = read_table((), 4096)
    assert (list(table.times_ns), table.columns) == ([], {})

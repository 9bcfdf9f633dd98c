"""Two incidents side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident, meminfo, pressure, slabinfo, vmstat

from memwatchd.errors import NotFoundError
from memwatchd.incidents.format import BlockType, IncidentHeader
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.recorded import from_incident
from memwatchd.incidents.rewrite import Contents
from memwatchd.incidents.rewrite import write_incident as write_file
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Stream
from memwatchd.ring.reader import read_segments
from memwatchd.views.compare import compare_incidents, render

MIB = 1 << 20
LEAK_AND_EATER = """\
A  0.mwi: y
   db1, kernel 6.1.0, 2023-11-14T22:13:20.000000Z
B  1.mwi: y
   db1, kernel 6.1.0, 2023-11-14T22:13:20.000000Z
Over the last 10 s before each trigger

Grew in A, not in B
                                A                 B
  slab  nfs_inode_cache  +300 MiB  to 300 MiB  +0 B  to 0 B

Grew in B, not in A
                         A                  B
  process  eat\\x1ber  +0 B  to 1 MiB  +50 MiB  to 51 MiB
  cgroup   /a         +0 B  to 1 MiB  +50 MiB  to 51 MiB

Ran faster in one
                               A     B
  vmstat.pgscan_direct  4,096 /s  0 /s
"""
# What grows by so many MiB within ten seconds.
Growth = dict[str, int]
Record = Callable[[Growth], Incident]


@pytest.fixture
def record(make_ring: Callable[..., RingMap], tmp_path: Path) -> Record:
    """Make an incident of three samples, five seconds apart, of which the last is its trigger."""

    def make(growth: Growth) -> Incident:
        tape = Tape(make_ring(2, 65536), make_ring(2, 65536, Stream.EVENTS))
        for part, at_s in enumerate((-10, -5, 0)):
            kib = {name: 512 * part * mib for name, mib in growth.items()}
            row = {"pid": 7, "start_ticks": 1, "comm": "eat\x1ber", "cgroup": "/a", "swap_kib": 0}
            tape.processes(at_s, {**row, "rss_kib": 1024 + kib.get("rss", 0)})
            tape.sample(
                at_s,
                {
                    "meminfo": meminfo(MemFree=900_000 - 4096 * part, AnonPages=50_000 + kib.get("anon", 0)),
                    "slabinfo": slabinfo(dentry=2560, nfs_inode_cache=kib.get("nfs", 0) // 4),
                    "vmstat": vmstat(pgscan_direct=kib.get("scanned", 0), pswpout=5),
                    "pressure": pressure(1000 * part),
                },
            )
        path = tmp_path / f"{len(list(tmp_path.glob('*.mwi')))}.mwi"
        header = IncidentHeader(bytes(16), bytes(16), 0)
        meta = {
            "trigger": {
                "kind": "x",
                "detail": "y",
                "monotonic_ns": ZERO_NS,
                "realtime_ns": 1_700_000_000 * S,
            },
            "host": {"hostname": "db1", "kernel": "6.1.0", "page_size": 4096},
        }
        rings = {BlockType.SAMPLES: tape.samples, BlockType.EVENTS: tape.events}
        streams = {kind: list(read_segments(ring)) for kind, ring in rings.items()}
        write_file(path, Contents(header, meta, dict(streams), {}, complete=True))
        return open_incident(path)

    return make


def named(found: dict[str, Any], where: str) -> list[tuple[str, str]]:
    return [(row["kind"], row["name"]) for row in found[where]]


def test_what_grew_where(record: Record) -> None:
    """A leak in one would be lost among what grows in every death."""
    found = compare_incidents(record({"nfs": 300, "anon": 20}), record({"anon": 30, "rss": 50}))
    assert named(found, "only_a") == [("slab", "nfs_inode_cache")]
    assert named(found, "only_b") == [("process", "eat\x1ber"), ("cgroup", "/a")]
    assert named(found, "both") == [("memory", "meminfo.AnonPages")]
    assert found["only_a"][0] == {
        "kind": "slab",
        "name": "nfs_inode_cache",
        "a": {"from_bytes": 0, "to_bytes": 300 * MIB, "grown_bytes": 300 * MIB},
        "b": {"from_bytes": 0, "to_bytes": 0, "grown_bytes": 0},
    }
    assert found["span_s"] == 10


def test_two_of_a_kind_have_grown_in_both(record: Record) -> None:
    """The same incident twice would seem to be two different stories."""
    one = record({"nfs": 300, "anon": 20, "rss": 40, "scanned": 50})
    found = compare_incidents(one, one)
    assert (found["only_a"], found["only_b"], found["rates"]) == ([], [], [])
    assert len(found["both"]) == 4


def test_much_more_in_one_is_growth_in_one(record: Record) -> None:
    """A cache that grew by a gigabyte here and by a few megabytes there is what tells the two apart."""
    found = compare_incidents(record({"nfs": 300}), record({"nfs": 20, "anon": 300}))
    assert named(found, "only_a") == [("slab", "nfs_inode_cache")]
    assert named(found, "only_b") == [("memory", "meminfo.AnonPages")]


def test_what_ran_faster(record: Record) -> None:
    """Reclaim in one of them would not be seen: a counter is no size."""
    found = compare_incidents(record({"scanned": 40}), record({}))
    rate = 40 * 1024 / 10
    assert found["rates"] == [
        {"name": "vmstat.pgscan_direct", "unit": "pages", "a_per_s": rate, "b_per_s": 0.0}
    ]


def test_over_a_shorter_time(record: Record) -> None:
    """What had grown long before would hide what grew at the end."""
    found = compare_incidents(record({"nfs": 300}), record({}), over_ns=5 * S)
    assert found["span_s"] == 5
    assert found["only_a"][0]["a"]["grown_bytes"] == 150 * MIB


def test_as_text(record: Record) -> None:
    """A stranger's name would reach the terminal, or the two columns be mixed up."""
    found = compare_incidents(record({"nfs": 300, "scanned": 40}), record({"rss": 50}))
    assert render(found) == LEAK_AND_EATER


def test_nothing_grew(record: Record) -> None:
    """A person would look at headings without anything below them."""
    assert render(compare_incidents(record({}), record({}))).endswith("\n\nNothing grew in either\n")


def test_without_a_time_before(tape: Tape, write_incident: WriteIncident) -> None:
    """Growth over no time at all would be made up."""
    tape.sample(1, {"meminfo": meminfo(MemFree=1)})
    incident = open_incident(write_incident())
    assert from_incident(incident).zero_ns == ZERO_NS
    with pytest.raises(NotFoundError, match="no samples from before its trigger"):
        compare_incidents(incident, incident)

"""Following a ring: each record once, whatever the writer does meanwhile."""

from collections.abc import Callable

from memwatchd.ring.file import RingMap
from memwatchd.ring.follow import Follower
from memwatchd.ring.format import SEGMENT_HEADER_BYTES, Kind
from memwatchd.ring.writer import Clocks, RingWriter

MakeRing = Callable[..., RingMap]
ReadClocks = Callable[[], Clocks]
MS = 1_000_000


def started(ring: RingMap, clocks: ReadClocks) -> RingWriter:
    writer = RingWriter(ring, clocks, bytes(range(16)), 77)
    writer.start_segment()
    return writer


def taken(follower: Follower) -> list[tuple[bool, list[bytes]]]:
    return [
        (stretch.begins, [bytes(record.payload) for record in stretch.segment.records()])
        for stretch in follower.take()
    ]


def test_each_record_comes_once(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """What is shown would be counted twice, or be missing."""
    ring = make_ring()
    writer = started(ring, clocks)
    writer.append(Kind.EVENT, b"one")
    follower = Follower(ring)
    assert taken(follower) == [(True, [b"one"])]
    assert taken(follower) == []
    writer.append(Kind.EVENT, b"two")
    writer.append(Kind.EVENT, b"three")
    assert taken(follower) == [(False, [b"two", b"three"])]


def test_it_goes_on_into_the_next_segments(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """The live view would stand still after a second or two."""
    ring = make_ring()
    writer = started(ring, clocks)
    writer.append(Kind.EVENT, b"one")
    follower = Follower(ring)
    taken(follower)
    writer.append(Kind.EVENT, b"two")
    for payload in (b"three", b"four"):
        writer.start_segment()
        writer.append(Kind.EVENT, payload)
    assert taken(follower) == [(False, [b"two"]), (True, [b"three"]), (True, [b"four"])]
    assert follower.lost == 0


def test_it_begins_where_it_is_told_to(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """Starting would take as long as reading all of a large ring."""
    ring = make_ring()
    writer = started(ring, clocks)  # begins at 1 ms, the next ones a millisecond later each
    for payload in (b"one", b"two", b"three"):
        writer.append(Kind.EVENT, payload)
        writer.start_segment()
    assert [payloads for _, payloads in taken(Follower(ring, 2 * MS))] == [[b"two"], [b"three"]]


def test_who_is_overtaken_goes_on_with_what_is_there(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """A terminal that was stopped for a minute would never come back."""
    ring = make_ring(segments=4)
    writer = started(ring, clocks)
    follower = Follower(ring)
    for number in range(10):
        writer.append(Kind.EVENT, b"%d" % number)
        writer.start_segment()
    assert taken(follower) == [(True, [b"7"]), (True, [b"8"]), (True, [b"9"])]
    assert follower.lost > 0
    writer.append(Kind.EVENT, b"last")
    assert taken(follower) == [(True, [b"last"])]


def test_damage_costs_its_own_segment(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """What a damaged record claims would be shown as the truth."""
    ring = make_ring()
    writer = started(ring, clocks)
    writer.append(Kind.EVENT, b"good")
    follower = Follower(ring)
    taken(follower)
    writer.append(Kind.EVENT, b"spoilt")
    ring.segments[0][SEGMENT_HEADER_BYTES + 36] ^= 1
    writer.append(Kind.EVENT, b"after")
    assert taken(follower) == []
    writer.start_segment()
    writer.append(Kind.EVENT, b"next")
    assert taken(follower) == [(True, [b"next"])]
    assert follower.lost == 1


def test_an_empty_ring_is_followed_once_it_is_written(make_ring: MakeRing, clocks: ReadClocks) -> None:
    """Who looks before the first sample would never see any."""
    ring = make_ring()
    follower = Follower(ring)
    assert taken(follower) == []
    started(ring, clocks).append(Kind.EVENT, b"first")
    assert taken(follower) == [(True, [b"first"])]

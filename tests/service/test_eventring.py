"""The service's own ring."""

import threading
from collections.abc import Callable

from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Stream
from memwatchd.ring.reader import read_segments, segment_headers
from memwatchd.ring.stream import events, messages, process_rows, stored_files
from memwatchd.service.eventring import EventRing

MakeRing = Callable[..., RingMap]


def test_every_kind_of_record_comes_back(make_ring: MakeRing) -> None:
    """What stands beside the samples in an incident would be lost."""
    ring = EventRing(make_ring(8, 4096, Stream.EVENTS))
    ring.event("sampler_died", 5, status=-9, odd={1})
    ring.message(6, b"4,1203,94012345,-;Killed process 7 (\\xff)\n")
    ring.processes(7, ["pid", "comm"], [[1, "init"], [2, "\udcff\n"]])
    ring.file(8, "loadavg", b"0.1 \xff\n")
    (event,) = events(read_segments(ring.ring))
    (message,) = messages(read_segments(ring.ring))
    (part,) = process_rows(read_segments(ring.ring))
    (file,) = stored_files(read_segments(ring.ring))
    assert event == {"event": "sampler_died", "monotonic_ns": 5, "status": -9, "odd": "{1}"}
    assert (message.monotonic_ns, message.raw) == (6, b"4,1203,94012345,-;Killed process 7 (\\xff)\n")
    assert (part.monotonic_ns, part.rows) == (
        7,
        ({"pid": 1, "comm": "init"}, {"pid": 2, "comm": "\udcff\n"}),
    )
    assert (file.monotonic_ns, file.name, file.text) == (8, "loadavg", b"0.1 \xff\n")


def test_the_newest_are_kept(make_ring: MakeRing) -> None:
    """The ring would stop when it is full."""
    ring = EventRing(make_ring(4, 4096, Stream.EVENTS))
    for number in range(1000):
        ring.event("tick", number)
    kept = [event["monotonic_ns"] for event in events(read_segments(ring.ring))]
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) > 100


def test_what_is_too_large_is_counted_and_the_next_is_kept(make_ring: MakeRing) -> None:
    """One enormous record would stop all that come after it."""
    ring = EventRing(make_ring(4, 4096, Stream.EVENTS))
    ring.event("before", 1)
    ring.file(2, "swaps", b"x" * 5000)
    ring.event("after", 3)
    assert ring.oversize == 1
    assert [event["event"] for event in events(read_segments(ring.ring))] == ["before", "after"]


def test_threads_do_not_tear_each_others_records(make_ring: MakeRing) -> None:
    """A record written by two threads at once would damage the rest of its segment."""
    ring = EventRing(make_ring(64, 16384, Stream.EVENTS))

    def write(thread: int) -> None:
        for number in range(300):
            ring.event("note", number, thread=thread)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(events(read_segments(ring.ring)))
    assert not any(segment.damaged for segment in read_segments(ring.ring))
    for thread_number in range(4):
        mine = [event["monotonic_ns"] for event in found if event["thread"] == thread_number]
        assert mine == list(range(300))


def test_the_end_seals_what_is_there(make_ring: MakeRing) -> None:
    """The next start would take a run that ended well for one that died."""
    ring = EventRing(make_ring(4, 4096, Stream.EVENTS))
    ring.event("last", 1)
    ring.close()
    assert segment_headers(ring.ring)[-1].sealed

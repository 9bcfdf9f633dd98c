"""The kernel's messages and its counters: either alone makes an incident, both together make one."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from memwatchd.incidents.recorder import KERNEL_KILL, Trigger
from memwatchd.kernel.kmsg import KmsgReader
from memwatchd.ring.file import RingMap
from memwatchd.ring.format import Kind, Stream
from memwatchd.ring.reader import read_segments
from memwatchd.ring.stream import events, messages
from memwatchd.ring.writer import Clocks, RingWriter
from memwatchd.service.eventring import EventRing
from memwatchd.service.messages import KillWatch

MakeRing = Callable[..., RingMap]

_DEADLINE_S = 10.0


@dataclass
class Scene:
    """A kill watch between a kernel and a sampler that this test plays."""

    kernel: socket.socket
    sampler: RingWriter
    triggers: list[Trigger]
    watch: KillWatch
    _sequence: int = field(default=100)

    def says(self, text: str, ahead_s: int = 0) -> bytes:
        """The kernel prints a line; its clock for messages may be wrong."""
        self._sequence += 1
        at_usec = time.monotonic_ns() // 1000 + ahead_s * 1_000_000
        raw = f"4,{self._sequence},{max(0, at_usec)},-;{text}\n".encode()
        self.kernel.send(raw)
        return raw

    def says_killed(self, pid: int, ahead_s: int = 0) -> bytes:
        return self.says(
            f"Memory cgroup out of memory: Killed process {pid} (eater) "
            "total-vm:9kB, anon-rss:8kB, file-rss:1kB",
            ahead_s,
        )

    def loses(self, records: int) -> None:
        """The kernel overwrites lines before they are read."""
        self._sequence += records

    def counts(self, source: str, rise: int, at_ns: int | None = None) -> int:
        """The sampler sees a counter rise."""
        at_ns = at_ns or time.monotonic_ns()
        event = {"event": "oom_kill", "monotonic_ns": at_ns, "source": source, "rise": rise, "count": 9}
        assert self.sampler.append(Kind.EVENT, json.dumps(event).encode())
        return at_ns

    def hears(self) -> None:
        """The service is woken."""
        self.watch.read_messages()
        self.watch.read_counters()
        self.watch.poll()

    def waits(self, until: Callable[[], bool], what: str) -> None:
        """The service goes round and round."""
        deadline_s = time.monotonic() + _DEADLINE_S
        while not until():
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            time.sleep(0.01)
            self.hears()

    def long_after(self) -> None:
        """The service goes round for longer than it waits for a message."""
        until_s = time.monotonic() + 0.4
        self.waits(lambda: time.monotonic() > until_s, "a while")

    def facts(self) -> dict[str, Any]:
        """What an incident of this hour would say."""
        now_ns = time.monotonic_ns()
        facts: dict[str, Any] = self.watch.ledger.between(now_ns - 3600 * 10**9, now_ns)
        return facts

    def victims(self) -> list[int]:
        return [seen.kill.pid for seen in self.watch.ledger.kills]


@pytest.fixture
def make_scene(make_ring: MakeRing, clocks: Callable[[], Clocks]) -> Iterator[Callable[..., Scene]]:
    ends: list[socket.socket] = []

    def make(*, kmsg: bool = True) -> Scene:
        kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ends.extend((kernel, ours))
        samples = make_ring()
        sampler = RingWriter(samples, clocks, bytes(16), 1)
        sampler.start_segment()
        triggers: list[Trigger] = []
        reader = KmsgReader(ours.fileno()) if kmsg else None
        event_ring = EventRing(make_ring(segment_bytes=32768, stream=Stream.EVENTS))
        return Scene(kernel, sampler, triggers, KillWatch(reader, samples, event_ring, triggers.append))

    yield make
    for end in ends:
        end.close()


def test_a_message_alone(make_scene: Callable[..., Scene]) -> None:
    """A kill would be missed on a kernel without the counter, or for as long as the sampler is down."""
    scene = make_scene()
    scene.says_killed(4711)
    scene.hears()
    (trigger,) = scene.triggers
    assert trigger.kind == KERNEL_KILL
    assert "eater (pid 4711)" in trigger.detail
    assert scene.victims() == [4711]
    assert scene.facts()["disagreements"] == ["the kernel's messages tell of 1 kills, vmstat counts 0"]
    scene.long_after()
    assert len(scene.triggers) == 1


def test_a_counter_alone(make_scene: Callable[..., Scene]) -> None:
    """A kill whose message was lost would never be known of."""
    scene = make_scene()
    scene.counts("vmstat", 1)
    scene.waits(lambda: bool(scene.triggers), "the trigger")
    assert "no kernel message" in scene.triggers[0].detail
    assert scene.facts()["counters"] == {"vmstat": 1}
    assert scene.facts()["disagreements"] == ["vmstat counts 1 kills, the kernel's messages tell of 0"]
    scene.long_after()
    assert len(scene.triggers) == 1


def test_a_counter_where_messages_cannot_be_read(make_scene: Callable[..., Scene]) -> None:
    """Without CAP_SYSLOG, kills would go unrecorded."""
    scene = make_scene(kmsg=False)
    scene.counts("vmstat", 2)
    scene.waits(lambda: bool(scene.triggers), "the trigger")
    (sentence,) = scene.facts()["disagreements"]
    assert "could not be read" in sentence


@pytest.mark.parametrize("first", ["message", "counter"])
def test_both_are_one_kill(make_scene: Callable[..., Scene], first: str) -> None:
    """Each kill would be two incidents, or one that claims to know less than it does."""
    scene = make_scene()
    if first == "message":
        scene.says_killed(4711)
        scene.hears()
        scene.counts("vmstat", 1)
    else:
        scene.counts("vmstat", 1)
        scene.hears()
        scene.says_killed(4711)
    scene.long_after()
    (trigger,) = scene.triggers
    assert "pid 4711" in trigger.detail
    assert (scene.facts()["counters"], scene.facts()["disagreements"]) == ({"vmstat": 1}, [])


def test_two_counters_rise_in_the_same_tick(make_scene: Callable[..., Scene]) -> None:
    """The kernel counts a kill for the machine and for its cgroup at once; one would be overlooked."""
    scene = make_scene()
    at_ns = scene.counts("vmstat", 1)
    scene.counts("cgroup/a/memory.events", 1, at_ns)
    scene.counts("cgroup/b/memory.events", 1, at_ns)
    scene.says_killed(4711)
    scene.hears()
    assert scene.facts()["counters"] == {
        "vmstat": 1,
        "cgroup/a/memory.events": 1,
        "cgroup/b/memory.events": 1,
    }
    assert scene.facts()["disagreements"] == []
    scene.hears()
    assert scene.facts()["counters"]["vmstat"] == 1


def test_a_rise_is_counted_once_however_often_it_is_looked_at(make_scene: Callable[..., Scene]) -> None:
    """Every alarm would count all kills there ever were anew."""
    scene = make_scene()
    for _ in range(3):
        scene.counts("vmstat", 1)
        scene.hears()
        scene.hears()
    scene.sampler.start_segment()
    scene.hears()
    scene.counts("vmstat", 1)
    scene.hears()
    assert scene.facts()["counters"] == {"vmstat": 4}


def test_a_cgroup_that_counts_more_than_the_machine(make_scene: Callable[..., Scene]) -> None:
    """A kill of which only the cgroup knows would be swept under the carpet."""
    scene = make_scene()
    scene.says_killed(4711)
    scene.counts("vmstat", 1)
    scene.counts("cgroup/a/memory.events", 2)
    scene.hears()
    assert scene.facts()["disagreements"] == [
        "cgroup/a/memory.events counts 2 kills, vmstat 1 and the kernel's messages 1"
    ]


def test_all_messages_are_kept_verbatim(make_scene: Callable[..., Scene]) -> None:
    """What the kernel said besides would be lost, and with it the report."""
    scene = make_scene()
    said = [
        scene.says("eater invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"),
        scene.says_killed(1),
        b"rubbish that is no record",
        scene.says("\\x1b[31mred\\x0a"),
    ]
    scene.kernel.send(said[2])
    scene.hears()
    kept = [message.raw for message in messages(read_segments(scene.watch.event_ring.ring))]
    assert sorted(kept) == sorted(said)
    assert scene.watch.kmsg is not None
    assert scene.watch.kmsg.malformed == 1


def test_lost_messages_are_counted(make_scene: Callable[..., Scene]) -> None:
    """An incident would look complete although the decisive line is missing."""
    scene = make_scene()
    scene.says("first")
    scene.loses(41)
    scene.says("second")
    scene.hears()
    assert scene.watch.kmsg is not None
    assert scene.watch.kmsg.lost == 41
    (event,) = events(read_segments(scene.watch.event_ring.ring))
    assert (event["event"], event["records"]) == ("kmsg_lost", 41)


def test_what_is_heard_late_is_as_old_as_it_says(make_scene: Callable[..., Scene]) -> None:
    """A service that stood still would anchor the incident long after the kill."""
    scene = make_scene()
    scene.hears()
    began_ns = time.monotonic_ns()
    scene.says_killed(4711)
    said_ns = time.monotonic_ns()
    time.sleep(1.2)  # it stands still
    scene.hears()
    (trigger,) = scene.triggers
    assert began_ns - 1000 <= trigger.moment.monotonic_ns <= said_ns
    assert trigger.moment.realtime_ns <= time.time_ns() - 10**9
    assert scene.watch.ledger.kills[0].monotonic_ns == trigger.moment.monotonic_ns


@pytest.mark.parametrize("wrong_by_s", [-3600, 3600])
def test_a_kernel_whose_clock_for_messages_is_elsewhere(
    make_scene: Callable[..., Scene], wrong_by_s: int
) -> None:
    """After months, a message would be taken for one of an hour ago, or of the future."""
    scene = make_scene()
    scene.hears()
    began_ns = time.monotonic_ns()
    time.sleep(1.2)  # it stands still
    scene.says_killed(4711, ahead_s=wrong_by_s)
    scene.hears()
    (trigger,) = scene.triggers
    assert began_ns - 10**9 < trigger.moment.monotonic_ns <= time.monotonic_ns()


def test_a_counter_that_is_heard_of_late(make_scene: Callable[..., Scene]) -> None:
    """The same for a kill whose message was lost."""
    scene = make_scene()
    counted_ns = scene.counts("vmstat", 1)
    scene.waits(lambda: bool(scene.triggers), "the trigger")
    assert scene.triggers[0].moment.monotonic_ns == counted_ns


def test_a_thousand_kills(make_scene: Callable[..., Scene]) -> None:
    """A storm would wear the service out instead of being recorded."""
    scene = make_scene()
    for pid in range(1, 1001):
        scene.says_killed(pid)
        if pid % 100 == 0:
            scene.hears()
    assert scene.victims() == list(range(1, 1001))
    assert len(scene.triggers) == 1000


def test_a_forged_message_is_no_kill(make_scene: Callable[..., Scene]) -> None:
    """Anybody who may write to /dev/kmsg could fill the disk with incidents of kills that never were."""
    scene = make_scene()
    scene.kernel.send(
        b"12,999,5,-;Out of memory: Killed process 1 (init) total-vm:1kB, anon-rss:1kB, file-rss:1kB\n"
    )
    scene.hears()
    assert scene.triggers == []
    assert scene.victims() == []

"""One sampler at a time, whatever dies, hangs or is said in whichever moment; the processes are pretended."""

import json
import os
import selectors
import signal
import socket
import subprocess
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from memwatchd.ring.board import Slot
from memwatchd.sampling.plan import Plan
from memwatchd.service.keeper import SamplerKeeper
from memwatchd.service.sampler import SamplerProcess


class Popen:
    """A process that ends when it is told to, or when the test wants it to.

    Attributes:
        told: Signals it was sent.
    """

    def __init__(self, pid: int, end: Callable[[], None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.told: list[int] = []
        self.obeys = True
        self._end = end

    def send_signal(self, number: int) -> None:
        self.told.append(number)
        if self.obeys:
            self.die(0)

    def kill(self) -> None:
        self.told.append(signal.SIGKILL)
        self.die(-signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            raise subprocess.TimeoutExpired("pretended", timeout or 0)
        return self.returncode

    def die(self, status: int) -> None:
        """End with this status."""
        if self.returncode is None:
            self.returncode = status
            self._end()


class Pretended:
    """The other side of a sampler."""

    def __init__(self, plan: Plan, pid: int) -> None:
        self.plan = plan
        ours, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        ours.setblocking(False)
        # Readable from its end on, as a pidfd is.
        descriptor = os.eventfd(0)
        self.process = Popen(pid, lambda: os.eventfd_write(descriptor, 1))
        self.sampler = SamplerProcess(self.process, ours, descriptor)  # type: ignore[arg-type]

    def say(self, **message: Any) -> None:
        """Send the service a message."""
        self.socket.send(json.dumps(message).encode())

    def get_warm(self) -> None:
        """Say that it is warm."""
        self.say(degraded=[f"{self.process.pid} is degraded"], sources=[])

    def die(self, status: int = -9) -> None:
        """End, as a process does: first its descriptors, then itself."""
        self.socket.close()
        self.process.die(status)

    def heard(self) -> list[dict[str, Any]]:
        """What it has been told."""
        found = []
        try:
            while message := self.socket.recv(65536):
                found.append(json.loads(message))
        except BlockingIOError:
            pass
        return found


@dataclass
class Bench:
    """A keeper with pretended samplers.

    Attributes:
        started: All samplers, oldest first.
        refusal: What the next start fails with.
    """

    keeper: SamplerKeeper
    selector: selectors.BaseSelector
    started: list[Pretended]
    refusal: list[OSError]
    told: list[Any] = field(default_factory=list)

    def turn(self, now_ns: int = 0) -> None:
        """Turn the service's loop once."""
        for key, _ in self.selector.select(0):
            key.data()
        self.keeper.poll(now_ns)

    def run(self) -> Pretended:
        """Start a sampler and have it begin."""
        self.keeper.start()
        self.started[-1].get_warm()
        self.turn()
        return self.started[-1]

    def replace(self, rate_hz: float = 100) -> Pretended:
        """Have one with another plan warm up."""
        self.keeper.replace(plan(rate_hz), lambda problem: self.told.append(("taken", problem)))
        return self.started[-1]

    def pids(self) -> list[int]:
        """Those that the keeper knows of."""
        return list(self.keeper.pids)

    def alive(self) -> list[Pretended]:
        """Those that still run."""
        return [each for each in self.started if each.process.returncode is None]


def plan(rate_hz: float) -> Plan:
    return Plan("ring", 1, rate_hz, 0.05, 0.35, ())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    started: list[Pretended] = []
    refusal: list[OSError] = []
    told: list[Any] = []

    def start(wanted: Plan, _alarm: int) -> SamplerProcess:
        if refusal:
            raise refusal.pop()
        started.append(Pretended(wanted, 1001 + len(started)))
        return started[-1].sampler

    monkeypatch.setattr(SamplerProcess, "start", start)
    with selectors.DefaultSelector() as selector:
        keeper = SamplerKeeper(
            plan(200),
            alarm=-1,
            board=memoryview(array("Q", bytes(8 * (max(Slot) + 1)))),
            selector=selector,
            on_ready=lambda sampler: told.append(("ready", sampler.process.pid)),
            on_decision=lambda decision: told.append(("decided", decision["rule"])),
            on_death=lambda sentence, status: told.append(("died", sentence, status)),
        )
        yield Bench(keeper, selector, started, refusal, told)
        keeper.stop()
        for each in started:
            each.socket.close()
            if not each.sampler.closed:
                each.sampler.close()


def test_a_sampler_begins_when_it_is_warm(bench: Bench) -> None:
    """It would sample while nobody listens, or wait for ever for the word."""
    bench.keeper.start()
    (first,) = bench.started
    bench.turn()
    assert (first.heard(), bench.keeper.command({"remove": [1]}, [])) == ([], False)
    first.get_warm()
    bench.turn()
    assert (first.heard(), bench.told) == ([{}], [("ready", 1001)])
    assert bench.pids() == [1001]
    assert bench.keeper.command({"remove": [1]}, [])
    assert first.heard() == [{"remove": [1]}]
    first.say(happening="fire", rule="low")
    bench.turn()
    assert bench.told[1:] == [("decided", "low")]


def test_one_that_dies_is_followed_by_another(bench: Bench) -> None:
    """The machine would be without a recorder from the first mistake on."""
    first = bench.run()
    first.die()
    bench.turn()
    sentence = "the sampler died with status -9; the ring is kept and another one is started"
    assert bench.told[1:] == [("died", sentence, -9)]
    assert bench.pids() == []
    assert not bench.keeper.command({}, [])
    bench.turn(10**18)
    assert bench.pids() == [1002]
    bench.started[1].get_warm()
    bench.turn(10**18)
    assert bench.told[2:] == [("ready", 1002)]


def test_one_that_cannot_be_started_is_tried_again(bench: Bench) -> None:
    """A moment without memory for a process would end the recording."""
    bench.refusal.append(OSError(12, "Cannot allocate memory"))
    bench.keeper.start()
    assert bench.told == [("died", "the sampler cannot be started: Cannot allocate memory", None)]
    bench.turn(10**18)
    assert bench.pids() == [1001]


def test_another_plan_is_taken_when_its_sampler_is_warm(bench: Bench) -> None:
    """A reload would leave a hole of seconds in the recording, or two samplers in one ring."""
    first = bench.run()
    second = bench.replace()
    bench.turn()
    assert bench.pids() == [1001, 1002]
    assert (bench.keeper.plan.rate_hz, len(bench.alive())) == (200, 2)
    bench.keeper.replace(plan(50), lambda problem: bench.told.append(problem))
    assert bench.told.pop() == "another change is under way"
    second.get_warm()
    bench.turn()
    assert first.process.told == [signal.SIGTERM]
    assert bench.alive() == [second]
    assert (bench.keeper.plan.rate_hz, bench.pids()) == (100, [1002])
    assert bench.told[1:] == [("ready", 1002), ("taken", "")]
    assert second.heard() == [{}]


def test_what_the_old_one_says_at_its_end_is_not_heard(bench: Bench) -> None:
    """Ended in the turn in which it decides or dies, it would take the service, or its successor, with it."""
    first = bench.run()
    second = bench.replace()
    second.get_warm()
    first.say(happening="fire", rule="low")
    events = [key.data for key, _ in bench.selector.select(0)]
    first.process.die(-9)
    late = [key.data for key, _ in bench.selector.select(0)]
    # In whichever order the kernel names them: the successor first.
    events.sort(key=lambda action: action.args[0] is first.sampler)
    for action in [*events, *late]:
        action()
    bench.turn(10**18)
    assert (bench.alive(), bench.pids()) == ([second], [1002])
    assert bench.told[1:] == [("ready", 1002), ("taken", "")]


def test_one_that_takes_over_from_a_dead_one_stays_alone(bench: Bench) -> None:
    """Two samplers would write into one ring: after a reload that was to heal one that dies at its start."""
    for _ in range(4):
        bench.run().die()
        bench.turn()
    second = bench.replace()
    second.get_warm()
    bench.turn()
    bench.turn(10**18)
    assert bench.alive() == [second]
    assert bench.keeper.current is second.sampler


@pytest.mark.parametrize("how", ["dies", "hangs", "cannot be started"])
def test_one_that_does_not_get_warm_changes_nothing(bench: Bench, how: str) -> None:
    """A configuration that the sampler cannot take would end the recording."""
    first = bench.run()
    if how == "cannot be started":
        bench.refusal.append(OSError(11, "Resource temporarily unavailable"))
    second = bench.replace()
    if how == "dies":
        second.die(3)
    bench.turn(10**18 if how == "hangs" else 0)
    problem = {
        "dies": "the new sampler ended with status 3",
        "hangs": "the new sampler did not get ready in time",
        "cannot be started": "the sampler cannot be started: Resource temporarily unavailable",
    }[how]
    assert bench.told[1:] == [("taken", problem)]
    assert (bench.alive(), bench.keeper.plan.rate_hz) == ([first], 200)
    first.say(happening="fire", rule="low")
    bench.turn()
    assert bench.told[2:] == [("decided", "low")]
    bench.replace().get_warm()
    bench.turn()
    assert bench.told[-1] == ("taken", "")


def test_the_end_is_everybodys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler would outlive the service, with a real-time priority and locked memory."""
    first, second = bench.run(), bench.replace()
    first.process.obeys = False
    bench.keeper.stop()
    assert first.process.told == [signal.SIGTERM, signal.SIGKILL]
    assert second.process.told == [signal.SIGTERM]
    assert (bench.alive(), bench.pids()) == ([], [])
    assert not bench.selector.get_map()

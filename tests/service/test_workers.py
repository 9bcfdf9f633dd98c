"""The threads that act."""

import threading
import time

from tests.service.conftest import wait_for

from memwatchd.service.workers import Worker


class Gate:
    """Work that waits for the test."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.began.set()
        self.may_end.wait(30)


def soon() -> float:
    return time.monotonic() + 30


def test_one_piece_after_the_other() -> None:
    """Two writes to drop_caches would be at work at once."""
    worker, first, done = Worker("test"), Gate(), list[int]()
    assert worker.idle
    for work in (first, lambda: done.append(2), lambda: done.append(3)):
        assert worker.give(work)
    assert first.began.wait(30)
    assert (worker.idle, done) == (False, [])
    first.may_end.set()
    worker.finish()
    worker.join(soon())
    assert (worker.alive, done) == (False, [2, 3])


def test_what_waits_is_bounded() -> None:
    """Behind a write that never returns, the service would grow until it is the one that is killed."""
    worker, gate = Worker("test"), Gate()
    assert worker.give(gate)
    assert gate.began.wait(30)
    taken = [worker.give(lambda: None) for _ in range(1000)]
    assert 0 < sum(taken) < 100
    worker.finish()  # no room even for that, and no hang
    gate.may_end.set()
    wait_for(lambda: worker.idle, "it to do what waits")
    worker.finish()
    worker.join(soon())
    assert not worker.alive


def test_the_dismissed_do_not_begin_anything_new() -> None:
    """A kill would come while the service ends, and be neither measured nor told of."""
    worker, gate, done = Worker("test"), Gate(), list[int]()
    worker.give(gate)
    assert gate.began.wait(30)
    worker.give(lambda: done.append(1))
    worker.dismiss()
    worker.join(time.monotonic())
    assert worker.alive  # it is stuck, and nobody waits for it
    gate.may_end.set()
    worker.join(soon())
    assert (worker.alive, done) == (False, [])

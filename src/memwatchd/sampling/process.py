"""The sampler as a process: from a plan on a socket to a warm, locked, real-time loop.

The order matters: everything that may allocate, import or fault is done before memory is locked, on a scratch
ring of the same shape, so that the first real tick is like the ten-thousandth.
"""

import gc
import json
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memwatchd.kernel import libc, privileges
from memwatchd.kernel.clocks import read_boot_id, read_clocks
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap, map_memory, open_ring
from memwatchd.ring.format import RingHeader
from memwatchd.ring.writer import RingWriter
from memwatchd.sampling.loop import Catalogue, Loop
from memwatchd.sampling.pacing import Budget, Pacing
from memwatchd.sampling.plan import DEAR_SOURCES, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, Plan
from memwatchd.sampling.ruling import Ruling
from memwatchd.sampling.source import Source

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
# Not SIGTERM, which is the service's own word: this one comes from the kernel when the service has died.
SERVICE_IS_GONE = signal.SIGUSR2
_WARM_UP_TICKS = 400
_FIRST_TICKS = 8
_SCRATCH_SEGMENTS = 4
# Heap kept ready for watches that come later; a watched file takes two buffers of 4 KiB.
_RESERVE_BYTES = 512 << 10
_WATCH_BUFFER_BYTES = 4 << 10
# Enough small objects to fill what is left of an arena of 1 MiB; its pools then serve objects of any size.
_POOL_OBJECT_BYTES = 400
_POOL_OBJECTS = 2500
# Python's pools are 16 KiB for objects of one size each, up to 512 bytes in steps of 16; a bytes object has
# 33 of its own.
_POOL_BYTES = 16 << 10
_POOLED_BYTES = range(48, 513, 16)
_BYTES_OVERHEAD = 33


@dataclass(frozen=True, slots=True)
class Opened:
    """A source of the plan that could be opened."""

    source: Source
    path: str
    rate_hz: float | None


class Sampler:
    """One sampler process.

    Args:
        plan: What to sample, where to and how.
        control: SOCK_SEQPACKET to the service.
        alarm: eventfd raised when a kill was counted.
    """

    def __init__(self, plan: Plan, control: socket.socket, alarm: int) -> None:
        self._plan = plan
        self._control = control
        self._alarm = alarm
        self._degraded: list[str] = []
        self._loop: Loop | None = None
        self._orphaned = False

    def run(self) -> None:
        """Prepare, say so to the service, and at its word loop until told to stop or the service is gone."""
        ring = open_ring(Path(self._plan.ring), writable=True)
        opened = self._open_sources()
        self._warm_up(ring.header, opened)
        self._take_privileges()
        names = [each.source.name for each in opened]
        self._control.send(json.dumps({"degraded": self._degraded, "sources": names}).encode())
        if not self._control.recv(MAX_MESSAGE_BYTES):
            return  # the service has no use for it, or is gone
        # From here on it never waits. (recv_fds takes flags and does not hand them on.)
        self._control.setblocking(False)
        self._put_on_board(ring)
        writer = RingWriter(ring, read_clocks, read_boot_id(self._plan.roots), os.getpid())
        pacing = self._make_pacing(opened)
        loop = self._loop = self._make_loop(opened, pacing, writer, ring.board, self._alarm, self._tell)
        signal.signal(signal.SIGTERM, lambda _number, _frame: loop.stop())
        signal.signal(SERVICE_IS_GONE, lambda _number, _frame: self._end_as_orphan(loop))
        # What the scratch ring could not touch is touched now.
        for _ in range(_FIRST_TICKS):
            loop.tick(time.monotonic_ns(), 0, 0)
        gc.collect()
        gc.freeze()
        gc.disable()
        # Getting warm has used up a part of what was touched before.
        _touch_heap()
        _fill_pools()
        pacing.warmed_up()
        pacing.show(ring.board)
        ring.board[Slot.WARM] = 1
        loop.run()
        loop.close()
        self._leave_epitaph()

    def _end_as_orphan(self, loop: Loop) -> None:
        self._orphaned = True
        loop.stop()

    def _leave_epitaph(self) -> None:
        """Say for which boot the machine has outlived the service; the next start may be another boot's."""
        if self._orphaned and self._plan.epitaph:
            # Nobody is there any more to hear of a disk that refuses.
            with suppress(OSError):
                Path(self._plan.epitaph).write_text(read_boot_id(self._plan.roots).hex())

    def _open_sources(self) -> list[Opened]:
        opened = []
        for number, wanted in enumerate(self._plan.sources):
            try:
                descriptor = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC)
                source = Source(number, wanted.name, descriptor)
                source.read([], [], [])
            except OSError as error:
                self._degraded.append(f"{wanted.path}: {error.strerror}: not sampled")
                continue
            opened.append(Opened(source, wanted.path, wanted.rate_hz))
        return opened

    def _make_pacing(self, opened: list[Opened]) -> Pacing:
        plan = self._plan
        budget = Budget(plan.rate_hz, plan.budget_calm_share, plan.budget_armed_share)
        return Pacing(budget, [(each.source, each.rate_hz) for each in opened], DEAR_SOURCES)

    def _make_loop(
        self,
        opened: list[Opened],
        pacing: Pacing,
        writer: RingWriter,
        board: memoryview,
        alarm: int,
        tell: Callable[[bytes], None],
    ) -> Loop:
        catalogue = Catalogue()
        for each in opened:
            source = each.source
            catalogue.add(source, {"id": source.number, "name": source.name, "path": each.path})
        return Loop(
            catalogue=catalogue,
            pacing=pacing,
            writer=writer,
            board=board,
            alarm=alarm,
            on_doorbell=self._obey,
            make_ruling=lambda texts, entries: Ruling(self._plan.book, texts, entries, _PAGE_SIZE, tell),
        )

    def _warm_up(self, header: RingHeader, opened: list[Opened]) -> None:
        """Go through everything the loop can come to, on a ring that is thrown away."""
        libc.keep_heap()
        _touch_memory()
        scratch = RingHeader(header.segment_bytes, _SCRATCH_SEGMENTS, header.stream, bytes(16), 0)
        ring = map_memory(memoryview(mmap.mmap(-1, scratch.file_bytes)), scratch, "scratch")
        writer = RingWriter(ring, read_clocks, bytes(16), 0)
        loop = self._make_loop(opened, self._make_pacing(opened), writer, ring.board, -1, _tell_nobody)
        for number in range(_WARM_UP_TICKS):
            # Every so often a tick comes late and stores all texts whole, so that new segments come along.
            late = number % 40 == 0
            for each in opened if late else ():
                each.source.forget()
            if late:
                loop.ruling.rehearse(time.monotonic_ns(), loop.event)
            loop.tick(time.monotonic_ns(), number * 1000, int(late))
        loop.close()
        for each in opened:
            each.source.forget()

    def _take_privileges(self) -> None:
        plan = self._plan
        refused = [privileges.set_oom_score_adj(plan.oom_score_adj)]
        if plan.lock_memory:
            refused.append(privileges.lock_memory())
            privileges.lock_code()
        if plan.realtime_priority:
            refused.append(privileges.become_realtime(plan.realtime_priority))
        self._degraded += [f"sampler: {sentence}" for sentence in refused if sentence]

    def _put_on_board(self, ring: RingMap) -> None:
        board = ring.board
        if board[Slot.PID]:
            board[Slot.RESTARTS] += 1
        board[Slot.WARM] = 0
        board[Slot.ARMED] = 0  # the one before may have died in danger; this one has seen none yet
        board[Slot.PID] = os.getpid()
        board[Slot.STARTED_NS] = time.monotonic_ns()

    def _tell(self, message: bytes) -> None:
        """Tell the service of a decision; when it has no room the decision stays an event in the ring.

        The engine takes a step of which it hears nothing for lost, and goes on.
        """
        with suppress(OSError):
            self._control.send(message)

    def _obey(self) -> None:
        """Do what the service has sent, without waiting for more."""
        loop = self._loop
        while loop is not None:
            try:
                message, descriptors, _, _ = socket.recv_fds(
                    self._control, MAX_MESSAGE_BYTES, MAX_DESCRIPTORS
                )
            except BlockingIOError:
                return
            if not message:
                loop.stop()
                return
            command: dict[str, Any] = json.loads(message)
            for number in command.get("remove", ()):
                loop.remove(number)
            loop.ruling.done(command.get("done", ()), time.monotonic_ns())
            for entry, descriptor in zip(command.get("add", ()), descriptors, strict=True):
                self._watch(loop, entry, descriptor)

    def _watch(self, loop: Loop, entry: dict[str, Any], descriptor: int) -> None:
        loop.remove(entry["id"])
        source = Source(entry["id"], entry["name"], descriptor, _WATCH_BUFFER_BYTES)
        try:
            source.read([], [], [])
        except OSError:
            source.close()  # gone between the service's look and ours; the service will see it, too
            return
        loop.add(source, entry, entry.get("rate_hz"))
        if entry.get("kill_counter"):
            loop.observer.count_kills(source)


def _tell_nobody(_message: bytes) -> None:
    """Take the place of the service while warming up."""


def _touch_memory() -> None:
    """Use memory once that will be used again: freed, it stays with this process and costs no fault later.

    Large blocks come from malloc, small ones from Python's own pools, whose pages are touched one by one.
    """
    _touch_heap()
    small = [bytes(_POOL_OBJECT_BYTES) for _ in range(_POOL_OBJECTS)]
    small.clear()


def _touch_heap() -> None:
    """Use as much of the heap, beyond what is used now, as is to be kept ready."""
    large = bytearray(b"\1") * _RESERVE_BYTES
    large.clear()


def _fill_pools() -> None:
    """Touch what is left of the pools in use: one page after the other, they would be a fault each.

    A few objects more than ever before, while a command is taken in, are enough to get there.
    """
    for size in _POOLED_BYTES:
        objects = [bytes(size - _BYTES_OVERHEAD) for _ in range(_POOL_BYTES // size + 1)]
        objects.clear()
    tiny: list[object] = [object() for _ in range(_POOL_BYTES // 16 + 1)]
    tiny += [float(number) for number in range(_POOL_BYTES // 32 + 1)]
    tiny.clear()

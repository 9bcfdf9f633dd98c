"""The black box: while memory is in danger both rings go to disk as they grow, should the machine die.

A thread of its own does it, which reads the rings without a lock, as anybody may: however long the disk
takes, the sampler, the actions and the incidents do not notice. It streams what is newest, every 250 ms, and
beside it the time before the danger as far as an incident reaches, within `rate` and `per_day`. When the
danger has been over for a while it says so in the box, and rests. What a start makes of a box is said in
`past`.

What the disk refuses is told once and tried again; a write that does not return is told, too, by whoever asks
for `problem` meanwhile. Nothing is given up that is still in the ring when the disk is back.

A thread and not a process: it shares the interpreter with the service's other threads, but a write lets go of
it, and what is done in between takes less than a millisecond.
"""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from memwatchd.config.model import BlackBox as Settings
from memwatchd.incidents.blackbox import BLOCK_BYTES, LOG_OFFSET, BoxState, Status
from memwatchd.incidents.recorder import Note
from memwatchd.ring.board import Slot
from memwatchd.ring.file import RingMap
from memwatchd.service.background import start_thread
from memwatchd.service.boxfile import WRITE_BYTES, BoxFile
from memwatchd.service.boxstream import BoxStream
from memwatchd.units import format_size

_POLL_NS = 50_000_000
_IDLE_POLL_NS = 1_000_000_000
_LOOK_NS = 10_000_000_000
# Shares of the budget that what is less urgent leaves: the past, and filling the file.
_FOR_NEW, _FOR_DANGER = 0.25, 0.5
# What the last run left should be an incident by then.
_PATIENCE_NS = 20_000_000_000
_HANGING_NS = 2_000_000_000
_FIRST_RETRY_NS, _LONGEST_RETRY_NS = 1_000_000_000, 30_000_000_000
_LOSS = "were the machine to die now, its last seconds would not be on disk"

OpenBox = Callable[[Path, int, Status], BoxFile]


class BlackBox:
    """Streams the rings.

    `turn` and `finish` are the thread's; everything else may be called from any thread.

    Args:
        path: The file.
        epitaph: What the sampler of an earlier run may have left; it is saved by now.
        settings: As configured.
        before_ns: How much of the time before the danger is wanted, too.
        samples: The sampler's ring.
        events: The service's ring.
        facts: What goes into an incident's meta block, and texts; called by the thread.
        note: Tells the administrator.
        now_ns: The monotonic clock.
        open_box: Opens the file.

    Attributes:
        streaming: Memory is in danger, or was a moment ago, and the box says so.
    """

    def __init__(
        self,
        path: Path,
        epitaph: Path,
        settings: Settings,
        before_ns: int,
        *,
        samples: RingMap,
        events: RingMap,
        facts: Callable[[], dict[str, Any]],
        note: Note,
        now_ns: Callable[[], int] = time.monotonic_ns,
        open_box: OpenBox = BoxFile,
    ) -> None:
        self.streaming = False
        self._path = path
        self._epitaph = epitaph
        self._settings = settings
        self._before_ns = before_ns
        self._samples = samples
        self._note = note
        self._now_ns = now_ns
        self._open_box = open_box
        # What the page says when the file is opened, again or for the first time.
        self._status = Status(
            state=BoxState.CALM,
            boot_id=samples.header.boot_id,
            run_id=uuid.uuid4().bytes,
            generation=1,
            realtime_ns=0,
            every_ns=settings.every_ns,
        )
        self._stream = BoxStream(samples, events, facts, self._status.run_id)
        self._file: BoxFile | None = None
        self._opening_ns: int | None = None
        self._refusal = ""
        self._errors = 0
        self._retry_ns = -2 * _LONGEST_RETRY_NS
        self._retry_after_ns = _FIRST_RETRY_NS
        self._look_ns = 0
        self._danger_until_ns = 0
        self._flush_ns = 0
        self._filled_to = LOG_OFFSET
        self._known_from_bytes = 0
        self._tokens = 0.0
        self._earned_ns = now_ns()
        self._released = threading.Event()
        self._stopping = threading.Event()
        self._end = BoxState.ENDED
        self._thread: threading.Thread | None = None
        self._started_ns: int | None = None

    # ---- what others ask

    def start(self) -> None:
        """Start the thread; it touches nothing before `release`."""
        self._started_ns = time.monotonic_ns()
        self._thread = start_thread(self._run, "black-box")

    def release(self) -> None:
        """What the last run left in the box is saved: it may be overwritten."""
        self._released.set()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def configure(self, settings: Settings, before_ns: int) -> None:
        """Go by other settings; the file is made anew where its size is another one."""
        self._settings, self._before_ns, self._look_ns = settings, before_ns, 0

    def stop(self, timeout_s: float, *, clean: bool) -> None:
        """Note down how it ended, and end; once.

        Args:
            timeout_s: A disk that takes longer is not waited for.
            clean: It was somebody's wish, so the next start has nothing to tell.
        """
        if self._stopping.is_set():
            return
        self._end = BoxState.CLOSED if clean else BoxState.ENDED
        self._stopping.set()
        self._released.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    @property
    def problem(self) -> str:
        """What is wrong with it, in one sentence, or nothing."""
        file = self._file
        since_ns = self._opening_ns if file is None else file.began_ns
        hanging_ns = 0 if since_ns is None else time.monotonic_ns() - since_ns
        if hanging_ns > _HANGING_NS:
            return f"{self._path}: the disk has not answered for {hanging_ns / 1e9:.0f} s: {_LOSS}"
        if not self._released.is_set() and self._started_ns is not None:
            waited_ns = time.monotonic_ns() - self._started_ns
            return (
                f"{self._path}: what is in it has not been saved yet: {_LOSS}"
                if waited_ns > _PATIENCE_NS
                else ""
            )
        return self._refusal

    def figures(self) -> dict[str, Any]:
        """How it does, for the state file."""
        file, settings = self._file, self._settings
        return {
            "enabled": settings.enabled,
            "ready": file is not None,
            "streaming": self.streaming,
            "path": str(self._path),
            "size_bytes": settings.size_bytes,
            "written_bytes": file.status.total_bytes if file else None,
            "today_bytes": file.day_bytes(time.time_ns()) if file else None,
            "per_day_bytes": settings.per_day_bytes,
            "writes": file.writes if file else 0,
            "longest_write_ms": round(file.longest_ns / 1e6, 1) if file else None,
            "errors": self._errors,
            "left_out_segments": self._stream.left_out,
        }

    # ---- the thread

    def _run(self) -> None:
        self._released.wait()
        while not self._stopping.is_set():
            self._stopping.wait(self.turn() / 1e9)
        self.finish(self._end)

    def turn(self) -> int:
        """Do what is due; returns for how long there is nothing to do, in nanoseconds."""
        now_ns = self._now_ns()
        settings = self._settings
        if self._samples.board[Slot.ARMED]:
            self._danger_until_ns = now_ns + max(settings.after_ns, _POLL_NS)
        try:
            if not settings.enabled:
                return self._switch_off()
            if not self._have_file(now_ns):
                return _POLL_NS
            return self._flow(now_ns) if now_ns < self._danger_until_ns else self._rest(now_ns)
        except OSError as error:
            self._refused(f"{self._path}: {error.strerror}: {_LOSS}", now_ns)
            return _POLL_NS

    def finish(self, state: BoxState) -> None:
        """Note down how it ended, as far as the disk takes it.

        What ends against everybody's wish while memory is in danger leaves its last seconds behind.
        """
        file = self._file
        if file is None:
            return
        try:
            if state is BoxState.CLOSED:
                self._say(state)
            elif self.streaming:
                self._stream_all(file, self._now_ns())
                self._say(state)
        except OSError as error:
            self._note("error", f"{self._path}: {error.strerror}: its end is not noted there")
        self._close()

    def _flow(self, now_ns: int) -> int:
        """There is danger."""
        file = self._file
        assert file is not None
        if not self.streaming:
            self._begin(file, now_ns)
        growing = now_ns >= self._flush_ns
        room = self._room(file, now_ns, keep=0 if growing else _FOR_NEW)
        if room < BLOCK_BYTES:
            return _POLL_NS if growing else self._until_flush()
        if growing:
            # On time again after a slow write, and not several times in a row.
            self._flush_ns = max(self._flush_ns + self._settings.every_ns, now_ns)
        written = self._stream.write(file, room, now_ns, growing=growing)
        self._tokens -= written
        # Of the past there may be more, until it is time for what is new.
        return 0 if written else self._until_flush()

    def _until_flush(self) -> int:
        return min(max(0, self._flush_ns - self._now_ns()), _POLL_NS)

    def _rest(self, now_ns: int) -> int:
        """There is none: say so, and get the file ready for when there is."""
        file = self._file
        assert file is not None
        if self.streaming:
            self._stream_all(file, now_ns)
            self._say(BoxState.CALM)
            self.streaming = False
        if self._filled_to < file.size_bytes and self._room(file, now_ns, keep=_FOR_DANGER) >= WRITE_BYTES:
            if file.status.at != LOG_OFFSET:
                self._forget()  # zeros go over what was streamed
            before = self._filled_to
            self._filled_to = file.fill(before)
            self._tokens -= self._filled_to - before
            if self._filled_to >= file.size_bytes:
                file.write_status(replace(file.status, filled=True))
        return _POLL_NS

    def _begin(self, file: BoxFile, now_ns: int) -> None:
        self._say(BoxState.ARMED)
        if file.status.total_bytes - self._known_from_bytes > file.size_bytes // 2:
            self._forget()
        self._stream.begin(now_ns - self._before_ns)
        self._flush_ns = now_ns
        self.streaming = True

    def _stream_all(self, file: BoxFile, now_ns: int) -> None:
        """Write what is new, once, before the box says something else."""
        room = self._room(file, now_ns, keep=0)
        if room >= BLOCK_BYTES:
            self._tokens -= self._stream.write(file, room, now_ns, growing=True)

    def _forget(self) -> None:
        """What was streamed may have been overwritten since."""
        self._stream.forget()
        self._known_from_bytes = self._file.status.total_bytes if self._file else 0

    # ---- the budget

    def _room(self, file: BoxFile, now_ns: int, *, keep: float) -> int:
        """How much may be written now, in whole blocks.

        Up to a second's worth, or two writes, may come at once.

        Args:
            file: Where to.
            now_ns: On the monotonic clock.
            keep: Share of that which has to be left for what is more urgent.
        """
        rate, per_day = self._settings.rate_bytes, self._settings.per_day_bytes
        most = max(rate, 2 * WRITE_BYTES)
        self._tokens = min(most, self._tokens + rate * (now_ns - self._earned_ns) / 1e9)
        self._earned_ns = now_ns
        left = per_day - file.day_bytes(time.time_ns())
        spent = left < BLOCK_BYTES
        if spent != file.status.spent:
            sentence = (
                f"{self._path}: {format_size(per_day)} were written today, which is all it may: {_LOSS}"
            )
            self._refusal = sentence if spent else ""
            if spent:
                self._note("warning", sentence)
            file.write_status(replace(file.status, spent=spent))
        return max(0, int(min(self._tokens - keep * most, left, WRITE_BYTES))) // BLOCK_BYTES * BLOCK_BYTES

    # ---- the file

    def _have_file(self, now_ns: int) -> bool:
        """Whether the file is there; opens it when it is time to."""
        file = self._file
        if file is not None and now_ns >= self._look_ns:
            self._look_ns = now_ns + _LOOK_NS
            if not file.is_as_wanted(self._settings.size_bytes):
                self._close()
        if self._file is None and now_ns >= self._retry_ns:
            self._open(now_ns)
        return self._file is not None

    def _open(self, now_ns: int) -> None:
        danger = now_ns < self._danger_until_ns
        fresh = replace(
            self._status,
            state=BoxState.ARMED if danger else BoxState.CALM,
            realtime_ns=time.time_ns(),
            every_ns=self._settings.every_ns,
        )
        self._opening_ns = time.monotonic_ns()
        try:
            file = self._open_box(self._path, self._settings.size_bytes, fresh)
        finally:
            self._opening_ns = None
        self._file, self._look_ns = file, now_ns + _LOOK_NS
        self._filled_to = file.size_bytes if file.status.filled else LOG_OFFSET
        if file.made:
            self._forget()
        with suppress(OSError):  # what it says of an earlier boot is of no meaning for this one
            self._epitaph.unlink()
        if self._refusal:
            self._note("info", f"{self._path}: the black box is there again")
        self._refusal = ""

    def _say(self, state: BoxState) -> None:
        file = self._file
        if file is not None and file.status.state is not state:
            now_ns, every_ns = time.time_ns(), self._settings.every_ns
            file.write_status(replace(file.status, state=state, realtime_ns=now_ns, every_ns=every_ns))

    def _refused(self, sentence: str, now_ns: int) -> None:
        if sentence != self._refusal:
            self._note("error", sentence)
        self._refusal = sentence
        self._errors += 1
        # Later and later as long as it goes on like that.
        again = now_ns - self._retry_ns < 2 * _LONGEST_RETRY_NS
        self._retry_after_ns = min(2 * self._retry_after_ns, _LONGEST_RETRY_NS) if again else _FIRST_RETRY_NS
        self._retry_ns = now_ns + self._retry_after_ns
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._status = self._file.status
            self._file.close()
        self._file, self.streaming = None, False

    def _switch_off(self) -> int:
        if self._file is not None:
            self._say(BoxState.CALM)
            self._close()
        # Asked first: a read-only disk refuses to remove what is not there, too.
        if self._path.is_file():
            self._path.unlink()
        self._refusal = ""
        return _IDLE_POLL_NS

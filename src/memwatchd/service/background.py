"""The service's threads: one writes incidents, one keeps what follows processes up to date."""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from memwatchd.config.model import Census as CensusConfig
from memwatchd.incidents.recorder import Note, Recorder, Trigger
from memwatchd.roots import Roots
from memwatchd.service.census import Census, read_small
from memwatchd.service.eventring import EventRing
from memwatchd.service.watches import WatchKeeper

# Once locked, a thread's whole stack may become resident; ours are shallow.
_STACK_BYTES = 512 << 10
_POLL_S = 0.1
_CONTEXT_FILES = ("loadavg", "uptime", "swaps")
_WAITING_TRIGGERS = 256

Written = Callable[[Path | None, str], None]


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread with a small stack."""
    before = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
    finally:
        threading.stack_size(before)
    return thread


class Scribe:
    """Runs a recorder in a thread of its own, so that no disk can hold up anything else."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._triggers: queue.Queue[tuple[Trigger, Written | None]] = queue.Queue(_WAITING_TRIGGERS)
        self._stopping = threading.Event()
        self._thread = start_thread(self._run, "scribe")

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def happened(self, trigger: Trigger) -> None:
        """The kernel has killed, or a rule fired; if the queue is full, the incident being written has it."""
        self._put(trigger, None)

    def dump(self, trigger: Trigger, written: Written) -> None:
        """Write an incident now; `written` is called with its path, or with None and what went wrong."""
        if not self._put(trigger, written):
            written(None, "too many incidents are waiting to be written")

    def stop(self, timeout_s: float) -> None:
        """Complete what is open and end."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def _put(self, trigger: Trigger, written: Written | None) -> bool:
        try:
            self._triggers.put_nowait((trigger, written))
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._triggers.empty()):
            try:
                trigger, written = self._triggers.get(timeout=_POLL_S)
            except queue.Empty:
                self._recorder.poll()
                continue
            if written is None:
                self._recorder.happened(trigger)
            else:
                self._dump(trigger, written)
        self._recorder.close()

    def _dump(self, trigger: Trigger, written: Written) -> None:
        try:
            path = self._recorder.dump(trigger)
        except OSError as error:
            written(None, f"the incident could be written nowhere: {error.strerror}")
            return
        written(path, "")


class Rounds:
    """Goes round about once a period: protection, watches, process table, a few small files."""

    def __init__(
        self,
        *,
        roots: Roots,
        events: EventRing,
        census: Census,
        keeper: WatchKeeper,
        protect: Callable[[], None],
        period_s: float,
        note: Note,
    ) -> None:
        self._roots = roots
        self._events = events
        self._census = census
        self._keeper = keeper
        self._protect = protect
        self._period_s = period_s
        self._note = note
        self._stopping = threading.Event()
        self._sampler_is_new = threading.Event()
        self._thread = start_thread(self._run, "rounds")

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def new_sampler(self) -> None:
        """Give everything watched to a sampler that knows of nothing yet."""
        self._sampler_is_new.set()

    def configure(self, census: CensusConfig) -> None:
        """Go round by another period and budget."""
        self._period_s = census.period_ns / 1e9
        self._census.period_ns, self._census.budget_share = census.period_ns, census.budget_pct / 100

    def stop(self, timeout_s: float) -> None:
        """End after the present round."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._round()
            except OSError as error:
                # /proc itself is out of reach, for lack of descriptors or memory: the next round may be
                # luckier.
                self._note("warning", f"processes: {error}")
            self._stopping.wait(max(0.0, began_s + self._period_s - time.monotonic()))

    def _round(self) -> None:
        if self._sampler_is_new.is_set():
            self._sampler_is_new.clear()
            self._keeper.reset()
        self._protect()
        self._keeper.look()
        self._census.slice()
        for name in _CONTEXT_FILES:
            text = read_small(f"{self._roots.procfs}/{name}")
            self._events.file(time.monotonic_ns(), name, text)

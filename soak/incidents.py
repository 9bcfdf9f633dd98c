"""Every incident is looked at once it is complete, before retention takes it away."""

import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.incidents.store import all_paths
from memwatchd.places import Places
from soak.activity import Trouble
from soak.config import AFTER_S, KEEP_BYTES, KEEP_COUNT, MERGE_S

# An incident is complete when its aftermath is in; the rest is for a busy machine.
_COMPLETE_S = MERGE_S + AFTER_S + 15
_FEWEST_SAMPLES = 50


@dataclass(slots=True)
class IncidentWatch:
    """Follows the directory of incidents.

    Attributes:
        kinds: How many were complete and whole, by kind.
        killed: Pids of whose end by the kernel an incident tells.
        longest_gap_ns: Between two samples, in all incidents; where one sampler takes over from another, too.
        largest_bytes, most: Most disk space, and most files, that retention has let be.
    """

    places: Places
    kinds: dict[str, int] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    longest_gap_ns: int = 0
    largest_bytes: int = 0
    most: int = 0
    _first_seen_s: dict[str, float] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        """Look at what is new, and at what is kept.

        Raises:
            Trouble: One is not readable or not complete, or too much is kept.
        """
        with self._lock:
            paths = list(all_paths([self.places.incidents, self.places.pending]))
            self._check_retention(paths)
            present = {path.name for path in paths}
            self._done &= present
            for name in [name for name in self._first_seen_s if name not in present]:
                del self._first_seen_s[name]
                raise Trouble(f"{name}: gone before it was complete")
            for path in paths:
                if path.name not in self._done:
                    self._check(path)

    def settle(self, timeout_s: float) -> None:
        """Wait until everything there is has been looked at.

        Raises:
            Trouble: As `look` does.
        """
        deadline_s = time.monotonic() + timeout_s
        self.look()
        while self._first_seen_s and time.monotonic() < deadline_s:
            time.sleep(0.5)
            self.look()

    def names(self) -> list[str]:
        """Incidents that are whole, oldest first."""
        with self._lock:
            return sorted(self._done)

    def _check(self, path: Path) -> None:
        since_s = self._first_seen_s.setdefault(path.name, time.monotonic())
        try:
            incident = open_incident(path)
        except MemwatchdError as error:
            if path.exists():
                self._give_up(path, f"not readable: {error}")
            return
        if incident.complete:
            self._judge(incident)
        elif time.monotonic() - since_s > _COMPLETE_S:
            self._give_up(path, f"not complete after {_COMPLETE_S} s")

    def _judge(self, incident: Incident) -> None:
        path = incident.path
        if incident.problems:
            self._give_up(path, "; ".join(incident.problems))
        taken_ns = [moment.sample.monotonic_ns for moment in incident.moments()]
        if len(taken_ns) < _FEWEST_SAMPLES:
            self._give_up(path, f"only {len(taken_ns)} samples in it")
        gaps_ns = (after - before for before, after in pairwise(taken_ns))
        self.longest_gap_ns = max(self.longest_gap_ns, *gaps_ns)
        self.killed |= {kill["pid"] for kill in incident.facts["kills"]}
        kind = incident.facts["trigger"]["kind"]
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self._leave(path)

    def _give_up(self, path: Path, why: str) -> None:
        self._leave(path)
        raise Trouble(f"{path.name}: {why}")

    def _leave(self, path: Path) -> None:
        self._done.add(path.name)
        self._first_seen_s.pop(path.name, None)

    def _check_retention(self, paths: list[Path]) -> None:
        sizes = [path.stat().st_size for path in paths if path.exists()]
        if not sizes:
            return
        self.most, self.largest_bytes = max(self.most, len(sizes)), max(self.largest_bytes, sum(sizes))
        # One that is being written, and one that has just been, come on top: room is made after that.
        allowed_bytes = KEEP_BYTES + sum(sorted(sizes)[-2:])
        if len(sizes) > KEEP_COUNT + 2:
            raise Trouble(f"{len(sizes)} incidents are kept, {KEEP_COUNT} and two are allowed")
        if sum(sizes) > allowed_bytes:
            raise Trouble(f"incidents take {sum(sizes)} bytes, {allowed_bytes} are allowed")

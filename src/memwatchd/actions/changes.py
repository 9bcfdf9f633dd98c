"""The list of what has been changed and is to be put back, in a file that outlives the daemon.

A change is written down before it is made: after a crash the next start finds every change that may have
been made. The file is in the runtime directory, on tmpfs: what a reboot puts right by itself, or has made
meaningless, is not put back after one.
"""

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memwatchd.kernel.files import open_own


@dataclass(frozen=True, slots=True)
class Change:
    """One change.

    Attributes:
        number: Unique within the file.
        action: Registry name of the action whose `undo` puts it back.
        rule: Whose clearing puts it back.
        facts: What it takes to do so: the target's identity, the value before, the value set.
    """

    number: int
    action: str
    rule: str
    facts: dict[str, Any]


class Changes:
    """Notes changes, thread-safe.

    Args:
        path: The file; one that is no list of changes is taken for empty, and `problem` says so.
    """

    def __init__(self, path: Path) -> None:
        self.problem: str | None = None
        self._path = path
        self._lock = threading.Lock()
        self._changes: dict[int, Change] = {}
        self._load()
        self._last = max(self._changes, default=0)

    def note(self, action: str, rule: str, facts: dict[str, Any]) -> Change:
        """Write down a change that is about to be made.

        Raises:
            OSError: It cannot be written down; the change must not be made.
        """
        with self._lock:
            change = Change(self._last + 1, action, rule, facts)
            self._store({**self._changes, change.number: change})
            # Never given out twice in a run: a worker may hold on to a change that was put back meanwhile.
            self._last = change.number
        return change

    def forget(self, change: Change) -> None:
        """Strike a change off: it has been put back, or was not made after all.

        Raises:
            OSError: The file cannot be written; the change is still in it.
        """
        with self._lock:
            self._store({number: each for number, each in self._changes.items() if number != change.number})

    def pending(self, rule: str | None = None) -> list[Change]:
        """Give what is to be put back, newest first; of one rule, or of all."""
        with self._lock:
            changes = sorted(self._changes.values(), key=lambda change: -change.number)
        return [change for change in changes if rule is None or change.rule == rule]

    def _load(self) -> None:
        try:
            entries = json.loads(self._path.read_bytes())
            self._changes = {entry["number"]: Change(**entry) for entry in entries}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            self.problem = f"{self._path}: what an earlier run changed cannot be put back: {error}"

    def _store(self, changes: dict[int, Change]) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.unlink(missing_ok=True)
        with os.fdopen(open_own(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps([asdict(change) for change in changes.values()]))
        beside.replace(self._path)
        self._changes = changes

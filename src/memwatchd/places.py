"""Where the daemon keeps its files, and where the command line looks for them.

    runtime directory   ring, events, state.json, changes.json, control.sock, pending/   in memory
    state directory     incidents/, black-box                                            on disk

systemd names both in RUNTIME_DIRECTORY and STATE_DIRECTORY. Without it root uses /run/memwatchd and
/var/lib/memwatchd; where /run is no tmpfs, as in some containers, /dev/shm/memwatchd, because a ring on a
disk would make the loop wait for it. Other users have their own under XDG_RUNTIME_DIR and XDG_STATE_HOME.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

# How the kernel writes blanks, tabs, newlines and backslashes of a mount point.
_OCTAL = re.compile(r"\\([0-7]{3})")
_TMPFS = ("tmpfs", "ramfs")
# Anybody may write there: the directory in it is made by us, with our mode, and refused when it is not ours.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Places:
    """The two directories and what lies in them."""

    runtime_dir: Path
    state_dir: Path

    @property
    def ring(self) -> Path:
        """The samples."""
        return self.runtime_dir / "ring"

    @property
    def events(self) -> Path:
        """The service's own ring: kernel messages, process table, events."""
        return self.runtime_dir / "events"

    @property
    def state(self) -> Path:
        """What the service says of itself, renewed every second."""
        return self.runtime_dir / "state.json"

    @property
    def control(self) -> Path:
        """Socket for commands."""
        return self.runtime_dir / "control.sock"

    @property
    def changes(self) -> Path:
        """What has been changed and is to be put back."""
        return self.runtime_dir / "changes.json"

    @property
    def pending(self) -> Path:
        """Incidents that wait for the disk."""
        return self.runtime_dir / "pending"

    @property
    def incidents(self) -> Path:
        """Incidents."""
        return self.state_dir / "incidents"

    @property
    def black_box(self) -> Path:
        """Where the rings are streamed to while memory is in danger."""
        return self.state_dir / "black-box"

    @property
    def epitaph(self) -> Path:
        """Says that the daemon died and the machine did not; left by a sampler whose service is gone."""
        return self.state_dir / "black-box.ended"


def find_places(runtime_dir: Path | None = None, state_dir: Path | None = None) -> Places:
    """Fill in the directories that were not given."""
    return Places(runtime_dir or _runtime_dir(), state_dir or _state_dir())


def is_memory(path: Path, mountinfo: str) -> bool:
    """Whether a path is on a file system that lives in memory.

    Args:
        path: Absolute.
        mountinfo: Text of /proc/self/mountinfo.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split()
        if len(words) < 5 or not rest:
            continue
        mount_point = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), words[4]))
        if path.is_relative_to(mount_point) and len(mount_point.parts) >= best:
            best, kind = len(mount_point.parts), rest.split()[0]
    return kind in _TMPFS


def _runtime_dir() -> Path:
    given = os.environ.get("RUNTIME_DIRECTORY")
    if given:
        return Path(given.partition(":")[0])
    if os.geteuid() != 0:
        return (
            Path(os.environ.get("XDG_RUNTIME_DIR") or _SHARED_MEMORY / f"memwatchd-{os.geteuid()}")
            / "memwatchd"
        )
    mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    parents = [parent for parent in (Path("/run"), _SHARED_MEMORY) if is_memory(parent, mountinfo)]
    return (parents or [Path("/run")])[0] / "memwatchd"


def _state_dir() -> Path:
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/memwatchd")
    given = os.environ.get("XDG_STATE_HOME")
    try:
        return Path(given or Path.home() / ".local/state") / "memwatchd"
    except RuntimeError:  # a user without an entry in passwd, and no HOME: in a container
        return _runtime_dir() / "state"

"""state.json: what the service says of itself, for `status` and the exporter.

Renewed every second and written beside and renamed, so a reader always finds a whole one. Anyone may read it,
so it names no processes.
"""

import json
import os
from pathlib import Path
from typing import Any

from memwatchd.errors import FormatError, NotRunningError

VERSION = 1


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Replace the state file.

    Raises:
        OSError: The runtime directory is gone or full.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(json.dumps({"version": VERSION, **state}))
    beside.rename(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read the state file.

    Raises:
        NotRunningError: There is none.
        FormatError: It is damaged, or of another version.
    """
    try:
        state = json.loads(path.read_bytes())
    except OSError as error:
        raise NotRunningError(f"memwatchd is not running ({path}: {error.strerror})") from error
    except ValueError as error:
        raise FormatError(f"{path}: damaged: {error}") from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise FormatError(f"{path}: expected version {VERSION} of the state file")
    return state


def status_line(state: dict[str, Any]) -> str:
    """The one line that `systemctl status` shows."""
    sampling = state["sampling"]
    kills = sum(state["kills"].values())
    parts = [
        f"{sampling['ticks']} ticks at {sampling['rate_hz'] or 0:g} Hz, {sampling['missed']} missed",
        f"{kills} kills",
        f"{state['incidents']['written']} incidents",
    ]
    if sampling["armed"]:
        parts.append("armed")
    if state["degraded"]:
        parts.append(f"{len(state['degraded'])} degraded")
    return ", ".join(parts)

"""``memwatchd top`` beside the real daemon: a process that grows, and a rule that fires for it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.service.conftest import QUICK, Daemon, StartDaemon
from tests.terminals import on_terminal

pytestmark = pytest.mark.live

# Takes a name; then it takes so many MiB for each line, and says so.
_GROWER = """
import sys
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
print("ready", flush=True)
taken = []
for line in sys.stdin:
    taken.append(b"\\1" * (int(line) << 20))
    print("taken", flush=True)
"""
_NAME = f"mwt-{os.getpid()}"

Grow = Callable[[int], None]


@pytest.fixture
def grow() -> Iterator[Grow]:
    """A process of our own, which takes more memory when it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GROWER, _NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    assert stdout.readline() == "ready\n"

    def grow(mib: int) -> None:
        stdin.write(f"{mib}\n")
        stdin.flush()
        assert stdout.readline() == "taken\n"

    yield grow
    process.kill()
    process.wait()
    stdin.close()
    stdout.close()


@pytest.fixture
def daemon(start_daemon: StartDaemon, grow: Grow) -> Daemon:
    """Watches that process; a rule fires when it is large."""
    rule: dict[str, Any] = {"when": f"process.{_NAME}.rss > 64MiB", "actions": ["log"]}
    found: Daemon = start_daemon({**QUICK, "watch": [{"comm": _NAME}], "rules": {"too-large": rule}})
    return found


def test_it_follows_a_process_and_the_rule_that_fires_for_it(daemon: Daemon, grow: Grow) -> None:
    """What people run while a machine goes down would show its beginning, or not what is done about it."""
    arguments = ("top", *daemon.where, *daemon.arguments[:2], "--rate", "20Hz")
    with on_terminal(*arguments, size=(160, 48)) as terminal:
        before = terminal.wait("LIVE", _NAME, "nearest rule too-large 1")
        grow(48)
        terminal.wait("nearest rule too-large 8", without=["ACTIVE", before.splitlines()[0]])
        grow(48)
        terminal.wait("ACTIVE", "rule too-large fired", "rule too-large: log: ")
        terminal.press("q")
        assert terminal.end() == 0

"""Who may read what the daemon writes, and who may tell it to do something."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.service.conftest import Daemon, StartDaemon, _alone, make_daemon, runtime_dir, start_daemon

from memwatchd.service import control

__all__ = ["_alone", "make_daemon", "runtime_dir", "start_daemon"]

NOBODY = 65534
ASK = """
import json, socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
client.connect(sys.argv[1])
client.sendall(json.dumps({"command": "dump"}).encode() + b"\\n")
print(client.makefile().read())
"""


def modes(daemon: Daemon) -> dict[str, int]:
    found = {}
    for directory in (daemon.places.runtime_dir, daemon.places.state_dir):
        for path in directory.rglob("*"):
            found[path.name] = stat.S_IMODE(path.lstat().st_mode)
    return found


@pytest.mark.live
def test_what_is_written_is_for_its_owner_and_the_group(start_daemon: StartDaemon) -> None:
    """Any user could read names, paths and command lines of all the others out of an incident."""
    before = os.umask(0)  # the modes must hold whatever the unit says
    try:
        daemon = start_daemon()
    finally:
        os.umask(before)
    assert daemon.cli("dump").returncode == 0
    daemon.wait_for_incident("requested")
    found = modes(daemon)
    incidents = {name: mode for name, mode in found.items() if name.endswith(".mwi")}
    assert set(incidents.values()) == {0o640}
    expected = {
        "ring": 0o640,
        "events": 0o600,
        "state.json": 0o644,
        "lock": 0o600,
        "control.sock": 0o600,
        "incidents": 0o750,
    }
    assert {name: found[name] for name in expected} == expected
    assert {name for name, mode in found.items() if mode & 0o007} == {"state.json"}


@pytest.mark.live
def test_what_everybody_may_read_names_nobody(start_daemon: StartDaemon) -> None:
    """Process names would leak to every user by way of the state file."""
    child = subprocess.Popen(
        [sys.executable, "-c", "open('/proc/self/comm','w').write('ab12secret34'); input()"],
        stdin=subprocess.PIPE,
    )
    try:
        daemon = start_daemon()
        daemon.wait_for_ticks(300)
        assert b"ab12secret34" not in daemon.places.state.read_bytes()
    finally:
        child.communicate()


@pytest.mark.live
@pytest.mark.parametrize("opened", [False, True])
def test_nobody_else_may_have_an_incident_written(start_daemon: StartDaemon, opened: bool) -> None:
    """Any user could fill the disk with incidents, or have the configuration read anew."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    python = Path("/usr/bin/python3")
    if not python.exists():
        pytest.skip("there is no interpreter that anybody may run")
    daemon = start_daemon()
    daemon.places.runtime_dir.chmod(0o755)
    if opened:
        daemon.places.control.chmod(0o666)
    asked = subprocess.run(
        [python, "-I", "-c", ASK, daemon.places.control],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if opened:
        assert json.loads(asked.stdout) == {"error": "only root and the user of memwatchd may do this"}
    else:
        assert "PermissionError" in asked.stderr
    assert daemon.incidents("requested") == []


def test_the_kernel_is_asked_who_it_is() -> None:
    """Whoever passes an open connection on would pass root's rights on."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert control.may_command(ours)


def test_another_user_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon of one user would obey another one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr("memwatchd.service.control._CREDENTIALS", Forged())
        assert not control.may_command(ours)


class Forged:
    """What the kernel would say of a process of user 4711."""

    size = 12

    def unpack(self, _raw: bytes) -> tuple[int, int, int]:
        return 1, 4711, 4711

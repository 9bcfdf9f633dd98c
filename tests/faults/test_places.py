"""Directories that are not what they should be; those of incidents are in tests/service/test_live_disk.py."""

from pathlib import Path

import pytest
from tests.faults.conftest import Told, nothing_leaks
from tests.service.conftest import Daemon, MakeEater, StartDaemon

from memwatchd.places import Places, is_memory

pytestmark = pytest.mark.live


def test_a_runtime_directory_on_a_disk(
    make_daemon: StartDaemon, make_eater: MakeEater, tmp_path: Path, told: Told
) -> None:
    """Without a tmpfs there would be no recorder, or one of which nobody knows that a disk stops it."""
    if is_memory(tmp_path.resolve(), Path("/proc/self/mountinfo").read_text(errors="surrogateescape")):
        pytest.skip(f"{tmp_path} is in memory")
    eater = make_eater()
    daemon: Daemon = make_daemon()
    daemon.places = Places(tmp_path / "run", daemon.places.state_dir)
    daemon.start().wait_until_sampling()
    told.check(daemon)
    with nothing_leaks(daemon):
        daemon.wait_for_ticks(100)
        eater.eat()
        assert daemon.wait_for_incident_of(eater.pid).problems == []

"""The kernel's log: overrun while nobody reads, not there, or something else in its place."""

import ctypes
import os
import signal
from pathlib import Path

import pytest
from tests.faults.conftest import Told, ends_well, nothing_leaks, private_mounts
from tests.faults.test_standstill import done
from tests.service.conftest import MakeEater, StartDaemon

pytestmark = pytest.mark.live

_KMSG = Path("/dev/kmsg")
_SYSLOG_ACTION_SIZE_BUFFER = 10
_MOST_BYTES = 2 << 20
_LINE_BYTES = 900


def flood() -> None:
    """Have the kernel overwrite all of its log, with lines that go to no console.

    Every line is written through a descriptor of its own: what one may write in five seconds is limited.
    """
    size = ctypes.CDLL(None).klogctl(_SYSLOG_ACTION_SIZE_BUFFER, None, 0)
    if not 0 < size <= _MOST_BYTES:
        pytest.skip(f"the kernel's log is too large to be flooded for a test: {size} bytes")
    line = b"<7>memwatchd test: this line fills the log " + b"." * _LINE_BYTES
    for _ in range(2 * size // _LINE_BYTES):
        descriptor = os.open(_KMSG, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def test_an_overrun_log(start_daemon: StartDaemon, make_eater: MakeEater) -> None:
    """A flood of messages would end the service, or the kill whose message it swept away go unrecorded."""
    lost, told = make_eater(b"lost"), make_eater(b"told")
    daemon = start_daemon()
    daemon.wait_for_ticks(200)
    with nothing_leaks(daemon):
        os.kill(daemon.pid, signal.SIGSTOP)
        try:
            lost.eat()
            flood()
        finally:
            os.kill(daemon.pid, signal.SIGCONT)
        daemon.wait_for(lambda: daemon.state()["kmsg"]["lost"] > 0, "the loss to be counted")
        assert sum(event["records"] for event in done(daemon, "kmsg_lost")) == daemon.state()["kmsg"]["lost"]
        (incident,) = daemon.wait_for(lambda: daemon.incidents("kernel_kill"), "an incident all the same")
        assert "no kernel message says who" in incident.meta["trigger"]["detail"]
        assert incident.meta["disagreements"] == ["vmstat counts 1 kills, the kernel's messages tell of 0"]
        told.eat()
        daemon.wait_for_incident_of(told.pid)


@pytest.mark.parametrize(
    "mount", ["mount -t tmpfs none /dev", "mount --bind /dev/null /dev/kmsg", "mount --bind EMPTY /dev/kmsg"]
)
def test_no_log(
    make_daemon: StartDaemon, make_eater: MakeEater, tmp_path: Path, told: Told, mount: str
) -> None:
    """A container without the kernel's log, or with something else in its place, would have no recorder."""
    (tmp_path / "empty").touch()
    eater = make_eater()
    daemon = make_daemon()
    if "tmpfs" in mount:
        # Of all there was in /dev only what every program needs, and the runtime directory.
        runtime, null = daemon.places.runtime_dir, tmp_path / "null"
        null.touch()
        kept = f"mount --bind {runtime} {tmp_path}/run && mount --bind /dev/null {null}"
        back = f"mkdir -p {runtime} && mount --bind {tmp_path}/run {runtime} && cp -a {null} /dev/null"
        (tmp_path / "run").mkdir()
        mount = f"{kept} && {mount} && {back}"
    daemon.program = [*private_mounts(mount.replace("EMPTY", str(tmp_path / "empty"))), *daemon.program]
    daemon.start().wait_until_sampling()
    told.check(daemon)
    eater.eat()
    (incident,) = daemon.wait_for(lambda: daemon.incidents("kernel_kill"), "an incident all the same")
    assert "no kernel message says who" in incident.meta["trigger"]["detail"]
    assert daemon.state()["kmsg"] == {"readable": False, "lost": 0}
    ends_well(daemon)

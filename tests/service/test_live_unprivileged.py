"""Without any rights: the daemon does what it can, and says what it cannot."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import Daemon, StartDaemon, free_port, said_in_one_line

import memwatchd
from memwatchd.places import Places
from memwatchd.service.start import SLOW_PROCESSOR

pytestmark = pytest.mark.live

_NOBODY = 65534
_GROUP = 64999


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Path]:
    """An interpreter that anybody may run, with this program and its libraries.

    The one that runs this test may lie in somebody's home, so the system's is given a virtual environment.
    """
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    if not system.exists():
        pytest.skip(f"there is no {system}, and {sys.executable} need not be for everybody")
    home = Path(tempfile.mkdtemp(prefix="memwatchd-test-", dir="/dev/shm"))
    home.chmod(0o755)
    try:
        subprocess.run(
            [system, "-m", "venv", "--without-pip", home / "venv"], check=True, capture_output=True
        )
        source = Path(memwatchd.__file__).parent
        paths = [str(source.parent), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        (site,) = (home / "venv" / "lib").glob("python*/site-packages")
        (site / "memwatchd.pth").write_text("\n".join(paths) + "\n")
        python = home / "venv" / "bin" / "python"
        probe = subprocess.run(
            [python, "-I", "-c", "import memwatchd.service.service"],
            user=_NOBODY,
            group=_NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
        if probe.returncode != 0:
            pytest.skip(f"uid {_NOBODY} cannot import the program: {probe.stderr.decode().splitlines()[-1]}")
        yield python
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no virtual environment for everybody: {error.stderr.decode().strip()}")
    finally:
        shutil.rmtree(home)


def test_the_exporter_alone(interpreter: Path, start_daemon: StartDaemon, runtime_dir: Path) -> None:
    """In a unit of its own, as a user who may read the ring by its group and nothing else, it would fail."""
    daemon = start_daemon()
    runtime_dir.chmod(0o755)
    os.chown(daemon.places.ring, 0, _GROUP)
    port = free_port()
    exporter = subprocess.Popen(
        [
            interpreter,
            "-m",
            "memwatchd",
            "exporter",
            "--runtime-dir",
            runtime_dir,
            "--listen",
            f"127.0.0.1:{port}",
        ],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[_GROUP],
        cwd="/",
        stderr=subprocess.PIPE,
    )

    def page() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text: bytes = answer.read()
        except OSError:
            return b""
        return text

    try:
        daemon.wait_for(lambda: b"\nmemwatchd_up 1.0\n" in page(), "the exporter to see the sampler")
        assert b"\nmemwatchd_service_up 1.0\n" in page()
        # The daemon goes and comes again: with a new ring.
        assert daemon.stop() == 0
        daemon.start().wait_until_sampling()
        os.chown(daemon.places.ring, 0, _GROUP)
        daemon.wait_for(lambda: b"\nmemwatchd_up 1.0\n" in page(), "the exporter to see the new ring")
    finally:
        exporter.terminate()
        _, said = exporter.communicate(timeout=30)
    assert (exporter.returncode, said) == (0, b"")


@pytest.fixture
def daemon(interpreter: Path, runtime_dir: Path, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon of nobody's."""
    os.chown(runtime_dir, _NOBODY, _NOBODY)
    state_dir = runtime_dir / "state"
    state_dir.mkdir()
    os.chown(state_dir, _NOBODY, _NOBODY)
    made = Daemon(
        Places(runtime_dir, state_dir),
        tmp_path / "log",
        ["--no-exporter"],
        [str(interpreter), "-m", "memwatchd"],
        _NOBODY,
    )
    yield made
    made.clean_up()


def test_it_runs_without_rights_and_says_what_it_lacks(daemon: Daemon) -> None:
    """A user without root would get nothing, or would believe that all is well."""
    daemon.start().wait_until_sampling()
    degraded = "\n".join(daemon.state()["degraded"])
    for word in ("slabinfo", "SCHED_FIFO", "mlockall", "oom_score_adj", "CAP_SYS_NICE"):
        assert word in degraded, degraded
    if Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() == "1":
        assert "CAP_SYSLOG" in degraded
    for sentence in daemon.state()["degraded"]:
        assert f"degraded: {sentence}" in daemon.log()
    daemon.wait_for_ticks(100)
    incident = daemon.dump()
    assert incident.complete
    *_, last = incident.moments()
    assert (last.text("meminfo") or b"").startswith(b"MemTotal:")
    lacks = [set(each) - {SLOW_PROCESSOR} for each in (incident.meta["degraded"], daemon.state()["degraded"])]
    assert lacks[0] == lacks[1]
    shown = daemon.cli("show", incident.path.name)
    assert shown.returncode == 0
    assert "degraded: " in shown.stdout.decode()
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log()


def test_it_recovers_from_a_crash_without_rights(daemon: Daemon) -> None:
    """What root's daemon keeps over a crash, a user's would lose."""
    daemon.start().wait_until_sampling()
    sampler_pid = daemon.state()["sampler_pid"]
    daemon.kill()
    daemon.wait_until_dead([sampler_pid])
    daemon.start().wait_until_sampling()
    daemon.wait_for_incident("recorder_died")


def run_as_nobody(interpreter: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [interpreter, "-m", "memwatchd", *arguments],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_other_peoples_directories(interpreter: Path, runtime_dir: Path) -> None:
    """A user who looks at root's incidents would be shown a traceback, not that he may not."""
    state = runtime_dir / "state"
    (state / "incidents").mkdir(parents=True)
    (state / "incidents").chmod(0o750)
    where = ["--runtime-dir", str(runtime_dir), "--state-dir", str(state)]
    for arguments in (["incidents"], ["show", "last"], ["show", "x"], ["show", f"{state}/incidents/x.mwi"]):
        said = said_in_one_line(run_as_nobody(interpreter, *arguments, *where), 6)
        assert "Permission denied" in said or arguments == ["show", "x"], said
    said_in_one_line(run_as_nobody(interpreter, "status", *where), 3)
    said_in_one_line(run_as_nobody(interpreter, "dump", *where), 3)
    said = said_in_one_line(run_as_nobody(interpreter, "run", "--no-exporter", *where), 7)
    assert "Permission denied" in said or "belongs to user 0" in said


def test_a_socket_that_is_not_for_everybody(interpreter: Path, runtime_dir: Path, tmp_path: Path) -> None:
    """Anybody could have root's daemon fill the disk with incidents."""
    runtime_dir.chmod(0o755)
    roots = Daemon(Places(runtime_dir, tmp_path / "state"), tmp_path / "log", ["--no-exporter"])
    try:
        roots.start().wait_until_sampling()
        where = ["--runtime-dir", str(runtime_dir), "--state-dir", str(tmp_path / "state")]
        said = said_in_one_line(run_as_nobody(interpreter, "dump", *where), 3)
        assert "Permission denied" in said
        status = run_as_nobody(interpreter, "status", *where)
        assert (status.returncode, status.stderr) == (0, b"")
        assert roots.incidents("requested") == []
    finally:
        roots.clean_up()

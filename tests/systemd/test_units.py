"""The units as far as they can be checked without a running systemd: syntax and exposure."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "systemd"
SERVICES = ("memwatchd.service", "memwatchd-exporter.service", "memwatchd-collect.service")
DROP_INS = sorted(path.name for path in (UNITS / "drop-ins").glob("*.conf"))

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def installed(directory: Path, drop_in: str = "") -> Path:
    """Lay all units into a directory, of the program only the name is another one."""
    for path in UNITS.glob("memwatchd*.*"):
        text = path.read_text().replace("/usr/bin/memwatchd ", "/bin/true ")
        (directory / path.name).write_text(text)
    if drop_in:
        beside = directory / "memwatchd.service.d"
        beside.mkdir()
        text = (UNITS / "drop-ins" / drop_in).read_text().replace("/usr/bin/memwatchd ", "/bin/true ")
        (beside / drop_in).write_text(text)
    return directory


def exposure(directory: Path, unit: str) -> float:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"./{unit}"]
    result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert found is not None, result.stderr
    return float(found[1])


@needs_systemd
@pytest.mark.parametrize(
    "unit", [*SERVICES, "memwatchd.slice", "memwatchd-collect.path", "memwatchd-collect.timer"]
)
def test_systemd_has_nothing_to_complain_about(tmp_path: Path, unit: str) -> None:
    """A directive with a typing error would be ignored, and what it protects with it."""
    command = ["systemd-analyze", "verify", "--man=no", f"./{unit}"]
    where = installed(tmp_path)
    result = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("drop_in", DROP_INS)
def test_no_drop_in_breaks_the_unit(tmp_path: Path, drop_in: str) -> None:
    """Who wants one action more would have none."""
    command = ["systemd-analyze", "verify", "--man=no", "./memwatchd.service"]
    where = installed(tmp_path, drop_in)
    result = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "drop_in", "most"),
    [
        ("memwatchd.service", "", 3.6),
        ("memwatchd.service", "observe.conf", 2.7),
        ("memwatchd.service", "group.conf", 3.6),
        ("memwatchd.service", "swap.conf", 4.0),
        ("memwatchd-exporter.service", "", 1.5),
        ("memwatchd-collect.service", "", 1.5),
    ],
)
def test_the_sandbox_stays_as_narrow_as_it_is(tmp_path: Path, unit: str, drop_in: str, most: float) -> None:
    """A hole would come in with some change, and nobody would look for it."""
    assert exposure(installed(tmp_path, drop_in), unit) <= most


def test_every_capability_has_its_reason() -> None:
    """An administrator could not tell whether a right may be taken away."""
    lines = (UNITS / "memwatchd.service").read_text().splitlines()
    granted = next(line for line in lines if line.startswith("CapabilityBoundingSet="))
    reasons = " ".join(line for line in lines if line.startswith("# CAP_"))
    assert all(capability in reasons for capability in granted.partition("=")[2].split())


def test_who_reads_for_nobody_has_no_rights() -> None:
    """Whoever takes over the exporter, or the program that uploads, would have the machine."""
    for name in ("memwatchd-exporter.service", "memwatchd-collect.service"):
        lines = (UNITS / name).read_text().splitlines()
        assert {"DynamicUser=yes", "CapabilityBoundingSet=", "NoNewPrivileges=yes"} <= set(lines)
        assert not [line for line in lines if line.startswith("AmbientCapabilities")]


def test_the_exporter_cannot_reach_the_control_socket() -> None:
    """Whoever takes over the exporter could have the daemon do something."""
    lines = (UNITS / "memwatchd-exporter.service").read_text().splitlines()
    assert "RestrictAddressFamilies=AF_INET AF_INET6" in lines

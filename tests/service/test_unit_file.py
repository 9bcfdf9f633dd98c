"""The systemd unit, as far as it can be checked without a running systemd."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "memwatchd.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_has_nothing_to_complain_about(tmp_path: Path) -> None:
    """A directive with a typing error would be ignored, and what it protects with it."""
    unit = tmp_path / UNIT.name
    # The program is not installed here; all else is checked as it stands.
    unit.write_text(UNIT.read_text().replace("/usr/bin/memwatchd ", "/bin/true "))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_capability_has_its_reason() -> None:
    """An administrator could not tell whether a right may be taken away."""
    lines = UNIT.read_text().splitlines()
    granted = next(line for line in lines if line.startswith("CapabilityBoundingSet="))
    reasons = " ".join(line for line in lines if line.startswith("# CAP_"))
    assert all(capability in reasons for capability in granted.partition("=")[2].split())

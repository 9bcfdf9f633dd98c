"""The trial of the package in a virtual machine, as far as it can be checked without one."""

import re
import subprocess
from pathlib import Path

from lab import daemons, scenario
from memwatchd.exporter.table import METRICS
from memwatchd.service.occasions import MESSAGE_IDS

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "lab/inside/package.sh"


def test_the_script_is_one() -> None:
    """A run of minutes would end with a syntax error."""
    result = subprocess.run(["sh", "-n", SCRIPT], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_machine_has_no_conductor_and_no_daemon() -> None:
    """What is tried would be stopped in the middle, or be another one."""
    story = scenario.load(str(PROJECT / "lab/package.yaml"))
    assert "/etc/systemd/system/lab.service.d/package.conf" in story.files
    assert daemons.find("none").units == ()


def test_names_in_the_script_are_the_program_s() -> None:
    """A metric or an id would be waited for that there is not."""
    text = SCRIPT.read_text()
    metrics = set(re.findall(r"metric (memwatchd_\w+)", text))
    assert metrics
    assert metrics <= {metric.full_name for metric in METRICS}
    assert set(re.findall(r"MESSAGE_ID=(\w+)", text)) <= set(MESSAGE_IDS.values())
    for name in re.findall(r"drop-ins/([\w-]+\.conf)", text):
        assert (PROJECT / "systemd/drop-ins" / name).exists()

"""The instructions for where there is no package: a virtual environment, as docs/service.md has it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memwatchd import __version__

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = (PROJECT / "docs/service.md").read_text().partition("## Elsewhere")[2]
# What changes the machine itself, and not only files of it.
FOR_THE_MACHINE = ("apt-get", "systemd-sysusers", "systemctl")


def commands(root: Path) -> list[str]:
    """The lines of the document that can be done in a directory, there."""
    lines = re.findall("^# (.+)$", DOCUMENT, re.MULTILINE)
    done = [line.partition("  #")[0].partition(" && ")[0] for line in lines]
    kept = [line for line in done if not any(word in line for word in FOR_THE_MACHINE)]
    return [re.sub("(?<![A-Za-z.])/(opt|usr|etc)/", rf"{root}/\1/", line) for line in kept]


@pytest.mark.timeout(600)
def test_the_instructions_lead_to_a_service(tmp_path: Path) -> None:
    """Whoever has another distribution would be left with an error, or with units that start nothing."""
    if subprocess.run(["pkg-config", "--exists", "libsystemd"], check=False).returncode:
        pytest.skip("building systemd-python takes libsystemd-dev")
    source = tmp_path / "checkout"
    for name in ("src", "systemd"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(PROJECT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    for directory in ("opt", "usr/bin", "etc/systemd/system"):
        (tmp_path / directory).mkdir(parents=True)
    script = "\n".join(commands(tmp_path)).replace("python3 ", f"{sys.executable} ", 1)
    made = subprocess.run(
        ["sh", "-eu"], cwd=source, input=script, capture_output=True, text=True, check=False
    )
    if "No matching distribution found" in made.stderr:
        pytest.skip("pip finds no packages here")
    assert made.returncode == 0, f"{script}\n{made.stderr}"
    program = tmp_path / "usr/bin/memwatchd"
    ran = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert __version__ in ran.stdout
    unit = tmp_path / "etc/systemd/system/memwatchd.service"
    checked = subprocess.run([program, "check", "--unit", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"read {unit}.d/10-group.conf\n" in checked.stdout
    units = {path.name for path in (PROJECT / "systemd").iterdir()}
    laid = {path.name for path in unit.parent.iterdir()}
    assert laid == {
        *(
            name
            for name in units
            if name.startswith("memwatchd") and name.endswith((".service", ".slice", ".path", ".timer"))
        ),
        "memwatchd.service.d",
    }
    assert (tmp_path / "etc/sysusers.d/memwatchd.conf").exists()

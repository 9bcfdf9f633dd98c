"""What runs in the guest, as far as it can be tried here."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab.daemons import DAEMONS
from lab.inside import probe, sampler, units
from lab.scenario import Scenario

from lab import home, inject, places


def test_nothing_inside_needs_what_the_guest_does_not_have() -> None:
    """A run would end before it began, in a machine that nobody sees into."""
    for path in [*(places.LAB / "inside").glob("*.py"), *(places.LAB / "harm").glob("*.py")]:
        names = set[str]()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
        foreign = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
        assert {name for name in foreign if not name.startswith(("lab.inside", "lab.harm"))} == set(), path


def test_a_look_at_memory_has_every_field() -> None:
    """Columns of the samples would be shifted against their names."""
    row = dict(zip(sampler.FIELDS[2:], sampler.look(sampler.Files()), strict=True))
    assert row["total_kib"] >= row["free_kib"] > 0
    assert row["worst_low"] > 0


@pytest.mark.skipif(not os.access("/bin/true", os.X_OK), reason="no /bin/true")
def test_helpers_write_when_they_are_told_to_end(tmp_path: Path) -> None:
    """A run's figures would be lost at its end."""
    if subprocess.run([sys.executable, "-c", _LOCKS], cwd=places.PROJECT, check=False).returncode != 0:
        pytest.skip("memory cannot be locked, or no real-time, here")
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    modules = {
        "sampler": [str(tmp_path / "samples.jsonl"), "--seconds", "60"],
        "probe": [str(tmp_path / "probe.json"), str(file)],
    }
    for name, words in modules.items():
        running = subprocess.Popen([sys.executable, "-m", f"lab.inside.{name}", *words], cwd=places.PROJECT)
        try:
            wait_for(tmp_path / f"{name}.ready", running)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
    found = home.read(tmp_path)
    assert set(found.probe or {}) == {"bounds_ms", "histogram", "slow"}
    assert all(set(row) == set(sampler.FIELDS) for row in found.samples)


_LOCKS = "from lab.inside import body; body.lock_memory(); body.go_first(5)"


def wait_for(path: Path, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stall_goes_into_its_class() -> None:
    """A stall of minutes would break the probe at the moment it was made for."""
    record = probe.Record()
    record.add("exec", 10.0, 10.004)
    record.add("exec", 10.0, 1010.0)
    assert record.slow == [(10.0, 1000.0, "exec")]
    assert sum(record.histogram["exec"]) == 2


def test_processes_without_a_unit_do_not_hurt() -> None:
    """A census of a machine without systemd, such as this one may be, would end the conductor."""
    assert isinstance(dict(units.everybody()), dict)
    assert units.alive("no-such.service") == []
    assert units.cpu_seconds([os.getpid()]) >= 0
    assert units.memory_kib([os.getpid()]).keys() == {"pss_kib", "rss_kib", "swappss_kib", "locked_kib"}


def test_the_plan_tells_the_conductor_all_it_asks_for(story: Scenario) -> None:
    """The conductor would stumble over a missing key when the machine is in the middle of dying."""
    source = (places.LAB / "inside/conductor.py").read_text()
    asked = {
        node.slice.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and ast.unparse(node.value) in ("self._plan", "plan")
    }
    assert asked <= set(inject.plan(story, DAEMONS["memwatchd"], keep=False))

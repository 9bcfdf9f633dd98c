"""The run's own files: a tar that is laid over the guest's root file system before it boots."""

import io
import json
import shlex
import tarfile
from pathlib import Path
from typing import Any

from lab import daemons, places, wheel
from lab.daemons import Daemon
from lab.errors import ScenarioError
from lab.scenario import Process, Scenario

_UNITS = "etc/systemd/system"
_WANTS = f"{_UNITS}/multi-user.target.wants"
_AT = "/opt/lab"
_CONSOLE = """[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear -L 115200 ttyS1 vt100
"""


def plan(scenario: Scenario, daemon: Daemon, *, keep: bool) -> dict[str, Any]:
    """What the conductor in the guest is to do; its keys are read in inside/conductor.py."""
    return {
        "scenario": scenario.name,
        "daemon": {
            "name": daemon.name,
            "units": [unit for unit in daemon.units if unit.endswith(".service")],
            "collect": list(daemon.collect),
            "report": [list(words) for words in daemon.report],
        },
        "swap": {"kind": scenario.machine.swap.kind, "size_bytes": scenario.machine.swap.size_bytes},
        "setup": list(scenario.setup),
        "processes": [
            {"name": each.name, "unit": each.unit, "role": each.role, "at_s": each.at_s}
            for each in scenario.processes
        ],
        "critical_units": list(scenario.critical_units),
        "settle_s": scenario.settle_s,
        "duration_s": scenario.duration_s,
        "after_s": scenario.after_s,
        "end_with_harm": scenario.end_with_harm,
        "boots": scenario.machine.boots,
        "cron": scenario.cron,
        "stream": scenario.stream,
        "collect": list(scenario.collect),
        "keep": keep,
    }


def write(scenario: Scenario, daemon: Daemon, target: Path, *, keep: bool) -> None:
    """Write the tar."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _code(archive, target.parent / "code")
        text(archive, f"{_AT}/plan.json", json.dumps(plan(scenario, daemon, keep=keep)))
        for process in scenario.processes:
            text(archive, f"{_UNITS}/{process.unit}", unit_text(process))
        for name, content in {**daemon.files, **scenario.files}.items():
            text(archive, name, content)
        for unit in daemons.foreign_units(daemon):
            link(archive, f"{_UNITS}/{unit}", "/dev/null")
        for unit in daemon.units:
            where = f"{_UNITS}/sockets.target.wants" if unit.endswith(".socket") else _WANTS
            place = f"/{_UNITS}" if daemon.wheel else "/lib/systemd/system"
            link(archive, f"{where}/{unit}", f"{place}/{unit}")
        for name, stands_for in daemon.aliases.items():
            link(archive, f"{_UNITS}/{name}", stands_for)
        if daemon.wheel:
            archive.add(wheel.installed(), arcname=".", filter=_by_root)
        if keep:
            text(archive, f"{_UNITS}/serial-getty@ttyS1.service.d/lab.conf", _CONSOLE)
            link(archive, f"{_WANTS}/serial-getty@ttyS1.service", "/lib/systemd/system/serial-getty@.service")


def unit_text(process: Process) -> str:
    """The unit of one process."""
    program, *rest = shlex.split(process.run)
    if program.endswith(".py"):
        if not (places.LAB / "harm" / program).is_file():
            raise ScenarioError(f"processes: {process.name}: lab/harm has no {program}")
        # Not bound to systemd's own name for it: its comm is what the kernel's reports will show.
        command = f"/usr/bin/python3 {_AT}/lab/harm/{program}"
    elif program.startswith("/"):
        command = program
    else:
        raise ScenarioError(
            f"processes: {process.name}: run: expected a program of lab/harm or a path, not {program}"
        )
    properties = {"OOMScoreAdjust": str(process.oom_score_adj), **process.properties}
    lines = [f"{key}={value}" for key, value in properties.items()]
    command = " ".join([command, *(shlex.quote(word).replace("%", "%%") for word in rest)])
    description = f"Description={process.name} of a run of the lab"
    head = ["[Unit]", description, "[Service]", "Type=exec", f"Environment=PYTHONPATH={_AT}"]
    return "\n".join([*head, f"ExecStart={command}", *lines, ""])


def text(archive: tarfile.TarFile, name: str, content: str) -> None:
    """Add a file."""
    data = content.encode()
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


def link(archive: tarfile.TarFile, name: str, to: str) -> None:
    """Add a symbolic link."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    archive.addfile(entry)


def _code(archive: tarfile.TarFile, work: Path) -> None:
    """The lab's own code for the guest, compiled."""
    for source in (
        places.LAB / "__init__.py",
        *(places.LAB / "inside").glob("*.py"),
        *(places.LAB / "harm").glob("*.py"),
    ):
        target = work / "lab" / source.relative_to(places.LAB)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    wheel.compile_tree(work, _AT)
    archive.add(work, arcname=_AT.lstrip("/"), filter=_by_root)


def _by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry

"""One moment written out as a /proc tree."""

from pathlib import Path

import pytest
from tests.conftest import ZERO_NS, S, Tape, WriteIncident

from memwatchd.errors import MemwatchdError
from memwatchd.incidents.moment import moment_at
from memwatchd.incidents.reader import Incident, open_incident
from memwatchd.views.proctree import write_tree


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def write(incident: Incident, at_s: float, directory: Path) -> dict[str, bytes]:
    written = write_tree(incident, moment_at(incident, ZERO_NS + round(at_s * S)), directory)
    assert sorted(written) == sorted(path for path in directory.rglob("*") if path.is_file())
    return tree(directory)


def test_other_tools_find_what_they_expect(tape: Tape, write_incident: WriteIncident, tmp_path: Path) -> None:
    """`free`, node_exporter and the like could not be pointed at the moment before the kill."""
    tape.file(-1.5, "loadavg", b"old")
    tape.file(-1.0, "loadavg", b"0.1 0.2 0.3 1/2 3\n")
    tape.file(0.5, "loadavg", b"later")
    tape.file(0.5, "swaps", b"only later\n")
    tape.sample(-1, {"meminfo": b"before\n", "pressure": b"some\n"})
    tape.watch("process/4711/statm", pid=4711)
    tape.watch("cgroup/system.slice/a.service/memory.current")
    tape.sample(
        0,
        {
            "meminfo": b"at zero\n",
            "process/4711/statm": b"1 2 3\n",
            "cgroup/system.slice/a.service/memory.current": b"42\n",
        },
    )
    tape.sample(1, {"meminfo": b"after\n"})
    assert write(open_incident(write_incident()), 0.2, tmp_path / "out" / "proc") == {
        "4711/statm": b"1 2 3\n",
        "cgroup/system.slice/a.service/memory.current": b"42\n",
        "loadavg": b"0.1 0.2 0.3 1/2 3\n",
        "meminfo": b"at zero\n",
        "pressure/memory": b"some\n",
        "swaps": b"only later\n",
    }


def test_a_directory_that_holds_something_is_left_alone(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path
) -> None:
    """Files of the administrator would be overwritten or mixed with old ones."""
    tape.sample(0, {"meminfo": b"x"})
    incident = open_incident(write_incident())
    full = tmp_path / "full"
    full.mkdir()
    (full / "meminfo").write_bytes(b"mine")
    with pytest.raises(MemwatchdError, match="expected an empty directory"):
        write(incident, 0, full)
    assert tree(full) == {"meminfo": b"mine"}


FORGED = [
    "../outside",
    "../../etc/passwd",
    "/etc/passwd",
    "process//etc/passwd",
    "process/../../outside",
    "cgroup/../../../outside",
    "a/../../outside",
    "..",
    ".",
    "",
    "process/",
    "nul\0name",
]


@pytest.mark.parametrize("name", FORGED, ids=repr)
def test_a_forged_name_stays_below_the_directory(
    tape: Tape, write_incident: WriteIncident, tmp_path: Path, name: str
) -> None:
    """An incident from a stranger could overwrite any file of the one who looks at it."""
    tape.watch("meminfo")
    tape.watch(name)
    tape.file(-0.5, name, b"forged")
    tape.sample(0, {name: b"forged", "meminfo": b"good"})
    directory = tmp_path / "deep" / "out"
    incident = open_incident(write_incident())
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert write(incident, 0, directory)["meminfo"] == b"good"
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert all(path.is_relative_to(directory) for path in after - before)
    assert not (tmp_path / "outside").exists()

"""Finding what is to be watched, over a /proc and a cgroup tree of files."""

import errno
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.descriptors import open_descriptors

from memwatchd.config.model import Watch
from memwatchd.ring.board import MAX_SOURCES
from memwatchd.roots import Roots
from memwatchd.sampling.plan import FIRST_WATCH_ID, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES
from memwatchd.service.watches import WatchKeeper

FIRST_ID = FIRST_WATCH_ID


@dataclass
class Machine:
    """Processes and cgroups made of files, and a sampler that takes or refuses what it is sent."""

    directory: Path
    taken: dict[int, dict[str, Any]] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    refuses: bool = False
    error: OSError | None = None

    def __post_init__(self) -> None:
        self.roots = Roots(self.directory / "proc", self.directory / "sys", self.directory / "cgroup")
        self.roots.procfs.mkdir()
        self.roots.cgroupfs.mkdir()

    def send(self, command: dict[str, Any], descriptors: list[int]) -> bool:
        """What the sampler does."""
        assert len(descriptors) == len(command.get("add", ())) <= MAX_DESCRIPTORS
        if self.error is not None:
            raise self.error
        if self.refuses:
            return False
        self.commands.append(command)
        for number in command.get("remove", ()):
            del self.taken[number]
        for entry, descriptor in zip(command.get("add", ()), descriptors, strict=True):
            assert entry["id"] not in self.taken
            self.taken[entry["id"]] = entry
            self.texts[entry["id"]] = os.pread(descriptor, 100, 0)
        return True

    def keeper(self, *watches: Watch) -> WatchKeeper:
        return WatchKeeper(self.roots, watches, self.send)

    def names(self) -> list[str]:
        """What the sampler samples now."""
        return sorted(str(entry["name"]) for entry in self.taken.values())

    def process(
        self, pid: int, comm: bytes = b"rsync", start_ticks: int = 1000, files: dict[int, Path] | None = None
    ) -> Path:
        home = self.roots.procfs / str(pid)
        shutil.rmtree(home, ignore_errors=True)
        for name in ("fd", "fdinfo"):
            (home / name).mkdir(parents=True)
        (home / "comm").write_bytes(comm + b"\n")
        (home / "stat").write_bytes(
            b"%d (%s) S 1 1 1 0 -1 4194560 9 0 1 0 30 12 0 0 20 0 7 0 %d 5000000 512 18\n"
            % (pid, comm, start_ticks)
        )
        (home / "statm").write_bytes(b"statm of %d\n" % start_ticks)
        (home / "status").write_bytes(b"status\n")
        for number, target in (files or {}).items():
            (home / "fd" / str(number)).symlink_to(target)
            (home / "fdinfo" / str(number)).write_bytes(b"pos:\t%d\n" % number)
        return home

    def end(self, pid: int) -> None:
        shutil.rmtree(self.roots.procfs / str(pid))

    def cgroup(self, path: str, *names: str) -> Path:
        home = self.roots.cgroupfs / path
        home.mkdir(parents=True, exist_ok=True)
        for name in names or (
            "memory.current",
            "memory.events",
            "memory.max",
            "memory.stat",
            "memory.pressure",
        ):
            (home / name).write_bytes(name.encode())
        return home


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# ---- processes


def test_every_process_of_a_name(machine: Machine) -> None:
    """The process one wanted to see would not be in the recording."""
    machine.process(10, b"rsync", 77)
    machine.process(11, b"rsync", 78)
    machine.process(12, b"rsyncd")
    machine.keeper(Watch(comm="rsync")).look()
    assert machine.names() == [
        "process/10/statm",
        "process/10/status",
        "process/11/statm",
        "process/11/status",
    ]
    assert machine.taken[FIRST_ID] == {
        "id": FIRST_ID,
        "name": machine.taken[FIRST_ID]["name"],
        "path": machine.taken[FIRST_ID]["path"],
        "rate_hz": None,
        "kill_counter": False,
        "pid": machine.taken[FIRST_ID]["pid"],
        "comm": "rsync",
        "start_ticks": machine.taken[FIRST_ID]["start_ticks"],
    }
    rates = {str(entry["name"]).rsplit("/", 1)[1]: entry["rate_hz"] for entry in machine.taken.values()}
    assert rates == {"statm": None, "status": 10.0}
    assert machine.texts[FIRST_ID].startswith(b"statm of 7")


@pytest.mark.parametrize("comm", [b"foo) Z", b"caf\xc3\xa9", b"a b", b"x\x1b[31m"], ids=repr)
def test_odd_names_can_be_watched(machine: Machine, comm: bytes) -> None:
    """A process with a space in its name could not be watched."""
    machine.process(10, comm)
    machine.keeper(Watch(comm=comm.decode())).look()
    assert machine.names() == ["process/10/statm", "process/10/status"]


def test_what_has_been_sent_is_not_sent_again(machine: Machine) -> None:
    """Every look would open all files anew and reset their history in the ring."""
    machine.process(10)
    keeper = machine.keeper(Watch(comm="rsync"))
    before = open_descriptors()
    for _ in range(3):
        keeper.look()
    assert len(machine.commands) == 1
    assert open_descriptors() == before


def test_a_pid_and_a_pid_file(machine: Machine, tmp_path: Path) -> None:
    """A daemon that writes its pid would not be found, or the wrong process after its restart."""
    machine.process(10)
    machine.process(11)
    path = tmp_path / "foo.pid"
    keeper = machine.keeper(Watch(pid=10), Watch(pid_file=path))
    keeper.look()
    assert machine.names() == ["process/10/statm", "process/10/status"]
    path.write_bytes(b"11\n")
    keeper.look()
    assert len(machine.names()) == 4
    for text in (b"", b"nonsense", b"\xff", b"-1", b"99999999999999999999999", b"12\n", b"../self"):
        path.write_bytes(text)
        keeper.look()
        assert machine.names() == ["process/10/statm", "process/10/status"], text


def test_a_process_that_is_named_twice_is_sampled_once(machine: Machine) -> None:
    """The same file would be read twice on every tick."""
    machine.process(10)
    machine.keeper(Watch(comm="rsync"), Watch(pid=10)).look()
    assert len(machine.taken) == 2


def test_a_process_that_ended_is_removed_and_its_id_used_again(machine: Machine) -> None:
    """Ids would run out after a day of short-lived processes."""
    machine.process(10)
    keeper = machine.keeper(Watch(comm="rsync"))
    keeper.look()
    ids = sorted(machine.taken)
    machine.end(10)
    keeper.look()
    assert machine.taken == {}
    machine.process(11)
    keeper.look()
    assert (sorted(machine.taken), machine.names()) == (ids, ["process/11/statm", "process/11/status"])


def test_another_process_of_the_same_pid_is_another_source(machine: Machine) -> None:
    """A descriptor of the dead process would be read for ever."""
    machine.process(10, start_ticks=1)
    keeper = machine.keeper(Watch(comm="rsync"))
    keeper.look()
    machine.process(10, start_ticks=2)
    keeper.look()
    assert {entry["start_ticks"] for entry in machine.taken.values()} == {2}
    assert b"statm of 2\n" in machine.texts.values()


def test_a_process_that_ends_while_it_is_looked_at(machine: Machine) -> None:
    """One short-lived process would keep all others from being watched."""
    machine.process(10)
    (machine.roots.procfs / "10/stat").unlink()
    machine.process(11)
    (machine.roots.procfs / "11/statm").unlink()
    machine.process(12)
    machine.keeper(Watch(comm="rsync")).look()
    assert machine.names() == ["process/11/status", "process/12/statm", "process/12/status"]


# ---- open files


def test_regular_files_that_are_open(machine: Machine, tmp_path: Path) -> None:
    """One would not see which file was being copied when memory ran out."""
    backup = tmp_path / "backup.img"
    backup.write_bytes(b"x")
    machine.process(10, files={0: Path("/dev/null"), 3: backup, 4: tmp_path, 5: tmp_path / "deleted"})
    machine.keeper(Watch(comm="rsync", fds=True)).look()
    (entry,) = (entry for entry in machine.taken.values() if "fdinfo" in entry["name"])
    assert (entry["name"], entry["target"], entry["rate_hz"]) == ("process/10/fdinfo/3", str(backup), None)
    assert machine.texts[entry["id"]] == b"pos:\t3\n"


def test_another_file_on_the_same_descriptor_is_another_source(machine: Machine, tmp_path: Path) -> None:
    """The position would be shown beside the name of the file before."""
    for name in ("one", "two"):
        (tmp_path / name).touch()
    home = machine.process(10, files={3: tmp_path / "one"})
    keeper = machine.keeper(Watch(comm="rsync", fds=True))
    keeper.look()
    (home / "fd/3").unlink()
    (home / "fd/3").symlink_to(tmp_path / "two")
    keeper.look()
    targets = [entry["target"] for entry in machine.taken.values() if "target" in entry]
    assert targets == [str(tmp_path / "two")]


def test_a_process_with_very_many_files_is_watched_in_part(machine: Machine, tmp_path: Path) -> None:
    """One database would use up all ids."""
    (tmp_path / "data").touch()
    machine.process(10, files=dict.fromkeys(range(3, 200), tmp_path / "data"))
    machine.keeper(Watch(comm="rsync", fds=True)).look()
    watched = sorted(int(name.rsplit("/", 1)[1]) for name in machine.names() if "fdinfo" in name)
    assert watched == list(range(3, 19))


# ---- cgroups


@pytest.mark.parametrize("mount", ["", "unified/", "memory/"])
def test_a_cgroup_wherever_it_is_mounted(machine: Machine, mount: str) -> None:
    """Container hosts with version 1, or with both, would not be watched."""
    machine.cgroup(mount + "system.slice/app.service")
    machine.keeper(Watch(cgroup="/system.slice/app.service")).look()
    by_name = {str(entry["name"]): entry for entry in machine.taken.values()}
    assert {name.rsplit("/", 1)[1]: entry["rate_hz"] for name, entry in by_name.items()} == {
        "memory.current": None,
        "memory.events": None,
        "memory.max": 10.0,
        "memory.stat": 10.0,
        "memory.pressure": 10.0,
    }
    assert [name for name, entry in by_name.items() if entry["kill_counter"]] == [
        "cgroup/system.slice/app.service/memory.events"
    ]
    assert {entry["cgroup"] for entry in by_name.values()} == {"/system.slice/app.service"}


def test_a_cgroup_of_version_1(machine: Machine) -> None:
    """Kills in a version 1 cgroup would not be counted."""
    machine.cgroup("memory/docker", "memory.usage_in_bytes", "memory.oom_control", "memory.stat", "tasks")
    machine.keeper(Watch(cgroup="/docker")).look()
    assert [entry["name"] for entry in machine.taken.values() if entry["kill_counter"]] == [
        "cgroup/docker/memory.oom_control"
    ]
    assert len(machine.taken) == 3


def test_a_cgroup_made_anew_is_another_source(machine: Machine) -> None:
    """After a restart of its service a cgroup's descriptors would be those of the dead one."""
    home = machine.cgroup("app")
    keeper = machine.keeper(Watch(cgroup="/app"))
    keeper.look()
    (machine.roots.cgroupfs / "keeps-the-inode-busy").mkdir()
    home.rename(home.with_name("old"))
    machine.cgroup("app")
    keeper.look()
    assert len(machine.commands) == 3
    assert len(machine.taken) == 5


def test_a_cgroup_that_is_not_there_yet(machine: Machine) -> None:
    """A container that is started after the daemon would not be watched."""
    keeper = machine.keeper(Watch(cgroup="/app"))
    keeper.look()
    assert machine.commands == []
    machine.cgroup("app")
    keeper.look()
    assert len(machine.taken) == 5


@pytest.mark.parametrize("cgroup", ["/" + "x" * 300, "/loop/app", "/file/app"])
def test_a_cgroup_that_cannot_be_looked_at_does_no_harm(machine: Machine, cgroup: str) -> None:
    """One bad line of the configuration would stop the whole process table, round after round."""
    (machine.roots.cgroupfs / "loop").symlink_to("loop")
    (machine.roots.cgroupfs / "file").touch()
    machine.process(10)
    machine.keeper(Watch(cgroup=cgroup), Watch(comm="rsync")).look()
    assert machine.names() == ["process/10/statm", "process/10/status"]


# ---- the sampler's side


def test_a_sampler_that_is_busy_is_told_at_the_next_look(machine: Machine) -> None:
    """A process would never be watched, or never be let go of, for one full socket."""
    machine.process(10)
    keeper = machine.keeper(Watch(comm="rsync"))
    before = open_descriptors()
    machine.refuses = True
    keeper.look()
    assert (machine.taken, open_descriptors()) == ({}, before)
    machine.refuses = False
    keeper.look()
    assert len(machine.taken) == 2
    machine.end(10)
    machine.refuses = True
    keeper.look()
    assert len(machine.taken) == 2
    machine.refuses = False
    keeper.look()
    assert machine.taken == {}


def test_a_new_sampler_gets_everything(machine: Machine) -> None:
    """After the death of a sampler nothing would be watched any more."""
    machine.process(10)
    keeper = machine.keeper(Watch(comm="rsync"))
    keeper.look()
    machine.taken.clear()
    keeper.reset()
    keeper.look()
    assert len(machine.taken) == 2


def test_a_command_that_cannot_be_sent_costs_no_descriptors(machine: Machine) -> None:
    """The service would run out of descriptors within a minute."""
    machine.process(10)
    keeper = machine.keeper(Watch(comm="rsync"))
    machine.error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    before = open_descriptors()
    for _ in range(3):
        try:
            keeper.look()
        except OSError:
            continue
    assert open_descriptors() == before


def test_many_files_are_sent_in_several_commands(machine: Machine) -> None:
    """A message has to fit into the buffer, and a kernel takes no more than 253 descriptors at once."""
    for pid in range(100, 150):
        machine.process(pid)
    machine.keeper(Watch(comm="rsync")).look()
    assert [len(command["add"]) for command in machine.commands] == [16, 16, 16, 16, 16, 16, 4]
    assert len(machine.taken) == 100


def test_long_names_of_files_do_not_make_a_command_too_long(machine: Machine, tmp_path: Path) -> None:
    """Whoever starts a process of the watched name and opens oddly named files could end all watching."""
    deep = os.fsencode(tmp_path)
    while len(deep) < 3500:
        deep += b"/" + b"\xff" * 250
    os.makedirs(deep)
    files = {}
    for number in range(3, 19):
        files[number] = Path(os.fsdecode(deep + b"/%d" % number))
        files[number].touch()
    machine.process(10, files=files)
    machine.process(11)
    machine.keeper(Watch(comm="rsync", fds=True)).look()
    assert max(len(json.dumps(command)) for command in machine.commands) <= MAX_MESSAGE_BYTES
    assert {"process/11/statm", "process/11/status"} <= set(machine.names())


def test_more_than_there_are_ids_is_refused_and_counted(machine: Machine) -> None:
    """A fork bomb of the watched name would write beyond the board."""
    for pid in range(100, 200):
        machine.process(pid)
    keeper = machine.keeper(Watch(comm="rsync"))
    keeper.look()
    assert len(machine.taken) == MAX_SOURCES - FIRST_ID
    assert keeper.refused == 200 - (MAX_SOURCES - FIRST_ID)
    assert max(machine.taken) == MAX_SOURCES - 1

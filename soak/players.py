"""Who does what to the daemon during the run: reloads, dumps, readers, scrapes, kills, comings and goings."""

import fcntl
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from soak import children, scrapes
from soak.activity import Activity, Trouble
from soak.config import WATCHED_COMM, Names, is_wrong, write_variant
from soak.daemon import Site
from soak.incidents import IncidentWatch

_RULE_S = 20.0
_KILL_S = 30.0
_TOLD_S = 60.0
_POLL_S = 0.2
_REFUSED, _GONE, _MISSED = 4, 6, 8
# Live tests of this program take turns by it: a kill by the kernel is in every daemon's recording.
_TURN = Path("/dev/shm/memwatchd-test.lock")
_NAMES = (b"soak-eater", b"soak) (eater", b"s\x1b[1moak", b"\xff\xe9ater")


@dataclass(slots=True)
class Diary:
    """What was done, so that it can be compared with what the daemon says of it.

    Attributes:
        kernel_killed: Pids that the kernel has killed, and when.
        rule_killed: How many a rule has ended.
        reloads: How many were taken.
    """

    kernel_killed: dict[int, float] = field(default_factory=dict)
    rule_killed: int = 0
    reloads: int = 0


class Players:
    """Everybody who does something.

    Attributes:
        stopping: Set when all are to end.

    Args:
        site: The daemon.
        names: What belongs to this run.
        port: Of the exporter.
        incidents: Knows which ones are there.
    """

    def __init__(self, site: Site, names: Names, port: int, incidents: IncidentWatch, scratch: Path) -> None:
        self.diary = Diary()
        self._site = site
        self._names = names
        self._port = port
        self._incidents = incidents
        self._scratch = scratch
        self._random = random.Random(0)
        self.stopping = threading.Event()
        self._variants = itertools.count(1)
        self._victims = itertools.cycle(_NAMES)
        self._commands = itertools.cycle(self._reading_commands())

    def activities(self) -> list[Activity]:
        """All of them, with how often each does what it does."""
        slow = scrapes.bad_manners(self._port)
        found = [
            Activity("reload", 25.0, self._reload),
            Activity("dump", 15.0, self._dump),
            Activity("SIGUSR1", 40.0, partial(os.kill, self._site.daemon.process.pid, signal.SIGUSR1)),
            Activity("read incidents", 3.0, self._read),
            Activity("look at incidents", 1.0, self._incidents.look),
            *(Activity(f"scrape {number}", 1.0, partial(scrapes.scrape, self._port)) for number in (1, 2, 3)),
            *(Activity(f"bad client {number}", 2.0, slow) for number in (1, 2)),
            Activity("come and go", 1.0, self._come_and_go),
        ]
        if children.is_root():
            found += [
                Activity("guests", 4.0, self._guest),
                Activity("ended by a rule", 15.0, self._leak),
                Activity("killed by the kernel", 20.0, self._eat),
            ]
        return found

    # ---- commands

    def _reload(self) -> None:
        number = next(self._variants)
        write_variant(self._site.config, number)
        result = self._site.command("reload")
        if is_wrong(number):
            write_variant(self._site.config, number + 1)
            if result.returncode != _REFUSED:
                raise Trouble(f"a wrong configuration was not refused: {_said(result)}")
        elif result.returncode != 0:
            raise Trouble(f"reload: {_said(result)}")
        else:
            self.diary.reloads += 1

    def _dump(self) -> None:
        result = self._site.command("dump", "--reason", "soak asks")
        if result.returncode != 0:
            raise Trouble(f"dump: {_said(result)}")

    def _read(self) -> None:
        names = self._incidents.names()
        if not names:
            return
        name = self._random.choice(names)
        allowed, command = next(self._commands)
        arguments = [name if word == "INCIDENT" else word for word in command]
        result = self._site.command(*arguments)
        pruned = "INCIDENT" in command and not (self._site.places.incidents / name).exists()
        if result.returncode not in (0, *allowed) and not pruned:
            raise Trouble(f"{' '.join(arguments)}: {_said(result)}")
        if b"Traceback" in result.stderr:
            raise Trouble(f"{' '.join(arguments)}: {result.stderr.decode(errors='replace')}")
        if "--json" in command and result.returncode == 0:
            json.loads(result.stdout)
        shutil.rmtree(self._scratch / "tree", ignore_errors=True)

    def _reading_commands(self) -> list[tuple[tuple[int, ...], list[str]]]:
        """Commands and the exit statuses that are no trouble beside 0."""
        config, tree = str(self._site.config), self._scratch / "tree"
        return [
            ((), ["incidents", "--json"]),
            ((), ["show", "last"]),
            ((), ["show", "--json", "INCIDENT"]),
            ((_GONE,), ["explain", "INCIDENT"]),  # of a dump it says that nothing was killed
            ((), ["status", "--json"]),
            ((_GONE,), ["explain", "--json", "INCIDENT"]),
            ((_MISSED, _REFUSED), ["backtest", "--json", "--config", config, "INCIDENT"]),
            ((), ["raw", "INCIDENT", "--source", "slabinfo"]),
            ((), ["signals", "--json"]),
            ((), ["procfs", "INCIDENT", str(tree), "--at", "0s"]),
            ((_REFUSED,), ["check", "--json", "--config", config]),
        ]

    # ---- processes and cgroups

    def _come_and_go(self) -> None:
        """Processes nobody watches, and a change of whom the pid file names."""
        for _ in range(10):
            subprocess.run(["true"], check=True, start_new_session=True)
        with children.child(stay_s=5) as process:
            beside = self._names.pid_file.with_suffix(".new")
            beside.write_text(f"{process.pid}\n")
            beside.rename(self._names.pid_file)
            time.sleep(self._random.uniform(0.1, 2.0))

    def _guest(self) -> None:
        """A watched cgroup with a watched process, which both go again."""
        with (
            children.cgroup(self._names.guest) as group,
            children.child(group, comm=WATCHED_COMM.encode(), most_mib=4),
        ):
            time.sleep(self._random.uniform(0.5, 4.0))

    def _leak(self) -> None:
        """A process that grows until a rule ends it."""
        group = children.memory_root() / self._names.leak.lstrip("/")
        with children.child(group, comm=b"soak-leak", most_mib=64, mib_per_s=32, stay_s=_RULE_S) as process:
            try:
                status = process.wait(_RULE_S)
            except subprocess.TimeoutExpired as error:
                raise Trouble("no rule has ended the process that grows") from error
        if status != -signal.SIGKILL:
            raise Trouble(f"the process that grows ended with status {status}")
        self.diary.rule_killed += 1

    def _eat(self) -> None:
        """A process that meets its cgroup's limit, in a cgroup that is watched, or in one that is not."""
        name = self._random.choice((self._names.limited, f"{self._names.limited}-unwatched"))
        with _turn(self.stopping), children.limited_cgroup(name) as group:
            time.sleep(self._random.uniform(0.0, 2.0))
            comm = next(self._victims)
            with children.child(group, comm=comm, most_mib=200, mib_per_s=100, stay_s=_KILL_S) as process:
                status = process.wait(_KILL_S)
            if status != -signal.SIGKILL:
                raise Trouble(f"the process that eats ended with status {status}")
            self.diary.kernel_killed[process.pid] = time.monotonic()

    def untold(self, patience_s: float = _TOLD_S) -> list[int]:
        """Processes killed by the kernel so long ago of which no incident tells."""
        now_s = time.monotonic()
        killed = self.diary.kernel_killed.items()
        return [
            pid for pid, at_s in killed if now_s - at_s > patience_s and pid not in self._incidents.killed
        ]


@contextmanager
def _turn(stopping: threading.Event) -> Iterator[None]:
    """Wait until no test on this machine minds a kill.

    Raises:
        Trouble: It is over before that.
    """
    try:
        lock = os.open(_TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield  # another user's lock, or no /dev/shm
        return
    try:
        while not _locked(lock):
            if stopping.wait(_POLL_S):
                raise Trouble("it was nobody's turn any more")
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(result: subprocess.CompletedProcess[bytes]) -> str:
    return f"status {result.returncode}: {result.stderr.decode(errors='replace').strip()}"

"""The model of a scenario: one way to harm a machine, as a small YAML file.

story: what happens, and what the question is, in a sentence or two
machine:
  memory: 512MiB         what the guest has
  cpus: 2
  arch: amd64            one of lab/image.py
  swap: none             none, {disk: 256MiB} or {zram: 256MiB}
  kernel_arguments: []   further words for the kernel's command line
  disk: {iops: 300, rate: 20MiB}   how fast the guest's disk is; without it, as fast as the host's
  clock: 2026-11-21T09:00:00       what its clock says when it starts; by default the host's time
  boots: 1               2: started again when it died, and asked what is left
setup: []                shell lines run before anything else, as root, in the guest
files: {/etc/some.conf: "text"}    laid over the guest's root file system before it boots
processes:
  NAME:                  becomes the unit lab-NAME.service
    role: harm           harm (ended when the run is over), innocent or critical (must live)
    run: eat.py --rate 0   a program of lab/harm, or a path in the guest, with its arguments
    at: 0s               when it starts, counted from the harm; left out: before, and it has settled by then
    count: 1             so many of them, NAME-1 to NAME-N
    oom_score_adj: 0
    properties: {MemoryMax: 64M}     of its unit's [Service] section
settle: 5s               how long all is left in peace before the harm, with the daemon running
duration: 60s            how long the harm may last; what is left of it is ended then
after: 5s                how long the machine is watched afterwards
end_with_harm: true      whether it is over, too, when all harmful processes have ended
monitor:                 what the host does meanwhile
  - {at: 5s, do: balloon, memory: 200MiB}
  - {at: 0s, do: disk, iops: 30, rate: 1MiB}   how fast the guest's disks are from then on
  - {at: 8s, do: quit}   the power cut; also stop, cont, nmi, and {do: command, execute: …, arguments: {…}}
logins: [1s, 10s]        when the host tries to log in meanwhile; it always does so before and afterwards
cron: false              whether cron must run its job afterwards (waits for it, up to a minute)
stream: false            every sample goes to the host at once: how far did a dying machine come?
critical: []             further units that must live, beside ssh.service and cron.service
collect: []              further files and directories of the guest that are brought home
cause: [tag, …]          what it is: verdicts of `memwatchd explain` that name it rightly
daemons: [none, …]       with which daemons it makes sense; by default with all
expect:                  what must be true of the result, for all, or for one daemon (lab/expect.py)
  all: ["critical.lost == []"]
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml

from lab import places
from lab.errors import ScenarioError
from lab.expect import Expectation
from memwatchd.units import parse_duration, parse_size

Role = Literal["harm", "innocent", "critical"]
ROLES = ("harm", "innocent", "critical")
DEEDS = ("balloon", "disk", "quit", "stop", "cont", "nmi", "command")
CRITICAL_UNITS = ("ssh.service", "cron.service", "systemd-journald.service", "dbus.service")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap of a guest; of no size where there is none."""

    kind: Literal["none", "disk", "zram"] = "none"
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """The guest's hardware; `iops` and `bytes_per_s` are None where the disk is not slowed down."""

    memory_bytes: int = 512 << 20
    cpus: int = 2
    arch: str = "amd64"
    swap: Swap = field(default_factory=Swap)
    kernel_arguments: tuple[str, ...] = ()
    iops: int | None = None
    bytes_per_s: int | None = None
    clock: str | None = None
    boots: int = 1


@dataclass(frozen=True, slots=True)
class Process:
    """One unit of the guest; `at_s` is None for what runs before the harm begins."""

    name: str
    role: Role
    run: str
    at_s: float | None
    oom_score_adj: int
    properties: Mapping[str, str]

    @property
    def unit(self) -> str:
        """The unit's name."""
        return f"lab-{self.name}.service"


@dataclass(frozen=True, slots=True)
class Moment:
    """What the host does at a moment of the harm, by qemu's monitor."""

    at_s: float
    do: str
    memory_bytes: int | None = None
    iops: int | None = None
    bytes_per_s: int | None = None
    execute: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to harm a machine."""

    name: str
    story: str
    machine: Machine
    processes: tuple[Process, ...]
    setup: tuple[str, ...]
    files: Mapping[str, str]
    settle_s: float
    duration_s: float
    after_s: float
    end_with_harm: bool
    monitor: tuple[Moment, ...]
    logins_s: tuple[float, ...]
    cron: bool
    stream: bool
    critical: tuple[str, ...]
    collect: tuple[str, ...]
    cause: tuple[str, ...]
    daemons: tuple[str, ...]
    expect: Mapping[str, tuple[Expectation, ...]]
    source: str = ""

    @property
    def critical_units(self) -> tuple[str, ...]:
        """Units that must live."""
        return (*CRITICAL_UNITS, *self.critical)

    def expectations(self, daemon: str) -> tuple[Expectation, ...]:
        """What must be true with a daemon."""
        return (*self.expect.get("all", ()), *self.expect.get(daemon, ()))


def load(name: str) -> Scenario:
    """Read a scenario.

    Args:
        name: Of a file in lab/scenarios, or a path ending in `.yaml`.

    Raises:
        ScenarioError: there is none, or something in it cannot be; with file and key.
    """
    path = Path(name) if name.endswith(".yaml") else places.SCENARIOS / f"{name}.yaml"
    try:
        text = path.read_text()
    except OSError as error:
        known = ", ".join(names())
        raise ScenarioError(f"no scenario {name}: {error.strerror}; there are: {known}") from error
    return parse(path.stem, text)


def names() -> list[str]:
    """All scenarios of this tree."""
    return sorted(path.stem for path in places.SCENARIOS.glob("*.yaml"))


def parse(name: str, text: str) -> Scenario:
    """Make a scenario of a file's text.

    Raises:
        ScenarioError: with the key that is wrong.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(f"{name}.yaml: not YAML: {error}") from error
    top = _Table(f"{name}.yaml", content)
    expect = _Table(f"{top.where}: expect", top.take("expect", {}))
    scenario = Scenario(
        name=name,
        story=top.text("story"),
        machine=_machine(top.table("machine")),
        processes=tuple(
            each for key, value in top.table("processes").items() for each in _process(key, value)
        ),
        setup=top.texts("setup"),
        files={key: str(value) for key, value in top.table("files").items()},
        settle_s=top.seconds("settle", 5.0),
        duration_s=top.seconds("duration", 60.0),
        after_s=top.seconds("after", 5.0),
        end_with_harm=top.flag("end_with_harm", True),
        monitor=tuple(
            sorted((_moment(each) for each in top.tables("monitor")), key=lambda moment: moment.at_s)
        ),
        logins_s=tuple(_seconds(each, f"{top.where}: logins") for each in top.take("logins", ["1s", "10s"])),
        cron=top.flag("cron", False),
        stream=top.flag("stream", False),
        critical=top.texts("critical"),
        collect=top.texts("collect"),
        cause=top.texts("cause"),
        daemons=top.texts("daemons"),
        expect={
            key: tuple(_expectation(each, expect.where) for each in value) for key, value in expect.items()
        },
        source=text,
    )
    top.close()
    return scenario


def _machine(table: "_Table") -> Machine:
    disk = table.table("disk")
    swap = table.take("swap", "none")
    machine = Machine(
        memory_bytes=table.size("memory", 512 << 20),
        cpus=table.number("cpus", 2),
        arch=str(table.take("arch", "amd64")),
        swap=_swap(swap, f"{table.where}: swap"),
        kernel_arguments=table.texts("kernel_arguments"),
        iops=disk.number("iops", 0) or None,
        bytes_per_s=disk.size("rate", 0) or None,
        clock=None if (clock := table.take("clock", None)) is None else str(clock).replace(" ", "T"),
        boots=table.number("boots", 1),
    )
    disk.close()
    table.close()
    return machine


def _swap(value: object, where: str) -> Swap:
    if value == "none":
        return Swap()
    table = _Table(where, value)
    kind = next(iter(table.items()), ("", ""))[0]
    if kind not in ("disk", "zram"):
        raise ScenarioError(f"{where}: expected none, {{disk: SIZE}} or {{zram: SIZE}}, not {value!r}")
    swap = Swap("disk" if kind == "disk" else "zram", table.size(kind, 0))
    table.close()
    return swap


def _process(name: str, value: object) -> list[Process]:
    table = _Table(f"processes: {name}", value)
    if not _NAME.fullmatch(name):
        raise ScenarioError(f"{table.where}: a name has small letters, digits and '-'")
    role = table.take("role", "harm")
    if role not in ROLES:
        raise ScenarioError(f"{table.where}: role: expected {', '.join(ROLES)}, not {role!r}")
    at = table.take("at", None)
    at_s = None if at is None else _seconds(at, f"{table.where}: at")
    run, adjustment = table.text("run"), table.number("oom_score_adj", 0)
    properties = {key: str(each) for key, each in table.table("properties").items()}
    count = table.number("count", 1)
    table.close()
    every = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
    return [Process(each, role, run, at_s, adjustment, properties) for each in every]


def _moment(table: "_Table") -> Moment:
    do = table.text("do")
    if do not in DEEDS:
        raise ScenarioError(f"{table.where}: do: expected {', '.join(DEEDS)}, not {do!r}")
    moment = Moment(
        at_s=table.seconds("at", 0.0),
        do=do,
        memory_bytes=table.size("memory", 0) if do == "balloon" else None,
        iops=table.number("iops", 0) or None if do == "disk" else None,
        bytes_per_s=table.size("rate", 0) or None if do == "disk" else None,
        execute=table.text("execute") if do == "command" else None,
        arguments=dict(table.table("arguments").items()),
    )
    table.close()
    return moment


def _expectation(value: object, where: str) -> Expectation:
    try:
        return Expectation.parse(str(value))
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from error


class _Table:
    """A mapping of which every key must be asked for."""

    def __init__(self, where: str, content: object) -> None:
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise ScenarioError(f"{where}: expected keys and values, not {content!r}")
        self.where = where
        self._left: dict[str, Any] = {str(key): value for key, value in content.items()}

    def take(self, key: str, default: Any) -> Any:
        return self._left.pop(key, default)

    def items(self) -> list[tuple[str, Any]]:
        return list(self._left.items())

    def text(self, key: str) -> str:
        value = self.take(key, None)
        if not isinstance(value, str) or not value.strip():
            self.wrong(key, "a text", value)
        return " ".join(value.split())

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key, [])
        if not isinstance(value, list):
            self.wrong(key, "a list", value)
        return tuple(str(each) for each in value)

    def table(self, key: str) -> "_Table":
        return _Table(f"{self.where}: {key}", self.take(key, {}))

    def tables(self, key: str) -> list["_Table"]:
        value = self.take(key, [])
        if not isinstance(value, list):
            self.wrong(key, "a list", value)
        return [_Table(f"{self.where}: {key}[{index}]", each) for index, each in enumerate(value)]

    def number(self, key: str, default: int) -> int:
        value = self.take(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(key, "a whole number", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.wrong(key, "true or false", value)
        return value

    def size(self, key: str, default: int) -> int:
        value = self.take(key, default)
        try:
            return parse_size(str(value))
        except ValueError as error:
            raise ScenarioError(f"{self.where}: {key}: {error}") from error

    def seconds(self, key: str, default: float) -> float:
        return _seconds(self.take(key, default), f"{self.where}: {key}")

    def wrong(self, key: str, expected: str, value: object) -> NoReturn:
        raise ScenarioError(f"{self.where}: {key}: expected {expected}, not {value!r}")

    def close(self) -> None:
        if self._left:
            raise ScenarioError(f"{self.where}: unknown: {', '.join(self._left)}")


def _seconds(value: object, where: str) -> float:
    try:
        return parse_duration(str(value)) / 1e9
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from error

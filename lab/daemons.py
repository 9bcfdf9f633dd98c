"""The daemons that are tried: how each is switched on, as its package has it.

All packages are in every image and all their units are off. A run masks every unit but those of its daemon,
and switches these on as `systemctl enable` would, so that they start with the machine. `memwatchd` is a wheel
of this tree, with its unit, as a user would have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab import places
from lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Daemon:
    """How one daemon is run.

    Attributes:
        units: What must be active; the first is enabled.
        aliases: Further names that enabling makes, with the unit they stand for.
        files: Laid over the guest's root file system, where the package's own settings cannot work here.
        wheel: Whether memwatchd is installed.
        collect: What it leaves behind.
        report: Commands whose output is brought home.
        note: What the reader of a table should know.
    """

    name: str
    units: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    wheel: bool = False
    collect: tuple[str, ...] = ()
    report: tuple[tuple[str, ...], ...] = ()
    note: str = ""


# Its packaged options point to the hybrid hierarchy; its own comment says to drop them with the unified one.
_OOMD_DEFAULTS = 'DAEMON_OPTS="--interval 1 --config /etc/oomd/oomd.json"\n'


def _memwatchd(name: str, note: str, drop_ins: Mapping[str, str]) -> Daemon:
    return Daemon(
        name=name,
        units=("memwatchd.service",),
        files={f"/etc/memwatchd/conf.d/{key}": text for key, text in drop_ins.items()},
        wheel=True,
        collect=("/var/lib/memwatchd", "/run/memwatchd/state.json"),
        report=(("memwatchd", "status", "--json"),),
        note=note,
    )


def _all() -> tuple[Daemon, ...]:
    last_resort = (places.PROJECT / "src/memwatchd/etc/policies/last-resort-kill.yaml").read_text()
    return (
        Daemon("none", note="the kernel alone"),
        Daemon("earlyoom", units=("earlyoom.service",), note="Debian's package with its defaults"),
        Daemon("nohang", units=("nohang.service",), note="Debian's package with its defaults"),
        Daemon(
            "systemd-oomd",
            units=("systemd-oomd.service", "systemd-oomd.socket"),
            aliases={"dbus-org.freedesktop.oom1.service": "/lib/systemd/system/systemd-oomd.service"},
            report=(("oomctl", "dump"),),
            note="Debian's package with its defaults, which include those for slices",
        ),
        Daemon(
            "oomd",
            units=("oomd.service",),
            files={"/etc/default/oomd": _OOMD_DEFAULTS},
            note="Debian's package; its options for the unified hierarchy as its own file says",
        ),
        _memwatchd("memwatchd", "a wheel of this tree, its unit, the policy that comes with it", {}),
        _memwatchd(
            "memwatchd-last-resort",
            "the same with policies/last-resort-kill.yaml in conf.d",
            {"last-resort-kill.yaml": last_resort},
        ),
    )


DAEMONS = {daemon.name: daemon for daemon in _all()}


def find(name: str) -> Daemon:
    """A daemon by name.

    Raises:
        LabError: there is none of that name.
    """
    if name not in DAEMONS:
        raise LabError(f"no daemon {name}; there are: {', '.join(DAEMONS)}")
    return DAEMONS[name]


def foreign_units(daemon: Daemon) -> tuple[str, ...]:
    """Units of all other daemons, which must not run beside it."""
    others = {unit for each in DAEMONS.values() for unit in each.units} | {"nohang-desktop.service"}
    return tuple(sorted(others - set(daemon.units)))

"""What a unit's sandbox lets through, and which of its directives stands in the way of what.

Derived from the unit's text alone, by systemd.exec(5) of systemd 252, so that it can be asked before anything
is installed; inside of the sandbox the daemon tries the same things for real when it starts
(`memwatchd.service.acting.missing_rights`). Paths follow systemd's own rule: the longest path that was
mentioned counts, and of two directives for the same path the stricter one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from memwatchd.service.unitfile import Unit

_KMSG = "/dev/kmsg"
# What of /proc and /sys ProtectKernelTunables= makes read-only (namespace.c in systemd).
_TUNABLES = (
    *("/proc/acpi", "/proc/apm", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/latency_stats"),
    *("/proc/mtrr", "/proc/scsi", "/proc/sys", "/proc/sysrq-trigger", "/proc/timer_stats", "/sys"),
)
_HOMES = ("/home", "/root", "/run/user")
# ProtectSystem=strict leaves these alone.
_APART = ("/dev", "/proc", "/sys")
# For the calls asked about here: the groups they are in (systemd-analyze syscall-filter).
_SERVICE = ("@system-service", "@known")
_GROUPS = {
    "swapon": ("@swap", "@privileged", "@known"),
    "swapoff": ("@swap", "@privileged", "@known"),
    "reboot": ("@reboot", "@privileged", "@known"),
    "pidfd_open": ("@process", *_SERVICE),
    "pidfd_send_signal": ("@process", *_SERVICE),
    "process_mrelease": ("@known",),
    "sched_setscheduler": ("@resources", *_SERVICE),
    "mlockall": ("@memlock", *_SERVICE),
}
# The stricter one first, as systemd sorts them.
_INACCESSIBLE, _READ_ONLY, _WRITABLE = range(3)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something a unit does not let through.

    Attributes:
        what: In words, as the kernel would put it: ``CAP_KILL``, ``/proc/sysrq-trigger: read-only``.
        directive: What is in the way: ``CapabilityBoundingSet= lacks it``.
        remedy: The line for a drop-in that lets it through.
    """

    what: str
    directive: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Answers what may be done inside of a unit; each question gives what is in the way, or None."""

    unit: Unit

    @property
    def is_root(self) -> bool:
        """Whether the service runs as root."""
        return self.unit.value("User", "root") in ("root", "0") and not self.unit.flag("DynamicUser")

    def root(self) -> Obstacle | None:
        """Whether it is root, whom the kernel asks for and no capability."""
        if self.is_root:
            return None
        if self.unit.flag("DynamicUser"):
            return Obstacle("uid 0", "DynamicUser=yes", "DynamicUser=no")
        return Obstacle("uid 0", f"User={self.unit.value('User')}", "User=")

    def capability(self, name: str) -> Obstacle | None:
        """Whether it has a capability, such as CAP_KILL."""
        if not self._in_set("CapabilityBoundingSet", name, default=True):
            said = "CapabilityBoundingSet= lacks it"
            return Obstacle(name, said, f"CapabilityBoundingSet={name}")
        if not self.is_root and not self._in_set("AmbientCapabilities", name, default=False):
            return Obstacle(name, "AmbientCapabilities= lacks it", f"AmbientCapabilities={name}")
        return None

    def system_call(self, name: str) -> Obstacle | None:
        """Whether the filter of system calls lets one of `_GROUPS` through."""
        groups = {name, *_GROUPS[name]}
        allowed, listed = True, ""
        for value in self.unit.values("SystemCallFilter"):
            words = {word.partition(":")[0] for word in value.removeprefix("~").split()}
            if not listed:
                listed = "forbidden" if value.startswith("~") else "allowed"
                allowed = listed == "forbidden"
            if words & groups:
                allowed = not value.startswith("~")
        if allowed:
            return None
        return Obstacle(f"{name}(2)", "SystemCallFilter= does not let it through", f"SystemCallFilter={name}")

    def family(self, name: str) -> Obstacle | None:
        """Whether sockets of an address family may be made, such as AF_UNIX."""
        values = self.unit.values("RestrictAddressFamilies")
        words = {word for value in values for word in value.removeprefix("~").split()}
        forbids = bool(values) and values[0].startswith("~")
        if not values or (name in words) != forbids:
            return None
        remedy = f"RestrictAddressFamilies={name}"
        return Obstacle(f"{name} sockets", "RestrictAddressFamilies= does not let them through", remedy)

    def writable(self, path: str) -> Obstacle | None:
        """Whether a file may be written, as far as mounts go."""
        mode, directive = self._mode(path)
        if mode == _WRITABLE:
            return None
        wall = f"{directive} makes it {'read-only' if mode == _READ_ONLY else 'invisible'}"
        return Obstacle(path, wall, self._remedy(path, directive))

    def readable(self, path: str) -> Obstacle | None:
        """Whether a file can be seen at all."""
        mode, directive = self._mode(path)
        if mode != _INACCESSIBLE:
            return None
        return Obstacle(path, f"{directive} makes it invisible", self._remedy(path, directive))

    def realtime(self) -> Obstacle | None:
        """Whether SCHED_FIFO may be asked for."""
        if self.unit.flag("RestrictRealtime"):
            return Obstacle("SCHED_FIFO", "RestrictRealtime=yes refuses it", "RestrictRealtime=no")
        return self.capability("CAP_SYS_NICE") or self.system_call("sched_setscheduler")

    def locked_memory(self) -> Obstacle | None:
        """Whether all memory may be locked."""
        if self.unit.value("LimitMEMLOCK") == "infinity":
            return self.system_call("mlockall")
        return self.capability("CAP_IPC_LOCK") or self.system_call("mlockall")

    def kernel_log(self) -> Obstacle | None:
        """Whether the kernel's messages can be read."""
        for name in ("ProtectKernelLogs", "PrivateDevices"):
            if self.unit.flag(name):
                return Obstacle(_KMSG, f"{name}=yes hides it", f"{name}=no")
        allowed = [value.split() for value in self.unit.values("DeviceAllow")]
        narrow = allowed or self.unit.value("DevicePolicy", "auto") != "auto"
        ours = ["".join(words[1:]) or "rwm" for words in allowed if words[0] == _KMSG]
        if narrow and not any("r" in modes for modes in ours):
            return Obstacle(_KMSG, "DeviceAllow= lacks it", f"DeviceAllow={_KMSG} r")
        return self.capability("CAP_SYSLOG")

    def _in_set(self, directive: str, name: str, *, default: bool) -> bool:
        """Whether a name is in a set of which lines add, or take away when they begin with a tilde."""
        # A last empty line means the empty set, and not that nothing was said.
        said = [value for key, value in self.unit.assignments if key == directive]
        if said and not said[-1]:
            return False
        values = self.unit.values(directive)
        present = default if not values else values[0].startswith("~")
        for value in values:
            if name in value.removeprefix("~").split():
                present = not value.startswith("~")
        return present

    def _mode(self, path: str) -> tuple[int, str]:
        asked = PurePosixPath(path)
        best, found = -1, (_WRITABLE, "")
        for place, mode, directive in self._mounts():
            depth = len(PurePosixPath(place).parts)
            if asked.is_relative_to(place) and (depth > best or (depth == best and mode < found[0])):
                best, found = depth, (mode, directive)
        return found

    def _mounts(self) -> Iterator[tuple[str, int, str]]:
        """Paths that the unit says something about: how they are, and by which directive."""
        yield from self._system()
        home = self.unit.value("ProtectHome", "no")
        if home not in ("no", "false", "0"):
            mode = _READ_ONLY if home == "read-only" else _INACCESSIBLE
            yield from ((each, mode, f"ProtectHome={home}") for each in _HOMES)
        if self.unit.flag("ProtectKernelTunables"):
            yield from ((each, _READ_ONLY, "ProtectKernelTunables=yes") for each in _TUNABLES)
            yield "/sys/fs/cgroup", _WRITABLE, "ProtectControlGroups=no"
        if self.unit.flag("ProtectControlGroups"):
            yield "/sys/fs/cgroup", _READ_ONLY, "ProtectControlGroups=yes"
        for name, parent in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            yield from ((f"{parent}/{each}", _WRITABLE, f"{name}=") for each in self.unit.words(name))
        if self.unit.flag("PrivateTmp"):
            yield from ((each, _WRITABLE, "PrivateTmp=yes") for each in ("/tmp", "/var/tmp"))  # noqa: S108
        modes = {"InaccessiblePaths": _INACCESSIBLE, "ReadOnlyPaths": _READ_ONLY, "ReadWritePaths": _WRITABLE}
        for name, mode in modes.items():
            yield from ((each.lstrip("-+"), mode, f"{name}=") for each in self.unit.words(name))

    def _system(self) -> Iterator[tuple[str, int, str]]:
        system = self.unit.value("ProtectSystem", "no").lower()
        if system == "strict":
            yield "/", _READ_ONLY, "ProtectSystem=strict"
            yield from ((each, _WRITABLE, "") for each in _APART)
        elif system not in ("no", "false", "0", "off"):
            places = ("/usr", "/boot", "/efi", *(("/etc",) if system == "full" else ()))
            yield from ((each, _READ_ONLY, f"ProtectSystem={system}") for each in places)

    def _remedy(self, path: str, directive: str) -> str:
        name = directive.partition("=")[0]
        if name == "ProtectControlGroups" or path in _TUNABLES:
            # Of two directives for one path the stricter one counts: ReadWritePaths= would not help.
            return f"{name}=no"
        parent = str(PurePosixPath(path).parent)
        return f"ReadWritePaths={path if parent == '/' or parent in _APART else parent}"

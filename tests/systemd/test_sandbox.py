"""What a unit's directives let through."""

from pathlib import Path

import pytest

from memwatchd.service.sandbox import Obstacle, Sandbox
from memwatchd.service.unitfile import Unit


def sandbox(*lines: str) -> Sandbox:
    pairs = (line.partition("=") for line in lines)
    return Sandbox(Unit("x.service", (Path("x.service"),), tuple((name, value) for name, _, value in pairs)))


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        ((), True),
        (("CapabilityBoundingSet=CAP_KILL CAP_SYSLOG",), True),
        (("CapabilityBoundingSet=CAP_SYSLOG",), False),
        (("CapabilityBoundingSet=CAP_SYSLOG", "CapabilityBoundingSet=CAP_KILL"), True),
        (("CapabilityBoundingSet=CAP_KILL", "CapabilityBoundingSet="), False),
        (("CapabilityBoundingSet=", "CapabilityBoundingSet=CAP_KILL"), True),
        (("CapabilityBoundingSet=~CAP_KILL",), False),
        (("CapabilityBoundingSet=~CAP_SYSLOG",), True),
        (("CapabilityBoundingSet=CAP_KILL CAP_SYSLOG", "CapabilityBoundingSet=~CAP_KILL"), False),
        (("DynamicUser=yes",), False),
        (("User=nobody", "AmbientCapabilities=CAP_KILL"), True),
        (("User=0",), True),
    ],
)
def test_capabilities(lines: tuple[str, ...], allowed: bool) -> None:
    """An action would be called possible, and fail in the night."""
    assert (sandbox(*lines).capability("CAP_KILL") is None) is allowed


@pytest.mark.parametrize(
    ("lines", "call", "allowed"),
    [
        ((), "swapon", True),
        (("SystemCallFilter=@system-service",), "swapon", False),
        (("SystemCallFilter=@system-service",), "pidfd_send_signal", True),
        (("SystemCallFilter=@system-service",), "process_mrelease", False),
        (("SystemCallFilter=@system-service process_mrelease:EPERM",), "process_mrelease", True),
        (("SystemCallFilter=@system-service", "SystemCallFilter=@swap"), "swapon", True),
        (("SystemCallFilter=@system-service", "SystemCallFilter=~@resources"), "sched_setscheduler", False),
        (("SystemCallFilter=~@swap",), "swapon", False),
        (("SystemCallFilter=~@swap",), "reboot", True),
        (("SystemCallFilter=~@privileged", "SystemCallFilter=reboot"), "reboot", True),
        (("SystemCallFilter=@swap", "SystemCallFilter="), "reboot", True),
    ],
)
def test_system_calls(lines: tuple[str, ...], call: str, allowed: bool) -> None:
    """A call would be refused by the filter that was said to be let through."""
    assert (sandbox(*lines).system_call(call) is None) is allowed


STRICT = ("ProtectSystem=strict", "ProtectKernelTunables=yes")


@pytest.mark.parametrize(
    ("lines", "path", "wall"),
    [
        ((), "/proc/sys/vm/drop_caches", None),
        (STRICT, "/proc/sys/vm/drop_caches", "ProtectKernelTunables=yes"),
        ((*STRICT, "ReadWritePaths=/proc/sys/vm"), "/proc/sys/vm/drop_caches", None),
        ((*STRICT, "ReadWritePaths=/proc/sys"), "/proc/sys/vm/drop_caches", "ProtectKernelTunables=yes"),
        ((*STRICT, "ReadWritePaths=/proc/sysrq-trigger"), "/proc/sysrq-trigger", "ProtectKernelTunables=yes"),
        (("ProtectSystem=strict",), "/proc/sysrq-trigger", None),
        (STRICT, "/sys/fs/cgroup/a/memory.reclaim", None),
        (
            (*STRICT, "ProtectControlGroups=yes"),
            "/sys/fs/cgroup/a/memory.reclaim",
            "ProtectControlGroups=yes",
        ),
        (STRICT, "/sys/module/zfs/parameters/zfs_arc_max", "ProtectKernelTunables=yes"),
        ((*STRICT, "ReadWritePaths=-/sys/module"), "/sys/module/zfs/parameters/zfs_arc_max", None),
        (STRICT, "/var/lib/memwatchd/incidents", "ProtectSystem=strict"),
        ((*STRICT, "StateDirectory=memwatchd"), "/var/lib/memwatchd/incidents", None),
        ((*STRICT, "RuntimeDirectory=a memwatchd"), "/run/memwatchd/ring", None),
        (("ProtectSystem=full",), "/etc/x", "ProtectSystem=full"),
        (("ProtectSystem=yes",), "/etc/x", None),
        (("ProtectHome=read-only",), "/home/swap", "ProtectHome=read-only"),
        (("ReadOnlyPaths=/srv", "ReadWritePaths=/srv/a"), "/srv/a/swap", None),
        (("ReadWritePaths=/srv", "ReadOnlyPaths=/srv"), "/srv/swap", "ReadOnlyPaths="),
        (("PrivateTmp=yes", *STRICT), "/tmp/x", None),
    ],
)
def test_writing(lines: tuple[str, ...], path: str, wall: str | None) -> None:
    """The wrong directive would be taken away, and a sandbox be opened for nothing."""
    found = sandbox(*lines).writable(path)
    assert (found and found.directive.partition(" ")[0]) == wall


def test_what_helps_is_a_line_for_a_drop_in() -> None:
    """An administrator would have to read systemd.exec(5) first."""
    box = sandbox(*STRICT, "ProtectControlGroups=yes")
    assert box.writable("/proc/sysrq-trigger") == Obstacle(
        "/proc/sysrq-trigger",
        "ProtectKernelTunables=yes makes it read-only",
        "ProtectKernelTunables=no",
    )
    assert [found and found.remedy for found in map(box.writable, ("/srv/a/swap", "/sys/fs/cgroup/a"))] == [
        "ReadWritePaths=/srv/a",
        "ProtectControlGroups=no",
    ]


@pytest.mark.parametrize(
    ("lines", "wall"),
    [
        ((), None),
        (("ProtectKernelLogs=yes",), "ProtectKernelLogs=yes"),
        (("PrivateDevices=yes",), "PrivateDevices=yes"),
        (("DevicePolicy=closed",), "DeviceAllow="),
        (("DevicePolicy=closed", "DeviceAllow=/dev/kmsg r"), None),
        (("DeviceAllow=/dev/kmsg w",), "DeviceAllow="),
        (("CapabilityBoundingSet=CAP_KILL",), "CapabilityBoundingSet="),
    ],
)
def test_the_kernel_s_messages(lines: tuple[str, ...], wall: str | None) -> None:
    """Victims would remain unnamed, and nobody would know which line is to blame."""
    found = sandbox(*lines).kernel_log()
    assert (found and found.directive.partition(" ")[0]) == wall


def test_real_time_and_locked_memory() -> None:
    """Samples would come late, or from swap."""
    assert sandbox("RestrictRealtime=yes").realtime() is not None
    assert sandbox("CapabilityBoundingSet=CAP_KILL", "LimitMEMLOCK=infinity").locked_memory() is None
    assert sandbox("CapabilityBoundingSet=CAP_KILL").locked_memory() is not None


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        ((), True),
        (("RestrictAddressFamilies=AF_UNIX",), True),
        (("RestrictAddressFamilies=AF_INET",), False),
        (("RestrictAddressFamilies=AF_INET", "RestrictAddressFamilies=AF_UNIX"), True),
        (("RestrictAddressFamilies=~AF_UNIX",), False),
        (("RestrictAddressFamilies=~AF_INET",), True),
    ],
)
def test_sockets(lines: tuple[str, ...], allowed: bool) -> None:
    """No rule could ask systemd to stop a unit."""
    assert (sandbox(*lines).family("AF_UNIX") is None) is allowed


def test_a_path_that_is_hidden() -> None:
    """The page cache of home directories would stay, and nobody would know why."""
    assert sandbox("ProtectHome=yes").readable("/home/a") is not None
    assert sandbox("ProtectHome=read-only").readable("/home/a") is None
    assert sandbox("InaccessiblePaths=-/srv").readable("/srv/a") is not None

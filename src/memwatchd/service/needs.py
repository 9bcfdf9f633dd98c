"""What the daemon, and each action a configuration switches on, needs of the sandbox it runs in."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from memwatchd.actions.base import Action
from memwatchd.actions.selection import Selection
from memwatchd.config.model import Config
from memwatchd.service.acting import active_rules
from memwatchd.service.sandbox import Obstacle, Sandbox

_CGROUPS = "/sys/fs/cgroup/system.slice"
_OUR_STATE = "/var/lib/memwatchd/incidents"

Found = Iterator[Obstacle | None]
Asks = Callable[[Any, Sandbox], Found]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a sandbox refuses to whom.

    Attributes:
        who: ``rule zone-slab: drop_caches``, or a section of the configuration.
    """

    who: str
    obstacle: Obstacle

    def __str__(self) -> str:
        return f"{self.who}: {self.obstacle.what}: {self.obstacle.directive}"


def refusals(config: Config, sandbox: Sandbox) -> list[Refusal]:
    """Say what a sandbox keeps this configuration from doing."""
    found = [Refusal(who, each) for who, each in _of_the_daemon(config, sandbox) if each is not None]
    for rule in active_rules(config):
        for step in rule.actions:
            who = f"rule {rule.name}: {step.action.name}"
            found += [Refusal(who, each) for each in _asked(step.action, sandbox) if each is not None]
    return list(dict.fromkeys(found))


def drop_in(found: Iterable[Refusal]) -> str:
    """Write the drop-in that lets all of it through."""
    words: dict[str, dict[str, None]] = {}
    for each in found:
        name, _, value = each.obstacle.remedy.partition("=")
        words.setdefault(name, {})[value] = None
    return "\n".join(["[Service]", *(f"{name}={' '.join(values)}" for name, values in words.items())])


def _asked(action: Action, sandbox: Sandbox) -> Found:
    yield from NEEDS[action.name](action, sandbox)
    select = getattr(action, "select", None)
    if isinstance(select, Selection) and (select.exe or select.prefer or select.never):
        yield sandbox.capability("CAP_SYS_PTRACE")


def _of_the_daemon(config: Config, sandbox: Sandbox) -> Iterator[tuple[str, Obstacle | None]]:
    sampling = config.sampling
    if sampling.realtime_priority:
        yield "sampling.realtime_priority", sandbox.realtime()
    if sampling.lock_memory:
        yield "sampling.lock_memory", sandbox.locked_memory()
    yield "kernel messages", sandbox.kernel_log()
    if config.sampling.sources.slabinfo.mode != "off" and not sandbox.is_root:
        yield "sampling.sources.slabinfo", sandbox.capability("CAP_DAC_READ_SEARCH")
    yield "incidents", sandbox.writable(_OUR_STATE)
    if config.protect.enabled:
        for each in _lowers(sandbox):
            yield "protect", each
    if config.exporter.enabled and "--no-exporter" not in sandbox.unit.command():
        yield "exporter", sandbox.family("AF_INET")


def _file(path: str) -> Asks:
    def ask(_action: Action, sandbox: Sandbox) -> Found:
        yield sandbox.root()
        yield sandbox.writable(path)

    return ask


def _groups(_action: Action, sandbox: Sandbox) -> Found:
    yield sandbox.writable(_CGROUPS)
    if not sandbox.is_root:
        yield sandbox.capability("CAP_DAC_OVERRIDE")


def _signals(_action: Action, sandbox: Sandbox) -> Found:
    yield sandbox.capability("CAP_KILL")
    for call in ("pidfd_open", "pidfd_send_signal"):
        yield sandbox.system_call(call)


def _lowers(sandbox: Sandbox) -> Found:
    yield sandbox.capability("CAP_DAC_OVERRIDE")
    yield sandbox.capability("CAP_SYS_RESOURCE")


def _compact(action: Any, sandbox: Sandbox) -> Found:
    where = "/proc/sys/vm/compact_memory"
    if action.node is not None:
        where = f"/sys/devices/system/node/node{action.node}/compact"
    yield from _file(where)(action, sandbox)


def _sysctl(action: Any, sandbox: Sandbox) -> Found:
    yield from _file(f"/proc/{'/'.join(['sys', *action.setting.split('.')])}")(action, sandbox)


def _freeze(action: Any, sandbox: Sandbox) -> Found:
    yield from _signals(action, sandbox)
    if action.how != "process":
        yield from _groups(action, sandbox)


def _kill(action: Any, sandbox: Sandbox) -> Found:
    yield from _signals(action, sandbox)
    yield sandbox.system_call("process_mrelease")
    if action.whole_cgroup:
        yield from _groups(action, sandbox)


def _limit(action: Any, sandbox: Sandbox) -> Found:
    if action.what in ("high", "max"):
        yield from _groups(action, sandbox)
    else:
        yield sandbox.capability("CAP_SYS_RESOURCE")


def _oom_score_adj(action: Any, sandbox: Sandbox) -> Found:
    yield sandbox.capability("CAP_DAC_OVERRIDE")
    if action.raise_by is None:
        yield sandbox.capability("CAP_SYS_RESOURCE")


def _swap_on(action: Any, sandbox: Sandbox) -> Found:
    yield sandbox.capability("CAP_SYS_ADMIN")
    for call in ("swapon", "swapoff"):
        yield sandbox.system_call(call)
    yield sandbox.writable(str(action.path))


def _reboot(action: Any, sandbox: Sandbox) -> Found:
    if action.how == "at_once":
        yield sandbox.capability("CAP_SYS_BOOT")
        yield sandbox.system_call("reboot")
    else:
        yield from _units(action, sandbox)


def _units(_action: Action, sandbox: Sandbox) -> Found:
    yield sandbox.root()
    yield sandbox.family("AF_UNIX")


def _evict_files(action: Any, sandbox: Sandbox) -> Found:
    for path in action.paths:
        yield sandbox.readable(path)
    yield sandbox.capability("CAP_DAC_READ_SEARCH")


def _hook(action: Any, sandbox: Sandbox) -> Found:
    yield sandbox.readable(str(action.program))


def _notify(action: Any, sandbox: Sandbox) -> Found:
    if action.socket is not None:
        yield sandbox.family("AF_UNIX")
        yield sandbox.readable(str(action.socket))


def _nothing(_action: Action, _sandbox: Sandbox) -> Found:
    yield from ()


# By the name of the action; every action has its line (tests/systemd/test_needs.py).
NEEDS: dict[str, Asks] = {
    "compact": _compact,
    "drop_caches": _file("/proc/sys/vm/drop_caches"),
    "dump": _nothing,
    "evict_files": _evict_files,
    "freeze": _freeze,
    "hook": _hook,
    "kill": _kill,
    "limit": _limit,
    "log": _nothing,
    "notify": _notify,
    "oom_score_adj": _oom_score_adj,
    "panic": _file("/proc/sysrq-trigger"),
    "reboot": _reboot,
    "reclaim": _groups,
    "restart_unit": _units,
    "signal": _signals,
    "stop_unit": _units,
    "swap_on": _swap_on,
    "sysctl": _sysctl,
    "sysrq": _file("/proc/sysrq-trigger"),
    "thaw": _signals,
    "zfs_arc": _file("/sys/module/zfs/parameters/zfs_arc_max"),
}

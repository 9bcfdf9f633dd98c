"""Processes the machine cannot be rescued without: kept from the OOM killer for as long as the daemon runs.

Not an action of a rule but a standing list. About once a second every matching process gets a low
oom_score_adj, when it was restarted or newly started as well. That value is for the service and not for what
it starts: the kernel hands it down at fork, so descendants get their former value back, be they login
sessions of sshd, jobs of cron or the payload of containerd.

Names are anybody's to choose. What is on the standing list is therefore only looked for where the system's
own services are: in the root cgroup as a system user, in a service of system.slice or of OpenRC; not in a
scope and not below a service, where logins and containers live. What the administrator adds is taken at its
word everywhere.
"""

import errno
import re
from contextlib import suppress
from dataclasses import dataclass, field

from memwatchd.actions.base import World
from memwatchd.actions.changes import Change
from memwatchd.actions.oom_score_adj import FILE, Adjustment, OomScoreAdj, adjust
from memwatchd.actions.selection import matches_comm, matches_exe, matches_unit
from memwatchd.actions.table import list_pids, parsed_memberships, read_exe, unit_path, units_on
from memwatchd.errors import ParseError
from memwatchd.kernel.directory import Directory
from memwatchd.kernel.processes import CAP_DAC_OVERRIDE, Identity, has_capability, open_process, read_stat
from memwatchd.keys import Kind, key
from memwatchd.procfs.process import parse_status
from memwatchd.units import printable

# No rule can have this name.
RULE = "(protect)"
DEFAULT_LIST = (
    "sshd",
    "dropbear",
    "cron",
    "crond",
    "systemd-*",
    "dbus-daemon",
    "dbus-broker*",
    "rsyslogd",
    "syslog-ng",
    "agetty",
    "NetworkManager",
    "containerd",
    "dockerd",
    "crio",
    "kubelet",
    "qemu-ga",
)

# So many rounds long a process may change its name by exec before the name is believed.
_YOUNG_ROUNDS = 5
# Of those that are believed, every so many-th is read again in a round.
_SHARES = 10
_FIRST_USER = 1000
# What was refused is tried again after so many rounds.
_RETRY_ROUNDS = 60
_UNIT_NAME = re.compile(r".+\.(service|scope|slice|socket|mount|swap)")
# Not below a service, where a container may live; but two of systemd's own keep themselves apart there.
_SERVICE_PATH = re.compile(
    r"/system\.slice/(?:[^/]+\.slice/)*[^/]+\.service(?:/(?:udev|supervisor))?|/openrc[./][^/]+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protect:
    """The standing list."""

    enabled: bool = field(
        default=True,
        metadata=key("enabled", Kind.BOOLEAN, "Whether anything is protected at all.", example="true"),
    )
    oom_score_adj: int = field(
        default=-900,
        metadata=key(
            "oom_score_adj",
            Kind.INTEGER,
            "What they get; who has less already keeps it.",
            example="-900",
            minimum=-999,
            maximum=1000,
            why="-1000 would leave a leaking service unkillable",
        ),
    )
    names: tuple[str, ...] = field(
        default=DEFAULT_LIST,
        metadata=key(
            "list",
            Kind.WORDS,
            "System services by comm, by unit (sshd.service) or by program (/usr/sbin/sshd); * and ? stand "
            "for anything.",
            example="sshd",
            maximum=256,
        ),
    )
    also: tuple[str, ...] = field(
        default=(),
        metadata=key(
            "also",
            Kind.WORDS,
            "More of them, wherever they run; a comm is anybody's to take, so units or programs are better.",
            example="/usr/sbin/mysqld",
            maximum=256,
        ),
    )

    def wanted_as(self, seen: "Seen") -> str | None:
        """The pattern by which a process is on the list; None when it is not."""
        for glob in self.also:
            if _matches(glob, seen):
                return glob
        for glob in self.names:
            if _matches(glob, seen) and seen.of_the_system:
                return glob
        return None


@dataclass(slots=True)
class Seen:
    """What is remembered of a process.

    Attributes:
        ppid: Its parent when it was first seen: the family of an orphan is known by that.
        since: Number of the round in which it was first seen.
        comm: Empty for a kernel thread, as `path` is.
        exe: None where it is not known.
        path: Its cgroup.
        system_user: Whether it belongs to a system user.
        glob: The pattern by which it is on the list.
        is_session: Whether its parent is, or was, on the list by the same pattern.
        checked: Whether it has been looked at for an inherited value; only a fork hands one down.
        heir_of: What it has inherited, and was freed of.
    """

    identity: Identity
    ppid: int
    since: int
    comm: str = ""
    exe: str | None = None
    path: str = ""
    system_user: bool = False
    glob: str | None = None
    is_session: bool = False
    checked: bool = False
    heir_of: Adjustment | None = None

    @property
    def of_the_system(self) -> bool:
        """Whether it runs where only the system's own services do."""
        if self.path in ("", "/", "/init.scope"):
            return self.system_user
        return _SERVICE_PATH.fullmatch(self.path) is not None

    @property
    def listed(self) -> bool:
        """Whether it is to be protected."""
        return self.glob is not None and not self.is_session and self.identity.pid != 1

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{printable(self.comm)} (pid {self.identity.pid})"


class Protector:
    """Keeps the listed processes at their low value; not thread-safe.

    Attributes:
        section: What is protected; may be replaced between rounds.
        problem: What the kernel refuses, in one sentence; None as long as it refuses nothing.
    """

    def __init__(self, section: Protect) -> None:
        self.section = section
        self.problem: str | None = None
        self._matched_by = section
        self._seen: dict[int, Seen] = {}
        self._round = 0
        self._refused: set[Identity] = set()

    def round(self, world: World) -> None:
        """Look once at what is new, and put right what is not as it should be.

        Raises:
            OSError: /proc cannot be listed, or a change cannot be struck off.
        """
        self._round += 1
        if self._round % _RETRY_ROUNDS == 0 or self._matched_by is not self.section:
            self._refused.clear()
            self.problem = None
        self._look(world)
        listed = {seen.identity: seen for seen in self._seen.values() if seen.listed and self.section.enabled}
        held = self._held(world)
        for identity, (change, done) in list(held.items()):
            if identity not in listed or done.new != self.section.oom_score_adj:
                del held[identity]
                _release(world, change)
        for identity, seen in listed.items():
            self._hold(world, seen, identity in held)
        self._free_heirs(world)

    def stop(self, world: World) -> None:
        """Put everything back.

        Raises:
            OSError: A change cannot be struck off, or the kernel refuses; the rest has been tried.
        """
        refusal: OSError | None = None
        for change, _ in self._held(world).values():
            try:
                _release(world, change)
            except OSError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    # ---- looking

    def _look(self, world: World) -> None:
        pids = set(list_pids(world.roots)) - world.own_pids()
        for pid in self._seen.keys() - pids:
            del self._seen[pid]
        for pid in sorted(pids):
            known = self._seen.get(pid)
            if known is None or self._may_have_changed(known):
                path = f"{world.roots.procfs}/{pid}"
                with suppress(OSError, ParseError), Directory.open(path) as directory:
                    self._read(pid, directory, known)
        if self._matched_by is not self.section:
            self._matched_by = self.section
            for seen in self._seen.values():
                seen.glob = self.section.wanted_as(seen)
        for seen in self._seen.values():
            parent = self._parent(seen) if seen.glob is not None else None
            if parent is not None and parent.glob == seen.glob:
                # For ever: when the service is restarted, its sessions become init's children.
                seen.is_session = True

    def _may_have_changed(self, known: Seen) -> bool:
        young = known.since > self._round - _YOUNG_ROUNDS
        return young or known.glob is not None or (known.identity.pid + self._round) % _SHARES == 0

    def _read(self, pid: int, directory: Directory, known: Seen | None) -> None:
        stat = read_stat(directory)
        identity = Identity(pid, stat.starttime_ticks)
        if known is None or known.identity != identity:
            known = Seen(identity, stat.ppid, self._round)
        elif known.comm == stat.comm and known.since <= self._round - _YOUNG_ROUNDS:
            return
        if not stat.is_kernel_thread:
            known.comm = stat.comm
            known.exe = read_exe(directory)
            known.path = unit_path(parsed_memberships(directory.read("cgroup")))
            known.system_user = parse_status(directory.read("status")).uid < _FIRST_USER
            known.glob = self.section.wanted_as(known)
        self._seen[pid] = known

    def _parent(self, seen: Seen) -> Seen | None:
        parent = self._seen.get(seen.ppid)
        # A younger one has only taken over the number.
        older = parent is not None and parent.identity.starttime_ticks <= seen.identity.starttime_ticks
        return parent if older else None

    def _held(self, world: World) -> dict[Identity, tuple[Change, Adjustment]]:
        changes = (each for each in world.changes.pending(RULE) if each.action == OomScoreAdj.name)
        noted = ((change, Adjustment.of(change.facts)) for change in changes)
        return {done.identity: (change, done) for change, done in noted if done is not None}

    # ---- doing

    def _hold(self, world: World, seen: Seen, held: bool) -> None:
        """Give one its low value; one that has as little already, by somebody else's will, is left alone."""
        if seen.identity in self._refused:
            return
        low = self.section.oom_score_adj
        try:
            with open_process(world.roots, seen.identity) as directory:
                if int(directory.read(FILE)) <= low:
                    return
                if held:
                    directory.write(FILE, str(low))
                    return
            adjust(world, RULE, seen.identity, seen.name, low)
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError as error:
            self._refused.add(seen.identity)
            self._complain(seen, error)

    def _free_heirs(self, world: World) -> None:
        """Give descendants their former value back when all they did was to inherit the low one."""
        held = {identity.pid: done for identity, (_, done) in self._held(world).items()}
        by_path = {
            holder.path: done
            for pid, done in held.items()
            if (holder := self._seen.get(pid)) is not None and _SERVICE_PATH.fullmatch(holder.path)
        }
        for seen in self._seen.values():
            if seen.checked or seen.listed:
                continue
            seen.checked = True
            # An orphan by a double fork has lost its family, and is still in the service's own cgroup.
            done = self._inherited(seen, held) or by_path.get(seen.path)
            if done is not None and seen.identity.starttime_ticks >= done.since_ticks:
                seen.heir_of = done
                self._free(world, seen, done)

    def _inherited(self, seen: Seen, held: dict[int, Adjustment]) -> Adjustment | None:
        at: Seen | None = seen
        for _ in range(len(self._seen)):
            at = self._parent(at) if at is not None else None
            if at is None:
                return None
            done = held.get(at.identity.pid) or at.heir_of
            if done is not None:
                return done
        return None

    def _free(self, world: World, seen: Seen, done: Adjustment) -> None:
        try:
            with open_process(world.roots, seen.identity) as directory:
                if int(directory.read(FILE)) == done.new:
                    directory.write(FILE, str(done.old))
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError as error:
            self._complain(seen, error)

    def _complain(self, seen: Seen, error: OSError) -> None:
        if self.problem is None:
            name = "CAP_SYS_RESOURCE" if has_capability(CAP_DAC_OVERRIDE) else "CAP_DAC_OVERRIDE"
            needed = f" ({name})" if error.errno == errno.EACCES else ""
            self.problem = (
                f"oom_score_adj {self.section.oom_score_adj} of {seen.name}: {error.strerror}{needed}: "
                "the OOM killer may take what should be protected"
            )


def _release(world: World, change: Change) -> None:
    OomScoreAdj.undo(world, change)
    world.changes.forget(change)


def _matches(glob: str, seen: Seen) -> bool:
    if glob.startswith("/"):
        return matches_exe(glob, seen.exe)
    if _UNIT_NAME.fullmatch(glob):
        return matches_unit(glob, units_on(seen.path)[-1:])
    return matches_comm(glob, seen.comm)

"""The stand-ins: one for each name, the same wherever the name stands.

    web-7.example.org                    host-1
    ledger-sync                          proc-3
    /system.slice/ledger.service         /system.slice/unit-2.service
    /kubepods/besteffort/pod0e5c…/93a1…  /kubepods/besteffort/podid-1/id-2
    /srv/backup/2026.img                 /path-4
    uid 275858                           uid 1001

They are numbered in the order in which the names are first seen, so the same input gives the same output.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection

from memwatchd.scrub.vocabulary import is_kernel_word, words_of
from memwatchd.units import printable

# Kernel threads, by the names the kernel and its file systems give them.
_DISK = (
    r"(?:(?:sd|hd|vd|xvd)[a-z]{1,3}\d{0,3}|(?:nvme\d{1,3}n|mmcblk)\d{1,3}(?:p\d{1,3})?"
    r"|(?:dm-|md|loop|zram|sr|ram|nbd)\d{1,4})"
)
_N = r"\d{1,4}"
_KERNEL_THREAD = re.compile(
    rf"""(?: swapper(?:/{_N})? | kthreadd | kswapd{_N} | kcompactd{_N} | khugepaged | ksmd | oom_reaper
    | khungtaskd | kauditd | kdevtmpfs | kblockd | kintegrityd | ksoftirqd/{_N} | migration/{_N} | cpuhp/{_N}
    | watchdog/{_N} | events/{_N} | idle_inject/{_N} | rcu_(?:sched|bh|preempt|gp|par_gp|tasks_kthre)
    | rcu[a-z]{{0,3}}/{_N} | pdflush | kjournald | bdi-default | writeback | flush-{_N}:{_N}
    | scsi_(?:eh|tmf)_{_N} | md{_N}_(?:raid|resync)\d{{0,2}} | loop{_N} | nfsd | lockd | rpciod
    | (?:jbd2|xfsaild|xfsbufd|btrfs-transacti?o?n?|dm_bufio_cache|kdmflush)(?:/{_DISK}(?:-{_N})?)?
    | zvol | arc_(?:prune|evict|reap|adapt) | z_(?:rd|wr|fr|null|cl|ioctl)_(?:iss|int)(?:_h)?
    | kworker/[u\d][\d:]{{0,12}}H? )""",
    re.VERBOSE | re.ASCII,
)
_WORKER = re.compile(r"(kworker/[u\d][\d:]{0,12}H?)[-+](.{1,64})", re.DOTALL | re.ASCII)
_OWN = "memwatchd"
DISK_PATH = re.compile(rf"/dev/{_DISK}", re.ASCII)

_KNOWN_PARTS = words_of(
    """
    system.slice user.slice machine.slice init.scope app.slice session.slice background.slice -.slice
    system user kubepods kubepods.slice besteffort burstable guaranteed kubepods-besteffort.slice
    kubepods-burstable.slice kubepods-guaranteed.slice docker lxc lxd podman machine libpod_parent
    podruntime runtime container payload ns .lxc init memwatchd.service system-getty.slice containerd
    crio actions_job ecs libvirt qemu emulator supervise
    """
)
_HEX = re.compile(r"[0-9a-fA-F]{12,128}")
_UUID = r"[0-9a-fA-F]{8}(?:[-_][0-9a-fA-F]{4}){3}[-_][0-9a-fA-F]{12}"
_USER_PART = re.compile(r"(user-|user@|user-runtime-dir@)(\d{1,10})(\.slice|\.service)", re.ASCII)
_SESSION = re.compile(r"session-c?\d{1,10}\.scope|\d{1,10}", re.ASCII)
_CONTAINER = re.compile(
    rf"((?:kubepods-(?:besteffort-|burstable-|guaranteed-)?)?pod|docker-|cri-containerd-|crio-(?:conmon-)?|libpod-(?:conmon-)?"
    rf"|containerd-|lxc\.(?:payload|monitor)\.?|machine-)({_UUID}|[0-9a-fA-F]{{12,128}}|.{{1,255}}?)(\.slice|\.scope|)",
    re.DOTALL,
)
_UNIT = re.compile(
    r"(.{1,255}?)(\.(?:service|scope|slice|mount|swap|socket|timer|target|device|path|automount))", re.DOTALL
)
_TOKEN = re.compile(r"[\w$]+(?:[.@+:-]+[\w$]+)*")
_LASTING_UIDS = ("0", "65534", "4294967295")
_FIRST_UID = 1001
# Found as whole words in any case.
_UNLEARNED = ("word", "uid", "vendor", "parameter")


class Names:
    """Hands out stand-ins and remembers them.

    Args:
        keep_commands: Leave the names of commands as they are.
        kept_rules: Rules whose names may stay: those that come with the program.

    Attributes:
        words: What may be replaced wherever it stands as a whole word; names that are kernel words, too, are
            replaced only where a name is expected.
        dropped: How often something was left out altogether, by kind.
    """

    def __init__(self, *, keep_commands: bool = False, kept_rules: Collection[str] = ()) -> None:
        self.words: dict[str, str] = {}
        self.dropped: Counter[str] = Counter()
        self._keep_commands = keep_commands
        self._kept_rules = frozenset(kept_rules)
        self._given: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        self._phrases: tuple[int, re.Pattern[str] | None] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many different names of each kind were replaced."""
        return dict(self._counts)

    def of(self, kind: str, name: str) -> str:
        """The stand-in of what is just a name, such as an address."""
        return self._of(kind, name, lambda number: f"{kind}-{number}")

    def comm(self, name: str) -> str:
        """The stand-in of a command; kernel threads and the daemon itself keep their names."""
        worker = _WORKER.fullmatch(name)
        if worker:
            return name if is_kernel_word(worker[2]) else worker[1]
        if not name or _KERNEL_THREAD.fullmatch(name) or name == _OWN:
            return name
        if self._keep_commands:
            self._learn(name, name)
            return name
        return self.of("proc", name)

    def host(self, name: str) -> str:
        """The stand-in of a host; the first part of a full name is replaced as well where it stands alone."""
        if name in ("", "-", "localhost", "(none)"):
            return name
        given = self.of("host", name)
        self._learn(name.partition(".")[0], given)
        return given

    def path(self, name: str) -> str:
        """The stand-in of a path; disks under their usual names keep theirs."""
        bare = name.removesuffix(" (deleted)")
        if bare in ("", "/") or DISK_PATH.fullmatch(bare):
            return name
        return self._of("path", bare, lambda number: f"/path-{number}") + name[len(bare) :]

    def uid(self, number: str) -> str:
        """Another number for a user; root, nobody and "none at all" stay."""
        number = number.lstrip("0") or "0"
        if number in _LASTING_UIDS:
            return number
        return self._of("uid", number, lambda count: str(_FIRST_UID + count - 1))

    def rule(self, name: str) -> str:
        """The stand-in of a rule the site has given its own name."""
        return name if name in self._kept_rules else self.of("rule", name)

    def cgroup(self, path: str) -> str:
        """The path of a cgroup with stand-ins for its parts: depth and what every system has stay."""
        given = "/".join(map(self.cgroup_part, path.split("/")))
        if "/" in path.strip("/") or path.startswith("/"):
            self._learn(path, given)
        return given

    def cgroup_part(self, part: str) -> str:
        """One part of a cgroup's path."""
        if not part or part in (".", "..") or part in _KNOWN_PARTS or _SESSION.fullmatch(part):
            return part
        user = _USER_PART.fullmatch(part)
        if user:
            return f"{user[1]}{self.uid(user[2])}{user[3]}"
        container = _CONTAINER.fullmatch(part)
        if container:
            return f"{container[1]}{self._id(container[2])}{container[3]}"
        if _HEX.fullmatch(part) or re.fullmatch(_UUID, part):
            return self.of("id", part)
        unit = _UNIT.fullmatch(part)
        if unit:
            return self._of("unit", part, lambda number: f"unit-{number}{unit[2]}")
        return self.of("cgroup", part)

    def _id(self, text: str) -> str:
        return self.of("id", text.replace("_", "-").lower())

    @property
    def phrases(self) -> re.Pattern[str] | None:
        """Those of `words` that are more than one word, as one pattern; None where there are none."""
        if self._phrases is None or self._phrases[0] != len(self.words):
            phrases = [name for name in self.words if not _TOKEN.fullmatch(name)]
            longest_first = sorted(phrases, key=lambda name: (-len(name), name))
            pattern = "|".join(map(re.escape, longest_first))
            whole = re.compile(rf"(?<![\w./-])(?:{pattern})(?![\w-]|[./]\w)", re.ASCII) if pattern else None
            self._phrases = len(self.words), whole
        return self._phrases[1]

    def _of(self, kind: str, name: str, make: Callable[[int], str]) -> str:
        given = self._given.get((kind, name))
        if given is None:
            self._counts[kind] += 1
            given = self._given[kind, name] = make(self._counts[kind])
            if kind not in _UNLEARNED:
                self._learn(name, given)
        return given

    def _learn(self, name: str, given: str) -> None:
        for form in {name, printable(name)}:
            if len(form) > 1 and not form.isdigit() and not is_kernel_word(form):
                self.words.setdefault(form, given)


def hashed_id(identity: bytes) -> bytes:
    """Another id of 16 bytes for a random one, the same for the same: nobody finds the way back."""
    return hashlib.sha256(b"memwatchd scrub" + identity).digest()[:16]

"""Killers other than the kernel, by the words they log.

::

    systemd-oomd[840]: Killed /user.slice/x due to memory pressure for /user.slice being 51.07% > 50.00% for …
    systemd-oomd[840]: Killed /system.slice/x.service due to memory used (…) / total (…) and swap used (…) …
    earlyoom[1233]: sending SIGTERM to process 29410 uid 1000 "cluster": badness 1264, VmRSS 23964 MiB
    earlyoom[1233]: sending SIGKILL to process 4711 uid 33 "php-fpm": oom_score 905, VmRSS 812 MiB, …
    earlyoom[1233]: killing process 27541 "bash" with signal 15: badness 550, VmRSS 7609 MiB
    nohang[310]: Sending SIGTERM to the victim; … / Sending SIGTERM to tail; …
    oomd: 10.00 5.00 2.00 system.slice/x 4711 ruleset:[…] detectorgroup:[…] killer:kill_by_… v2
    kubelet[77]: … "Eviction manager: pod is evicted successfully" pod="default/web-0"
    lowmemorykiller: Killing 'com.app' (4711), adj 900, to free 34000kB on behalf of 'kswapd0' (55)
"""

import re
from dataclasses import dataclass

from memwatchd.oomreport.report import Victim
from memwatchd.oomreport.statements._amounts import DIGITS, integer

_SYSTEMD = re.compile(r"(?:Killed|Marked) (?P<name>/.*?) (?:for killing )?due to (?P<reason>.*)", re.DOTALL)
_EARLYOOM = re.compile(
    rf'[Ss]ending SIG(?:TERM|KILL) to process (?P<pid>{DIGITS})(?: uid (?P<uid>{DIGITS}))? "(?P<name>.*?)": '
    rf"(?:badness|oom_score) (?P<score>-?{DIGITS})(?:, VmRSS (?P<rss>{DIGITS}) MiB)?",
    re.DOTALL,
)
_OLD_EARLYOOM = re.compile(
    rf'[Kk]illing process (?P<pid>{DIGITS}) "(?P<name>.*?)" with signal \d+: '
    rf"badness (?P<score>-?{DIGITS})(?:, VmRSS (?P<rss>{DIGITS}) MiB)?",
    re.DOTALL,
)
_NOHANG = re.compile(
    r"(?:Sending|Send) SIG(?:TERM|KILL) to (?:the victim|(?P<name>.{1,64}?))"
    rf"(?: \(?PID:? (?P<pid>{DIGITS})\)?)?(?:[;,.]|$)"
)
_OOMD = re.compile(
    rf"(?:[\d.]+ ){{3}}(?P<name>\S+) (?P<usage>{DIGITS}) ruleset:\[(?P<reason>.*?)\] .*killer:(?P<plugin>\S+)"
)
_KUBELET = re.compile(r'pod is evicted successfully"? pod="?(?P<name>[^"\s]+)')
_OLD_KUBELET = re.compile(r"eviction manager: pod (?P<name>\S+) is evicted successfully")
_LMKD = re.compile(
    rf"(?:lowmemorykiller: )?Kill(?:ing)? '(?P<name>.*?)' \((?P<pid>{DIGITS})\)(?:, uid (?P<uid>{DIGITS}))?,"
    r"(?P<reason>.*)",
    re.DOTALL,
)
_MIB = 1024


@dataclass(frozen=True, slots=True)
class UserspaceKill:
    """A kill by a program.

    Attributes:
        killer: The program.
        victim: Whom it killed; a cgroup or a pod has no pid.
        reason: Why, in its own words; None where it does not say.
    """

    killer: str
    victim: Victim
    reason: str | None


def parse_userspace(text: str, program: str | None, line: int) -> UserspaceKill | None:
    """Read a kill by a program.

    Args:
        text: The message.
        program: Who wrote it; without it only words that nobody else uses count.
        line: Where it stands.
    """
    for killer, programs, pattern in _KILLERS:
        if program is not None and not program.startswith(programs):
            continue
        if program is None and killer in _AMBIGUOUS:
            continue
        found = pattern.search(text)
        if found is not None:
            return UserspaceKill(killer, _victim(found.groupdict(), line), _reason(found.groupdict(), text))
    return None


_KILLERS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    ("systemd-oomd", ("systemd-oomd",), _SYSTEMD),
    ("earlyoom", ("earlyoom",), _EARLYOOM),
    ("earlyoom", ("earlyoom",), _OLD_EARLYOOM),
    ("nohang", ("nohang",), _NOHANG),
    ("oomd", ("oomd",), _OOMD),
    ("kubelet", ("kubelet", "k3s", "rke2", "hyperkube", "snap.microk8s"), _KUBELET),
    ("kubelet", ("kubelet", "k3s", "rke2", "hyperkube", "snap.microk8s"), _OLD_KUBELET),
    ("lmkd", ("lmkd", "lowmemorykiller", "kernel"), _LMKD),
)
# Words that other programs use as well.
_AMBIGUOUS = frozenset(("nohang", "lmkd"))


def _victim(found: dict[str, str | None], line: int) -> Victim:
    rss, score = found.get("rss"), found.get("score")
    return Victim(
        pid=integer(found.get("pid")),
        comm=found.get("name"),
        uid=integer(found.get("uid")),
        score=integer(score),
        rss_kb=None if rss is None else int(rss) * _MIB,
        line=line,
    )


def _reason(found: dict[str, str | None], text: str) -> str | None:
    reason = found.get("reason")
    return (reason or text).strip(" ,") or None

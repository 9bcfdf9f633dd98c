"""Killers other than the kernel, by the words they log.

::

    systemd-oomd[840]: Killed /user.slice/x due to memory pressure for /user.slice being 51.07% > 50.00% for …
    systemd-oomd[840]: Killed /system.slice/x.service due to memory used (…) / total (…) and swap used (…) …
    earlyoom[1233]: sending SIGTERM to process 29410 uid 1000 "cluster": badness 1264, VmRSS 23964 MiB
    earlyoom[1233]: sending SIGKILL to process 4711 uid 33 "php-fpm": oom_score 905, VmRSS 812 MiB, …
    earlyoom[1233]: killing process 27541 "bash" with signal 15: badness 550, VmRSS 7609 MiB
    earlyoom[1233]: Killing process 'bash' with signal 15, pid: 5874, badness: 538, VmRSS: 3160 MiB
    nohang[310]: Sending SIGTERM to the victim; … / Sending SIGTERM to tail; …
    oomd: 10.00 5.00 2.00 system.slice/x 4711 ruleset:[…] detectorgroup:[…] killer:kill_by_… v2
    kubelet[77]: … "Eviction manager: pod is evicted successfully" pod="default/web-0"
    lmkd: Kill 'com.app' (4711), uid 10077, oom_score_adj 900 to free 34000kB rss, 0kB swap; reason: …
    lowmemorykiller: Killing 'com.app' (4711), adj 900,                           Android kernels, until 4.11
       to free 34000kB on behalf of 'kswapd0' (55) because
"""

import re
from dataclasses import dataclass

from memwatchd.oomreport.report import Victim
from memwatchd.oomreport.statements._amounts import DIGITS, integer

_SYSTEMD = re.compile(r"(?:Killed|Marked) (?P<name>/.*?) (?:for killing )?due to (?P<reason>.*)", re.DOTALL)
_EARLYOOM = re.compile(
    rf"(?P<reason>[Ss]ending SIG(?:TERM|KILL) to process (?P<pid>{DIGITS})(?: uid (?P<uid>{DIGITS}))?"
    r' "(?P<name>.*?)": '
    rf"(?:badness|oom_score) (?P<score>-?{DIGITS})(?:, VmRSS (?P<rss>{DIGITS}) MiB)?.*)",
    re.DOTALL,
)
_OLD_EARLYOOM = re.compile(
    rf'(?P<reason>[Kk]illing process (?P<pid>{DIGITS}) "(?P<name>.*?)" with signal \d+: '
    rf"badness (?P<score>-?{DIGITS})(?:, VmRSS (?P<rss>{DIGITS}) MiB)?.*)",
    re.DOTALL,
)
_OLDEST_EARLYOOM = re.compile(
    rf"(?P<reason>Killing process '(?P<name>.*?)' with signal \d+, pid: (?P<pid>{DIGITS}), "
    rf"badness: (?P<score>-?{DIGITS}), VmRSS: (?P<rss>{DIGITS}) MiB.*)",
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
    rf"Kill '(?P<name>.*?)' \((?P<pid>{DIGITS})\)(?:, uid (?P<uid>{DIGITS}))?,(?P<reason>.*)", re.DOTALL
)
_LOWMEMORYKILLER = re.compile(
    rf"(?:lowmemorykiller: |^)Killing '(?P<name>.*?)' \((?P<pid>{DIGITS})\),(?P<reason>.*)", re.DOTALL
)
# Its further lines.
_BECAUSE = re.compile(r"to free -?\d{1,20}kB on behalf of |cache -?\d{1,20}kB is below |Free memory is -?\d")
# nohang names whom it has chosen before it says that it kills.
_CHOSEN = re.compile(
    rf"PID: (?P<pid>{DIGITS}), [Nn]ame: (?P<name>.{{1,64}}?), badness: (?P<score>-?{DIGITS})"
    rf"|cached victim (?P<cached>{DIGITS}) \((?P<comm>.{{1,64}}?)\)"
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
        if program is None and killer in _AMBIGUOUS and not text.startswith(f"{killer}: "):
            continue
        found = pattern.search(text)
        if found is not None:
            return UserspaceKill(killer, _victim(found.groupdict(), line), _reason(found.groupdict(), text))
    return None


_KILLERS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    ("systemd-oomd", ("systemd-oomd",), _SYSTEMD),
    ("earlyoom", ("earlyoom",), _EARLYOOM),
    ("earlyoom", ("earlyoom",), _OLD_EARLYOOM),
    ("earlyoom", ("earlyoom",), _OLDEST_EARLYOOM),
    ("nohang", ("nohang",), _NOHANG),
    ("oomd", ("oomd",), _OOMD),
    ("kubelet", ("kubelet", "k3s", "rke2", "hyperkube", "snap.microk8s"), _KUBELET),
    ("kubelet", ("kubelet", "k3s", "rke2", "hyperkube", "snap.microk8s"), _OLD_KUBELET),
    ("lmkd", ("lmkd", "lowmemorykiller"), _LMKD),
    ("lowmemorykiller", ("lowmemorykiller", "kernel"), _LOWMEMORYKILLER),
)
# Words that other programs use as well.
_AMBIGUOUS = frozenset(("nohang", "lmkd", "lowmemorykiller"))


def is_because(text: str) -> bool:
    """Whether a line goes on with what the kernel's lowmemorykiller says of a kill."""
    return _BECAUSE.match(text) is not None


def parse_nohang_choice(text: str, line: int) -> Victim | None:
    """Read whom nohang has chosen: ``PID: 11394, Name: python3, badness: 1102``."""
    found = _CHOSEN.search(text)
    if found is None:
        return None
    return Victim(
        pid=int(found["pid"] or found["cached"]),
        comm=found["name"] or found["comm"],
        score=integer(found["score"]),
        line=line,
    )


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

"""Killers other than the kernel."""

import pytest

from memwatchd.oomreport.report import Victim
from memwatchd.oomreport.statements.userspace import (
    UserspaceKill,
    is_because,
    parse_nohang_choice,
    parse_userspace,
)

KILLS = {
    (
        "systemd-oomd",
        "Killed /user.slice/a.scope due to memory pressure for /user.slice being 51.07% > 50.00% for > 20s "
        "with reclaim activity",
    ): UserspaceKill(
        "systemd-oomd",
        Victim(None, "/user.slice/a.scope", line=1),
        "memory pressure for /user.slice being 51.07% > 50.00% for > 20s with reclaim activity",
    ),
    (
        "earlyoom",
        'sending SIGTERM to process 29410 uid 1000 "cluster": badness 1264, VmRSS 23964 MiB',
    ): UserspaceKill(
        "earlyoom",
        Victim(29410, "cluster", uid=1000, score=1264, rss_kb=23964 << 10, line=1),
        'sending SIGTERM to process 29410 uid 1000 "cluster": badness 1264, VmRSS 23964 MiB',
    ),
    (
        None,
        'sending SIGKILL to process 4711 uid 33 "php-fpm": oom_score 905, VmRSS 812 MiB, cmdline "x"',
    ): UserspaceKill(
        "earlyoom",
        Victim(4711, "php-fpm", uid=33, score=905, rss_kb=812 << 10, line=1),
        'sending SIGKILL to process 4711 uid 33 "php-fpm": oom_score 905, VmRSS 812 MiB, cmdline "x"',
    ),
    (
        "kubelet",
        'I0528 16:05:54 2269385 eviction_manager.go:627] "Eviction manager: pod is evicted successfully" '
        'pod="sre/logstash-1"',
    ): UserspaceKill(
        "kubelet",
        Victim(None, "sre/logstash-1", line=1),
        'I0528 16:05:54 2269385 eviction_manager.go:627] "Eviction manager: pod is evicted successfully" '
        'pod="sre/logstash-1"',
    ),
    (
        None,
        "Killing process 'bash' with signal 15, pid: 5874, badness: 538, VmRSS: 3160 MiB",
    ): UserspaceKill(
        "earlyoom",
        Victim(5874, "bash", score=538, rss_kb=3160 << 10, line=1),
        "Killing process 'bash' with signal 15, pid: 5874, badness: 538, VmRSS: 3160 MiB",
    ),
    (
        None,
        '<host> earlyoom[26328]: sending SIGTERM to process 834 uid 1000 "code": badness 866, VmRSS 5 MiB',
    ): UserspaceKill(
        "earlyoom",
        Victim(834, "code", uid=1000, score=866, rss_kb=5 << 10, line=1),
        'sending SIGTERM to process 834 uid 1000 "code": badness 866, VmRSS 5 MiB',
    ),
    (None, "lowmemorykiller: Killing 'com.app' (4711), adj 900,"): UserspaceKill(
        "lowmemorykiller", Victim(4711, "com.app", line=1), "adj 900"
    ),
    (
        "lowmemorykiller",
        "Kill 'com.app' (4711), uid 10077, oom_score_adj 900 to free 34000kB rss, 0kB swap; reason: low swap",
    ): UserspaceKill(
        "lmkd",
        Victim(4711, "com.app", uid=10077, line=1),
        "oom_score_adj 900 to free 34000kB rss, 0kB swap; reason: low swap",
    ),
    ("nohang", "Sending SIGTERM to tail; total response time: 60 ms"): UserspaceKill(
        "nohang",
        Victim(None, "tail", line=1),
        "Sending SIGTERM to tail; total response time: 60 ms",
    ),
}


@pytest.mark.parametrize(("program", "text"), KILLS)
def test_kills(program: str | None, text: str) -> None:
    """Whoever looks for the kernel's report of such a death looks in vain."""
    assert parse_userspace(text, program, 1) == KILLS[program, text]


def test_what_stands_around_a_kill() -> None:
    """The victim of nohang has its name and pid, and the kernel's killer its reason, on other lines."""
    assert parse_nohang_choice("  PID: 11394, Name: python3, badness: 1102", 7) == Victim(
        11394, "python3", score=1102, line=7
    )
    assert parse_nohang_choice("New victim is cached victim 25714 (python3)", 7) == Victim(
        25714, "python3", line=7
    )
    assert parse_nohang_choice("MemAvailable [133 MiB, 1.1 %]", 7) is None
    assert is_because("to free 20784kB on behalf of 'kswapd0' (442) because")
    assert is_because("cache 32112kB is below limit 32384kB for oom_score_adj 1000")
    assert is_because("Free memory is -1820kB above reserved")
    assert not is_because("Free swap  = 0kB")


def test_other_programs_use_such_words() -> None:
    """A shell that sends a signal is no OOM killer."""
    assert parse_userspace("Sending SIGTERM to tail; bye", None, 1) is None
    assert parse_userspace("Sending SIGTERM to tail; bye", "docker", 1) is None
    assert parse_userspace("Killed /bin/x due to a bug", "monit", 1) is None
    assert parse_userspace("Killing 'x' (12), bye", None, 1) is None

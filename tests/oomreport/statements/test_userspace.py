"""Killers other than the kernel."""

import pytest

from memwatchd.oomreport.report import Victim
from memwatchd.oomreport.statements.userspace import UserspaceKill, parse_userspace

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


def test_other_programs_use_such_words() -> None:
    """A shell that sends a signal is no OOM killer."""
    assert parse_userspace("Sending SIGTERM to tail; bye", None, 1) is None
    assert parse_userspace("Sending SIGTERM to tail; bye", "docker", 1) is None
    assert parse_userspace("Killed /bin/x due to a bug", "monit", 1) is None

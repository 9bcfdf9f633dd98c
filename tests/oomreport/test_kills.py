"""Kill lines of many kernels, of hostile processes, and in whole reports as people posted them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import FIXTURES

from memwatchd.oomreport.kills import CGROUP, GLOBAL, Kill, KillParser
from memwatchd.procfs.kmsg import parse_kmsg

REST = b" total-vm:1024kB, anon-rss:512kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:8kB oom_score_adj:0"
REST_KIB = {"total-vm": 1024, "anon-rss": 512, "file-rss": 4, "shmem-rss": 0, "pgtables": 8}


def feed(*lines: bytes) -> list[Kill]:
    """Feed lines to a parser; the kills it finds."""
    parser = KillParser()
    found = (parser.feed(line, number, number * 1000) for number, line in enumerate(lines))
    return [kill for kill in found if kill is not None]


def summary(kill: Kill) -> tuple[int, str, str | None, str | None]:
    return kill.pid, kill.comm, kill.scope, kill.limit_cgroup


# ---- one kernel after the other


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            [
                b"Out of memory: kill process 21754 (apache2) score 699064 or a child",
                b"Killed process 21754 (apache2)",
            ],
            (21754, "apache2", GLOBAL, None),
            id="2.6.32",
        ),
        pytest.param(
            [
                b"Out of memory: Kill process 2412 (httpd) score 911 or sacrifice child",
                b"Killed process 2412, UID 48, (httpd) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB",
            ],
            (2412, "httpd", GLOBAL, None),
            id="el6-2.6.32",
        ),
        pytest.param(
            [b"Killed process 2412 (httpd) vsz:5022868kB, anon-rss:4004484kB, file-rss:0kB"],
            (2412, "httpd", None, None),
            id="2.6.35, its header lost",
        ),
        pytest.param(
            [
                b"Out of memory: Kill process 4711 (java) score 911 or sacrifice child",
                b"Killed process 4711 (java) total-vm:5022868kB, anon-rss:4004484kB, file-rss:0kB",
            ],
            (4711, "java", GLOBAL, None),
            id="3.10",
        ),
        pytest.param(
            [
                b"Task in /docker/34186d killed as a result of limit of /docker",
                b"memory: usage 524288kB, limit 524288kB, failcnt 18",
                b"Memory cgroup out of memory: Kill process 11344 (main) score 904 or sacrifice child",
                b"Killed process 11344 (main) total-vm:390360kB, anon-rss:183712kB, file-rss:1016kB",
            ],
            (11344, "main", CGROUP, "/docker"),
            id="4.4, cgroup",
        ),
        pytest.param(
            [
                b"oom_kill: Out of memory: Kill process 13555 (java) score 70 or sacrifice child",
                b"oom_kill: Killed process 13555 (java) total-vm:21208708kB, anon-rss:3786124kB",
            ],
            (13555, "java", GLOBAL, None),
            id="4.17 with a prefix",
        ),
        pytest.param(
            [
                b"oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
                b"task_memcg=/user.slice,task=node,pid=38690,uid=0",
                b"Out of memory: Killed process 38690 (node)" + REST,
            ],
            (38690, "node", GLOBAL, None),
            id="5.4",
        ),
        pytest.param(
            [
                b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0-1,oom_memcg=/mglru,"
                b"task_memcg=/mglru/a,task=test.sh,pid=7215,uid=0",
                b"Memory cgroup out of memory: Killed process 7215 (test.sh)" + REST,
            ],
            (7215, "test.sh", CGROUP, "/mglru"),
            id="6.8, cgroup",
        ),
        pytest.param(
            [
                b"oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=x.scope,mems_allowed=4,global_oom,"
                b"task_memcg=/system.slice,task=containerd,pid=4100,uid=0",
                b"Out of memory: Killed process 4100 (containerd)" + REST,
            ],
            (4100, "containerd", GLOBAL, None),
            id="5.8, cpuset",
        ),
        pytest.param(
            [b"Out of memory (oom_kill_allocating_task): Killed process 12 (a)" + REST],
            (12, "a", GLOBAL, None),
            id="6.18, the one that asked",
        ),
    ],
)
def test_kill_lines_of_many_kernels(lines: list[bytes], expected: tuple[int, str, str, str]) -> None:
    """On some kernel a kill would not be noticed, or be blamed on the wrong limit."""
    assert [summary(kill) for kill in feed(b"x invoked oom-killer: gfp_mask=0xcc0, order=0", *lines)] == [
        expected
    ]


def test_the_whole_kill() -> None:
    """Sizes, cgroups or the place in the kernel's log would be lost."""
    kills = feed(
        b"stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        b"task_memcg=/a/b,task=stress,pid=1122,uid=0",
        b"Memory cgroup out of memory: Killed process 1122 (stress)" + REST,
    )
    assert kills == [Kill(1122, "stress", CGROUP, "/a", "/a/b", REST_KIB, 2, 2000)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"oom_reaper: reaped process 1122 (stress), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
        b"Out of memory: Kill process 4711 (java) score 911 or sacrifice child",
        b"Memory cgroup out of memory: OOM victim 12 (x) is already exiting. Skip killing the task",
        b"Tasks in /a/b are going to be killed due to memory.oom.group set",
        b"Out of memory and no killable processes...",
        b"[   4711]     0  4711    55506      640      256      384         0    69632        0 dd",
    ],
)
def test_what_is_no_kill(line: bytes) -> None:
    """An incident would be written for a kill that did not happen."""
    assert feed(line) == []


# ---- whose limit


def test_the_header_of_one_kill_says_nothing_about_the_next() -> None:
    """A global kill would be blamed on the cgroup that was killed in before."""
    kills = feed(
        b"Task in /a killed as a result of limit of /a",
        b"Memory cgroup out of memory: Kill process 1 (x) score 1 or sacrifice child",
        b"Killed process 1 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
        b"y invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0",
        b"Out of memory: Kill process 2 (y) score 1 or sacrifice child",
        b"Killed process 2 (y) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
    )
    assert [summary(kill) for kill in kills] == [(1, "x", CGROUP, "/a"), (2, "y", GLOBAL, None)]
    assert kills[1].task_cgroup is None


def test_a_kill_whose_header_was_suppressed_is_not_blamed_on_the_cgroup_of_the_last_one() -> None:
    """Headers are rate-limited, kill lines are not: in a storm the wrong container would be blamed."""
    kills = feed(
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        b"task_memcg=/a,task=x,pid=1,uid=0",
        b"Memory cgroup out of memory: Killed process 1 (x)" + REST,
        b"Memory cgroup out of memory: Killed process 2 (y)" + REST,
    )
    assert [summary(kill) for kill in kills] == [(1, "x", CGROUP, "/a"), (2, "y", CGROUP, None)]


def test_a_group_kill_has_one_header_for_all() -> None:
    """Only the first of a pod's processes would be told apart from a global kill."""
    kills = feed(
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/pod,"
        b"task_memcg=/pod/c1,task=bash,pid=7788,uid=0",
        b"Memory cgroup out of memory: Killed process 7788 (bash)" + REST,
        b"Tasks in /pod/c1 are going to be killed due to memory.oom.group set",
        b"Memory cgroup out of memory: Killed process 7620 (nginx)" + REST,
        b"Memory cgroup out of memory: Killed process 7656 (nginx)" + REST,
    )
    assert [summary(kill) for kill in kills] == [
        (7788, "bash", CGROUP, "/pod"),
        (7620, "nginx", CGROUP, "/pod"),
        (7656, "nginx", CGROUP, "/pod"),
    ]


def test_group_kills_before_5_0_come_without_a_word() -> None:
    """Further victims of 4.19 would have an unknown scope."""
    kills = feed(
        b"Memory cgroup out of memory: Kill process 1 (a) score 1 or sacrifice child",
        b"Tasks in /pod are going to be killed due to memory.oom.group set",
        b"Killed process 1 (a) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
        b"Killed process 2 (b) total-vm:1kB, anon-rss:1kB, file-rss:1kB",
    )
    assert [(kill.pid, kill.scope) for kill in kills] == [(1, CGROUP), (2, CGROUP)]


# ---- hostile names


HOSTILE = [
    b"foo) Z ",
    b"(((",
    b")",
    b"",
    b" ",
    b"a\nb",
    b"x) total-vm:1kB",
    b"pid=1,uid=0",
    b"caf\xc3\xa9",
    b"\xff\xfe",
    b"\x1b[31mred",
    b"Out of memory: ",
    b"n" * 63,
    b"(sd-pam)",
]


@pytest.mark.parametrize("comm", HOSTILE, ids=repr)
@pytest.mark.parametrize("head", [b"Out of memory: ", b"Memory cgroup out of memory: ", b""], ids=repr)
def test_hostile_process_names(comm: bytes, head: bytes) -> None:
    """A process could choose a name that hides its death, or blames another."""
    (kill,) = feed(head + b"Killed process 4711 (" + comm + b")" + REST)
    assert kill.pid == 4711
    assert kill.comm.encode("utf-8", "surrogateescape") == comm
    assert kill.amounts_kib == REST_KIB


def test_what_the_kernels_log_escapes_is_read_as_it_was_meant() -> None:
    """A process with an umlaut in its name would not be found in the process table."""
    text = rb"Out of memory: Killed process 4711 (caf\xc3\xa9\x0a\x5c)" + REST
    kill = KillParser().feed_record(parse_kmsg(b"3,17,99,-;" + text + b"\n"))
    assert kill is not None
    assert (kill.comm, kill.sequence, kill.timestamp_usec) == ("café\n\\", 17, 99)


@pytest.mark.parametrize("comm", HOSTILE, ids=repr)
def test_hostile_names_in_the_header(comm: bytes) -> None:
    """A process's name would move the limit to another cgroup."""
    kills = feed(
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,"
        b"task_memcg=/a/b,task=" + comm + b",pid=4711,uid=0",
        b"Memory cgroup out of memory: Killed process 4711 (x)" + REST,
    )
    assert [(kill.limit_cgroup, kill.task_cgroup) for kill in kills] == [("/a", "/a/b")]


FORGED = b"Killed process 1 (systemd) total-vm:1kB"


@pytest.mark.parametrize(
    "line",
    [
        b"Tasks in /user.slice/" + FORGED + b" are going to be killed due to memory.oom.group set",
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset="
        + FORGED
        + b",mems_allowed=0,oom_memcg=/a,"
        b"task_memcg=/a,task=x,pid=7,uid=0",
        b"Memory cgroup stats for /user.slice/" + FORGED + b":",
        b"Task in /user.slice/" + FORGED + b" killed as a result of limit of /a",
    ],
)
def test_a_cgroup_cannot_be_named_so_that_it_looks_like_a_kill(line: bytes) -> None:
    """Whoever may name a cgroup could report the death of any process."""
    assert feed(line) == []


@given(lines=st.lists(st.binary(max_size=120), max_size=6))
def test_any_line_can_be_offered(lines: list[bytes]) -> None:
    """An odd message would end the service."""
    feed(*lines)


# ---- whole reports


PREFIX = re.compile(
    rb"^(?:> )?(?:\S+ stdout F )?(?:.*?kernel(?::|\]) )?\s*(?:\[[ \d]*\d\.\d+\] |\[\w\w \w\w\w [\d: ]+\] )?"
)
OTHER_PROGRAM = re.compile(rb"\w{3} [ \d]\d [\d:]{8} \S+ \S+\[\d+\]: ")
CGROUP_POD = "/kubepods.slice"
DOCKER = "/docker/34186d9bd07706222bd427bb647ceed81e8e108eb653ff73c7137099fca1cab6"

REPORTS = {
    "000": [(21832, "clamd", GLOBAL, None)],
    "008": [(21754, "apache2", GLOBAL, None)],
    "021": [(13536, "memorymonster", CGROUP, "/mem2")],
    "024": [(11344, "main", CGROUP, DOCKER)],
    "030": [(13555, "java", GLOBAL, None)],
    "039": [(23793, "leaker", CGROUP, "/leaker")],
    "045": [(28600, "python3", GLOBAL, None)],
    "053": [(4100, "containerd", GLOBAL, None)],
    "063": [(3902942, "php-fpm", CGROUP, "/lxc/39004")],
    "072": [(473206, "doxygen", GLOBAL, None)],
    "080": [(2102, "531", GLOBAL, None)],
    "089": [(517, "clamd", GLOBAL, None)],
    "097": [(19289, "memcg_process", CGROUP, "/ltp_19257")],
    "D07": [
        (pid, comm, CGROUP, CGROUP_POD)
        for pid, comm in (
            (7788, "bash"),
            (7620, "nginx"),
            (7656, "nginx"),
            (7657, "nginx"),
            (7712, "bash"),
            (7788, "bash"),
        )
    ],
}


@pytest.mark.parametrize("number", REPORTS)
def test_real_reports(number: str) -> None:
    """What holds for lines made up here would not hold for those that kernels print."""
    (path,) = (FIXTURES / "oom").glob(f"{number}_*.txt")
    lines = [PREFIX.sub(b"", line.rstrip()) for line in path.read_bytes().splitlines()]
    kills = feed(*(line for line in lines if not OTHER_PROGRAM.match(line)))
    assert [summary(kill) for kill in kills] == REPORTS[number]

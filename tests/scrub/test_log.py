"""A log without the names in it: nothing of them is left, and it is still the same report."""

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from memwatchd.oomreport.reader import read_events
from memwatchd.scrub.log import LEFT_OUT, UNKNOWN, LogScrubber
from memwatchd.scrub.names import Names

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "oom"
# As the kernel prints it.
REPORT = """\
canarycomm invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0
CPU: 1 PID: 4711 Comm: canarycomm Tainted: G        W  OE     5.10.0-13-canaryvendor #1 Debian 5.10.106-1
Hardware name: Acme R740/CN7016345678901, BIOS 2.1 03/04/2020
Call Trace:
 dump_stack+0x6b/0x83
 out_of_memory.part.0+0x1df/0x3d0
 ext4_filemap_fault+0x32/0x50 [ext4]
RIP: 0033:0x7f1fc1164be0
RAX: 63616e617279aaaa RBX: 00007f1fb77fda80 RCX: 000000000117a5a0
Mem-Info:
active_anon:91133 inactive_anon:94 isolated_anon:0
 active_file:105 inactive_file:271 isolated_file:0
 unevictable:4640 dirty:0 writeback:0
 slab_reclaimable:6569 slab_unreclaimable:12385
 mapped:17 shmem:27 pagetables:1300 bounce:0
 free:12248 free_pcp:30 free_cma:0
Node 0 active_anon:364532kB inactive_anon:376kB some_future_key:5kB all_unreclaimable? no
Node 0 DMA32 free:44992kB min:44000kB low:55000kB high:66000kB present:1032192kB managed:968720kB
lowmem_reserve[]: 0 0 0 0 0
Node 0 DMA32: 28*4kB (UME) 10*8kB (UM) 2*16kB (E) 0*32kB = 224kB
504 total pagecache pages
0 pages in swap cache
Free swap  = 0kB
Total swap = 0kB
262141 pages RAM
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[    311]     0   311    12000      345    90112        0             0 systemd-canary
[   4711]  4242  4711   262144    90123   180224        0             0 canarycomm
[   4712] 65534  4712   262144      123   180224        0             0 Canary Content
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=canaryunit.service,mems_allowed=0,\
global_oom,task_memcg=/system.slice/canaryunit.service,task=canarycomm,pid=4711,uid=4242
Out of memory: Killed process 4711 (canarycomm) total-vm:1048576kB, anon-rss:360492kB, file-rss:0kB,\
 shmem-rss:0kB, UID:4242 pgtables:176kB oom_score_adj:0
oom_reaper: reaped process 4711 (canarycomm), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
"""
MESSAGES = REPORT.splitlines()
HEAD = "Apr 22 14:31:38 canaryhost.example.org"


def json_line(message: str) -> str:
    fields = {
        "_HOSTNAME": "canaryhost",
        "_TRANSPORT": "kernel",
        "MESSAGE": message,
        "_CMDLINE": "/canary",
        "canarykey": 1,
    }
    return json.dumps(fields)


def kmsg(message: str) -> str:
    return f"4,1203,94012345,-,caller=T77;{message}"


# What carries the kernel's messages: each gets every message as it would stand in such a log.
CARRIERS: dict[str, Callable[[str], str]] = {
    "bare": lambda message: message,
    "dmesg": lambda message: f"[11359.093942] {message}",
    "dmesg -T": lambda message: f"[Di Aug 12 03:54:03 2025] {message}",
    "dmesg -x": lambda message: f"kern  :warn  : [11359.093942] {message}",
    "syslog": lambda message: f"{HEAD} kernel: [11359.093942] {message}",
    "journal": lambda message: f"2026-04-22T14:31:38+0000 canaryhost kernel: {message}",
    "RFC 5424": lambda message: (
        f'<4>1 2026-04-22T14:31:38Z canaryhost kernel - - [canary x="canary"] {message}'
    ),
    "CRI": lambda message: f"2026-04-22T14:31:38.884452000Z stdout F {HEAD} kernel: {message}",
    "grep": lambda message: f"/srv/canary/messages-20260101:12:{HEAD} kernel: [11359.093942] {message}",
    "compose": lambda message: f"canaryhost-1  | [11359.093942] {message}",
    "vendor": lambda message: f"<4>[11359.093942]  [3:     canaryexe: 4710] {message}",
    "mail": lambda message: f"> > [11359.093942] {message}",
    "kmsg": kmsg,
    "json": json_line,
}


def scrub(log: str, **options: Any) -> str:
    data = log.encode("utf-8", "surrogateescape")
    return "".join(LogScrubber(Names(**options)).scrub(lambda: [data]))


def figures(log: str) -> list[Any]:
    """All that is read out of a log but names and quotations."""
    return [_plain(event) for event in read_events([log.encode("utf-8", "surrogateescape")])]


_NAMES = {
    "comm",
    "host",
    "cpuset",
    "limit_of",
    "task_of",
    "task_memcg",
    "statistics_of",
    "group_kill",
    "uid",
    "name",
}
_WORDS = {"texts", "unparsed", "remarks", "hardware", "kernel", "reason", "last_line"}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
        return {
            name: each is None if name in _NAMES else _plain(each)
            for name, each in fields
            if name not in _WORDS
        }
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_name_is_left_whatever_carries_the_report(carrier: str) -> None:
    """Somebody would share a log with a name in it that only their way of keeping logs brings in."""
    log = "".join(f"{CARRIERS[carrier](message)}\n" for message in MESSAGES)
    scrubbed = scrub(log)
    assert "canary" not in scrubbed.lower()
    assert "63616e617279" not in scrubbed  # what a register held
    assert "4242" not in scrubbed
    assert scrubbed.count("\n") == log.count("\n")
    assert UNKNOWN not in scrubbed


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_scrubbed_report_reads_as_before(carrier: str) -> None:
    """The diagnosis of the scrubbed report would be another one."""
    log = "".join(f"{CARRIERS[carrier](message)}\n" for message in MESSAGES)
    assert figures(scrub(log)) == figures(log)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.txt")), ids=lambda path: path.stem)
def test_real_reports_read_as_before(path: Path) -> None:
    """What people have posted over the years would not survive its scrubbing."""
    log = path.read_bytes().decode("utf-8", "surrogateescape")
    scrubbed = scrub(log)
    assert figures(scrubbed) == figures(log)
    assert len(scrubbed.splitlines()) == len(log.splitlines())


def test_the_whole_of_a_report() -> None:
    """Stand-ins would stand in the wrong places, or figures would be touched."""
    lines = scrub("".join(f"{CARRIERS['syslog'](message)}\n" for message in MESSAGES)).splitlines()
    head = "Apr 22 14:31:38 host-1 kernel: [11359.093942] "
    assert all(line.startswith(head) for line in lines)
    texts = [line.removeprefix(head) for line in lines]
    assert texts[:3] == [
        "proc-1 invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
        "CPU: 1 PID: 4711 Comm: proc-1 Tainted: G        W  OE     5.10.0-13-vendor-1 #1 Debian 5.10.106-1",
        "Hardware name: Acme R740/serial-1, BIOS 2.1 03/04/2020",
    ]
    assert texts[8] == "RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000000"
    assert texts[3:8] + texts[9:26] == MESSAGES[3:8] + MESSAGES[9:26]
    assert texts[26:] == [
        MESSAGES[26],
        "[    311]     0   311    12000      345    90112        0             0 proc-2",
        "[   4711]  1001  4711   262144    90123   180224        0             0 proc-1",
        "[   4712] 65534  4712   262144      123   180224        0             0 proc-3",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=unit-1.service,mems_allowed=0,global_oom,"
        "task_memcg=/system.slice/unit-1.service,task=proc-1,pid=4711,uid=1001",
        "Out of memory: Killed process 4711 (proc-1) total-vm:1048576kB, anon-rss:360492kB, file-rss:0kB, "
        "shmem-rss:0kB, UID:1001 pgtables:176kB oom_score_adj:0",
        "oom_reaper: reaped process 4711 (proc-1), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    ]


OTHERS = (
    f"{HEAD} CRON[14500]: (canary) CMD (touch /var/canary)",
    f"{HEAD} canaryd: serving alice@canary.example from 192.0.2.9",
    f"{HEAD} systemd: Started Session 3 of user canary.",
    f"{HEAD} kernel: [1.000000] usb 1-1: Product: canary",
    "From: Canary Person <canary@example.org>",
    "I see this on canaryhost every night:",
    '{"_HOSTNAME":"canaryhost","SYSLOG_IDENTIFIER":"canaryd","MESSAGE":"canary 4711"}',
    "    _EXE=/usr/bin/canary",
    '   "canarykey": "canary",',
    "canary:1 canaries:2 canaria:3",
    "canary 4711",
    "canary  12KB  13KB",
    "Ω canary",
    "\udcff\udcfe canary",
    "{canary",
    '{"canary',
)


@pytest.mark.parametrize("line", OTHERS)
def test_lines_of_others_are_left_out(line: str) -> None:
    """What other programs say is nobody's business but theirs."""
    scrubbed = scrub(f"{MESSAGES[0]}\n{line}\n")
    assert "canary" not in scrubbed.lower()
    assert "192.0.2" not in scrubbed
    assert "alice" not in scrubbed


def test_a_sentence_stands_for_a_line_that_was_left_out() -> None:
    """Line numbers in a diagnosis would not fit, or the reader would think the log was complete."""
    log = f"{HEAD} CRON[14500]: (root) CMD (x)\n{HEAD} kernel: [1.000000] usb 1-1: Product: x1y2z3\n"
    assert scrub(log).splitlines() == [
        f"Apr 22 14:31:38 host-1 proc-1[14500]: {LEFT_OUT}",
        f"Apr 22 14:31:38 host-1 kernel: [1.000000] {UNKNOWN}",
    ]


OOMD = (
    "systemd-oomd[840]: Killed /user.slice/user-{uid}.slice/user@{uid}.service/{unit} due to memory pressure "
    "for /user.slice/user-{uid}.slice being 51.07% > 50.00% for > 20s with reclaim activity"
)
KILLERS = (
    (OOMD.format(uid=4242, unit="app-canary.scope"), OOMD.format(uid=1001, unit="unit-1.scope")),
    (
        'earlyoom[77]: sending SIGKILL to process 4711 uid 4242 "Canary Content": oom_score 905, '
        'VmRSS 812 MiB, cmdline "/opt/canary --key canary"',
        'earlyoom[77]: sending SIGKILL to process 4711 uid 1001 "proc-1": oom_score 905, VmRSS 812 MiB, '
        'cmdline "(left out)"',
    ),
    (
        "systemd[1]: canary.service: A process of this unit has been killed by the OOM killer.",
        "systemd[1]: word-1.service: A process of this unit has been killed by the OOM killer.",
    ),
)


@pytest.mark.parametrize(("line", "expected"), KILLERS)
def test_killers_in_user_space_keep_their_sentences(line: str, expected: str) -> None:
    """Who killed could not be told any more where it was not the kernel."""
    assert scrub(f"{HEAD} {line}\n") == f"Apr 22 14:31:38 host-1 {expected}\n"


AWKWARD = (
    "free",
    "Normal",
    "0",
    "Node 0",
    "killed (x)",
    "a, b",
    "x,pid=1,uid=2",
    "DMA32:",
    "invoked oom-killer",
    "kB",
    "process",
)


@pytest.mark.parametrize("comm", AWKWARD)
def test_a_name_that_is_a_word_of_the_kernel_destroys_nothing(comm: str) -> None:
    """A process called "free" would take the free memory out of the report."""
    log = REPORT.replace("canarycomm", comm)
    scrubbed = scrub(log).splitlines()
    assert scrubbed[9:26] == log.splitlines()[9:26]
    assert scrubbed[28].endswith(" 0 proc-1")
    assert "Killed process 4711 (proc-1) total-vm:1048576kB" in scrubbed[31]


def test_wrapped_lines_are_put_together_where_there_was_a_name() -> None:
    """Half a name would stand on each of two lines, and nobody would know it."""
    log = (
        f"{HEAD} kernel: canarycomm invoked oom-killer:\ngfp_mask=0x201da, order=0, oom_score_adj=0\n"
        f"{HEAD} kernel: Node 0 DMA32 free:44992kB min:44000kB low:55000kB\n"
        "high:66000kB present:1032192kB managed:968720kB\n"
    )
    head = "Apr 22 14:31:38 host-1 kernel:"
    assert scrub(log).splitlines() == [
        f"{head} proc-1 invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0",
        "",
        f"{head} Node 0 DMA32 free:44992kB min:44000kB low:55000kB",
        "high:66000kB present:1032192kB managed:968720kB",
    ]


def test_commands_can_be_kept() -> None:
    """Among colleagues a report without the names of programs says little."""
    scrubbed = scrub(REPORT, keep_commands=True)
    assert "Killed process 4711 (canarycomm)" in scrubbed
    assert "canaryunit" not in scrubbed


def test_kernel_threads_keep_their_names() -> None:
    """That it was kswapd who wanted memory is half of a diagnosis, and nobody's secret."""
    for comm in ("kswapd0", "kworker/0:1", "khugepaged", "jbd2/sda1-8"):
        assert scrub(f"{comm}: page allocation failure: order:4, mode:0x4020\n").startswith(f"{comm}: page")
    assert scrub("kworker/u8:1-canary_wq: page allocation failure: order:4, mode:0x4020\n").startswith(
        "kworker/u8:1: "
    )


def test_what_registers_and_stacks_held_is_gone() -> None:
    """They hold eight bytes of anything that was in memory, and of passwords, too."""
    lines = (
        "RSP: 002b:63616e617279aaaa EFLAGS: 00010246",
        "RDX: 000000000000001c RSI: 63616e617279aaaa RDI: 63616e617279aaaa",
        "dfa0: 63616e61 72790000",
        "63616e617279aaaa ffffffff8158cbcc",
        "Code: 63 61 6e 61 72 79 <0f> b6",
    )
    for line in lines:
        scrubbed = scrub(f"{line}\n")
        assert "63" not in scrubbed
        assert UNKNOWN not in scrubbed


def test_the_same_log_gives_the_same_output() -> None:
    """Two people could not tell that they speak of the same line."""
    assert scrub(REPORT) == scrub(REPORT)


def test_odd_bytes_and_endless_lines_do_no_harm() -> None:
    """A log that is not what it says would end the command with a traceback, or never."""
    logs: Iterable[str] = (
        "\0" * 1000,
        "\udcff" * 1000 + "\n",
        "a" * 300_000 + "\n" + REPORT,
        "(" * 100_000 + "\n",
        ",task=" * 2_000 + "oom-kill:constraint=" + ",cpuset=" * 2000 + "\n",
        "Killed process 1 (" + ")" * 5_000 + "\n",
        "[ 1] " + "1 " * 50_000 + "\n",
        "x/" * 50_000 + "\n",
        "a.b@" * 20_000 + "\n",
        "a:" * 20_000 + "\n",
        "1:" * 20_000 + "\n",
    )
    for log in logs:
        assert scrub(log).count("\n") >= log.count("\n")

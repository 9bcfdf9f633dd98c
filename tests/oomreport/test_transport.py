"""What carries a message, in the forms of every tool that does."""

import pytest

from memwatchd.oomreport.record import Record
from memwatchd.oomreport.records import read_records

Head = tuple[str | None, str | None, str | None, float | None, str | None]


def facts(line: str) -> tuple[Head, str]:
    """Host, program, caller, seconds and time of the only record, and its text."""
    (record,) = read_records([line.encode()])
    return record[2:7], record.text


TEXT = "Mem-Info:"
KERNEL = ("www", "kernel")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[12345.678901] Mem-Info:", (None, None, None, 12345.678901, None)),
        ("[    1.250000][    T0] Mem-Info:", (None, None, "T0", 1.25, None)),
        ("[    1.250000] [   C10] Mem-Info:", (None, None, "C10", 1.25, None)),
        ("[    1.250000,3] Mem-Info:", (None, None, None, 1.25, None)),
        ("[    1.250000 <    0.000012>] Mem-Info:", (None, None, None, 1.25, None)),
        ("kern  :warn  : [    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        ("<4>[    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        ("<kern.warning>[    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        ("<4>[  472.250000]  [3:           init:    1] Mem-Info:", (None, None, "T1", 472.25, None)),
        ("[  472.250000]  (2)[117:kswapd0]Mem-Info:", (None, None, "T117", 472.25, None)),
        ("4,1968,241227250000,-;Mem-Info:", (None, None, None, 241227.25, None)),
        ("4,1968,1250000,c,caller=T128;Mem-Info:", (None, None, "T128", 1.25, None)),
        ("[Di Aug 12 03:54:03 2025] Mem-Info:", (None, None, None, None, "Di Aug 12 03:54:03 2025")),
        (
            "[dim. 19 avril 18:03:30 2026] Mem-Info:",
            (None, None, None, None, "dim. 19 avril 18:03:30 2026"),
        ),
        ("[二 8月 12 03:54:03 2025] Mem-Info:", (None, None, None, None, "二 8月 12 03:54:03 2025")),
        ("[Aug12 03:54] Mem-Info:", (None, None, None, None, "Aug12 03:54")),
        ("[  +0.000005] Mem-Info:", (None, None, None, None, "+0.000005")),
        ("Mar  7 02:43:11 www kernel: Mem-Info:", (*KERNEL, None, None, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 www kernel: [ 1.250000] Mem-Info:", (*KERNEL, None, 1.25, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 www kernel:[ 1.250000] Mem-Info:", (*KERNEL, None, 1.25, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 www kernel[1]: Mem-Info:", (*KERNEL, None, None, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 kernel: [ 1.250000] Mem-Info:", (None, "kernel", None, 1.25, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 [kernel] [ 1.250000] Mem-Info:", (None, "kernel", None, 1.25, "Mar  7 02:43:11")),
        ("Mar  7 02:43:11 www kern.warn kernel: Mem-Info:", (*KERNEL, None, None, "Mar  7 02:43:11")),
        (
            "Thu Aug 12 03:54:03 2025 kern.warn kernel: [ 1.250000] Mem-Info:",
            (None, "kernel", None, 1.25, "Thu Aug 12 03:54:03 2025"),
        ),
        ("févr. 25 14:58:43 www kernel: Mem-Info:", (*KERNEL, None, None, "févr. 25 14:58:43")),
        (
            "Mar 07 02:43:11.123456 www kernel: Mem-Info:",
            (*KERNEL, None, None, "Mar 07 02:43:11.123456"),
        ),
        (
            "2020-04-22T14:31:38+0000 www kernel: Mem-Info:",
            (*KERNEL, None, None, "2020-04-22T14:31:38+0000"),
        ),
        (
            "2020-04-22T14:31:38.123456+02:00 www kernel: [ 1.250000] Mem-Info:",
            (*KERNEL, None, 1.25, "2020-04-22T14:31:38.123456+02:00"),
        ),
        (
            "Thu 2026-01-02 03:04:05 UTC www kernel: Mem-Info:",
            (*KERNEL, None, None, "Thu 2026-01-02 03:04:05 UTC"),
        ),
        ("1767323045.678901 www kernel: Mem-Info:", (*KERNEL, None, None, "1767323045.678901")),
        ("[    1.250000] www kernel: Mem-Info:", (*KERNEL, None, 1.25, None)),
        (
            "2026-01-02T03:04:05,678901+01:00 Mem-Info:",
            (None, None, None, None, "2026-01-02T03:04:05,678901+01:00"),
        ),
        (
            "<4>1 2026-01-02T03:04:05.678Z www kernel - - - Mem-Info:",
            (*KERNEL, None, None, "2026-01-02T03:04:05.678Z"),
        ),
        (
            '<4>1 2026-01-02T03:04:05.678Z www kernel - - [a@1 b="\\"]"][c] [ 1.250000] Mem-Info:',
            (*KERNEL, None, 1.25, "2026-01-02T03:04:05.678Z"),
        ),
        (
            "2023-10-12T19:00:20.884452000Z stdout F May 19 18:14:43 www kernel: [  1.250000] Mem-Info:",
            (*KERNEL, None, 1.25, "May 19 18:14:43"),
        ),
        (
            "2023-10-12T19:00:20.884452Z May 19 18:14:43 www kernel: Mem-Info:",
            (*KERNEL, None, None, "May 19 18:14:43"),
        ),
        (
            "2023-10-12T19:00:20.884452123Z Mem-Info:",
            (None, None, None, None, "2023-10-12T19:00:20.884452123Z"),
        ),
        (
            "08-12 03:54:03.123     0     0 W kernel  : Mem-Info:",
            (None, "kernel", None, None, "08-12 03:54:03.123"),
        ),
        ("> > [    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        (">> | [    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        ("    [    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        (
            "/var/log/messages:4711:Mar  7 02:43:11 www kernel: Mem-Info:",
            (*KERNEL, None, None, "Mar  7 02:43:11"),
        ),
        ("4711:[    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        ("app_1  | [    1.250000] Mem-Info:", (None, None, None, 1.25, None)),
        (
            '{"log":"[    1.250000] Mem-Info:\\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}',
            (None, None, None, 1.25, "2026-01-02T03:04:05Z"),
        ),
        (
            '{"_TRANSPORT":"kernel","_HOSTNAME":"www","_SOURCE_MONOTONIC_TIMESTAMP":"1250000",'
            '"__REALTIME_TIMESTAMP":"1767323045678901","SYSLOG_IDENTIFIER":"kernel","MESSAGE":"Mem-Info:"}',
            (*KERNEL, None, 1.25, "1767323045678901"),
        ),
        (
            '{"_HOSTNAME":"www","SYSLOG_IDENTIFIER":"kernel","MESSAGE":[77,101,109,45,73,110,102,111,58]}',
            (*KERNEL, None, None, None),
        ),
        ("Mem-Info:   ", (None, None, None, None, None)),
    ],
)
def test_transports(line: str, expected: Head) -> None:
    """Messages that came by this way would not be recognised, or would have no time."""
    assert facts(line) == (expected, TEXT)


@pytest.mark.parametrize(
    "text",
    [
        "Hardware name: QEMU Standard PC",
        "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #1",
        "active_anon:1 inactive_anon:2 isolated_anon:0",
        "Normal: 1*4kB (U) = 4kB",
        "DMA per-cpu:",
        "[ 3600]     0  3600     3956        1      13       3       39             0 getty",
        "[<ffffffff8158cbcc>] ? dump_stack+0x40/0x50",
        "[UFW BLOCK] IN=eth0",
        "oom_kill: Out of memory: Kill process 13555 (java) score 70 or sacrifice child",
    ],
)
@pytest.mark.parametrize(
    "prefix", ["", "[    1.250000] ", "Mar  7 02:43:11 ", "2026-01-02T03:04:05Z ", "<4>[ 1.250000] "]
)
def test_words_of_the_kernel_are_no_transport(prefix: str, text: str) -> None:
    """A statement would lose its first words to a host or a program."""
    head, found = facts(prefix + text)
    assert (head[:2], found) == ((None, None), text)


def test_streams_that_change() -> None:
    """What was learned from one line would be wrong for the next."""
    log = """\
Mar  7 02:43:11 www kernel: [    1.250000] Mem-Info:
Mar  7 02:43:12 www systemd-oomd[5]: Killed /a due to memory pressure for /b
[    2.250000] Mem-Info:
2023-10-12T19:00:20.884452000Z stdout F [    3.250000] Mem-Info:
4,1,4250000,-;Mem-Info:
"""
    assert [(record.program, record.seconds) for record in read_records([log.encode()])] == [
        ("kernel", 1.25),
        ("systemd-oomd", None),
        (None, 2.25),
        (None, 3.25),
        (None, 4.25),
    ]


def test_parts_of_lines_are_joined() -> None:
    """Long lines of containers would end after 16 KiB."""
    log = """\
2023-10-12T19:00:20.884452000Z stdout P [    1.250000] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(nu
2023-10-12T19:00:20.884452000Z stdout F ll),task=a,pid=1,uid=0
{"log":"[    2.250000] Free swap","stream":"stdout","time":"t"}
{"log":"  = 0kB\\n","stream":"stdout","time":"t"}
"""
    assert [record[:2] + record[-1:] for record in read_records([log.encode()])] == [
        (1, 2, "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=a,pid=1,uid=0"),
        (3, 4, "Free swap  = 0kB"),
    ]


def test_escapes_of_dev_kmsg() -> None:
    """Names with odd bytes would be compared with escapes; device names would be statements."""
    log = "4,1,1250000,-;oom: Caf\\xc3\\xa9 \\x5cx\n SUBSYSTEM=pci\n DEVICE=+pci:00:01.0\n4,2,2250000,-;b\n"
    assert [record.text for record in read_records([log.encode()])] == ["oom: Café \\x", "b"]


def test_several_lines_in_one_message() -> None:
    """Half of the Mem-Info block would be lost where syslog writes it as one line."""
    for newline in ("#012", "\\x0a"):
        message = newline.join(["active_anon:1 isolated_anon:0", " active_file:2", " free:3"])
        line = f"Mar  7 02:43:11 www kernel: {message}"
        assert list(read_records([line.encode()])) == [
            Record(1, 1, "www", "kernel", None, None, "Mar  7 02:43:11", text)
            for text in ("active_anon:1 isolated_anon:0", "active_file:2", "free:3")
        ]


def test_several_messages_on_one_line() -> None:
    """A report that a web page had made one paragraph would be one unreadable statement."""
    line = "[4032.152975] a invoked oom-killer: order=0 [4032.152978] CPU: 1 PID: 1 [4032.152980] Call Trace:"
    assert [record[5:] for record in read_records([line.encode()])] == [
        (4032.152975, None, "a invoked oom-killer: order=0"),
        (4032.152978, None, "CPU: 1 PID: 1"),
        (4032.15298, None, "Call Trace:"),
    ]

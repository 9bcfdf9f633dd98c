"""Lines that were wrapped become whole again, whoever wrapped them, and nothing else is joined."""

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import FIXTURES

from memwatchd.oomreport.records import read_records
from memwatchd.oomreport.unwrap import LONGEST_RECORD, MOST_LINES

REPORT = (FIXTURES / "oomreports" / "wrapping-6.12.txt").read_text().splitlines()
_STAMP = re.compile(r"\[ ?[\d.]+\] |^ +")


def texts(lines: Sequence[str]) -> list[str]:
    """The messages of a log; how many blanks are in a row is not told by what was wrapped."""
    log = "\n".join(lines).encode(errors="surrogateescape")
    return [" ".join(record.text.split()) for record in read_records([log])]


def hard(line: str, width: int) -> list[str]:
    """As a terminal does."""
    return [line[at : at + width] for at in range(0, len(line), width)]


def hard_stripped(line: str, width: int) -> list[str]:
    """As a terminal does from which lines are copied without the blanks at their ends."""
    return [part.rstrip() for part in hard(line, width)]


def soft(line: str, width: int) -> list[str]:
    """As a mail program does."""
    return [part.rstrip() for part in soft_kept(line, width)]


def soft_kept(line: str, width: int) -> list[str]:
    """As a mail program does that leaves the blank it breaks at."""
    parts = []
    while len(line) > width:
        at = line.rfind(" ", 0, width + 1)
        at = at if line[: max(at, 0)].strip() else line.find(" ", width)
        if at < 0:
            break
        parts.append(line[: at + 1])
        line = line[at + 1 :]
    return [*parts, line]


def message(line: str) -> str:
    return _STAMP.sub("", line, count=1)


CARRIERS: dict[str, Callable[[str], str]] = {
    "dmesg": lambda line: line,
    "bare": lambda line: message(line) if line.startswith("[") else f" {message(line)}",
    "syslog": lambda line: f"Mar  7 02:43:11 www kernel: [ 8123.401178] {message(line)}",
    "journal": lambda line: f"2020-04-22T14:31:38+0000 www kernel: {message(line)}",
    "klog": lambda line: f"<4>[ 8123.401178] {message(line)}",
    "dmesg -T": lambda line: re.sub(r"^\[ ?[\d.]+\]", "[Di Aug 12 03:54:03 2025]", line),
    "kmsg": lambda line: f"4,19685,8123401178,-,caller=T12845;{message(line)}",
}


@given(
    carrier=st.sampled_from(sorted(CARRIERS)),
    wrap=st.sampled_from([hard, hard_stripped, soft, soft_kept]),
    width=st.integers(60, 140),
    mark=st.sampled_from(["", "> ", ">> ", "    "]),
)
@settings(max_examples=150, deadline=None)
def test_wrapped_is_as_good_as_unwrapped(
    carrier: str, wrap: Callable[[str, int], list[str]], width: int, mark: str
) -> None:
    """A report pasted into a mail or copied from a terminal would lose figures, or get wrong ones."""
    lines = [CARRIERS[carrier](line) for line in REPORT]
    wrapped = [mark + part for line in lines for part in wrap(line, width)]
    assert texts(wrapped) == texts(REPORT) == [" ".join(message(line).split()) for line in REPORT]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            ["[1.000001] ", "oom-kill:constraint=CONSTRAINT_NONE,task=(sd-pam),pid=4503,uid=0"],
            ["oom-kill:constraint=CONSTRAINT_NONE,task=(sd-pam),pid=4503,uid=0"],
            id="the time stamp alone",
        ),
        pytest.param(
            ["[1.000001] lowmem_reserve[]: 0 3845", "15960 15960 15960"],
            ["lowmem_reserve[]: 0 3845 15960 15960 15960"],
            id="nothing but figures",
        ),
        pytest.param(
            ["[1.000001] Memory cgroup out of memory:", "Killed process 77 (a) total-vm:1kB, anon-rss:1kB,",
             "file-rss:0kB, shmem-rss:0kB, UID:0", "pgtables:4kB oom_score_adj:0"],
            ["Memory cgroup out of memory: Killed process 77 (a) total-vm:1kB, anon-rss:1kB,"
             " file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0"],
            id="a rest that could be a statement",
        ),
        pytest.param(
            ["[1.000001] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes",
             "swapents oom_score_adj name",
             "[1.000002] [    108]     0   108     2986     2624    61440", "0             0 tail",
             "[1.000003] [    109]     0   109     2986     2624    61440        0", "0 POSIX timer 0"],
            ["[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
             "[    108]     0   108     2986     2624    61440 0             0 tail",
             "[    109]     0   109     2986     2624    61440        0 0 POSIX timer 0"],
            id="rows of a table",
        ),
        pytest.param(
            ["[1.000001] Node 0 DMA free:8kB min:4kB low:4kB isolated(anon):0kB isolate",
             "d(file):0kB pages_scanned:36", "0 all_unreclaimable? yes"],
            ["Node 0 DMA free:8kB min:4kB low:4kB isolated(anon):0kB isolated(file):0kB pages_scanned:360 "
             "all_unreclaimable? yes"],
            id="broken words and figures",
        ),
        pytest.param(
            ["[1.000001] active_anon:15 inactive_anon:18 isolated_anon:0",
             "            active_file:7 inactive_file:8 isolated_file:0", " anon 4096", "[1.000002] a"],
            ["active_anon:15 inactive_anon:18 isolated_anon:0",
             "active_file:7 inactive_file:8 isolated_file:0",
             "anon 4096", "a"],
            id="the kernel's own further lines",
        ),
        pytest.param(
            ["> [1.000001] Node 0 DMA free:8kB boost:0kB min:64kB low:80kB high:96kB",
             "> active_anon:0kB free_cma:0kB",
             "> [1.000002] lowmem_reserve[]: 0 0"],
            ["Node 0 DMA free:8kB boost:0kB min:64kB low:80kB high:96kB active_anon:0kB free_cma:0kB",
             "lowmem_reserve[]: 0 0"],
            id="quoted",
        ),
    ],
)  # fmt: skip
def test_seams(lines: list[str], expected: list[str]) -> None:
    """These forms are known to have been broken in just these places."""
    assert [record.text for record in read_records(["\n".join(lines).encode()])] == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["[1.000001] 0 pages hwpoisoned", "The system was dead after that."],
        ["[1.000001] Free swap  = 0kB", "Thanks,"],
        ["[1.000001] Node 0 DMA free:8kB min:64kB low:8", "Has anybody seen this before?"],
        ["Here is what the kernel says about it, which I do not understand:", "Mem-Info:"],
        ["[1.000001] Call Trace:", "[...]", "[1.000002] Mem-Info:"],
        ["[1.000001] Node 0 DMA free:8kB min:64kB i>", "Node 0 Normal free:8kB min:64kB inactiv>"],
        ["6. Do anything that requires some memory (e.g., inflate the balloon some", "more). It goes crazy"],
        ["[1.000001] usb 1-1: new device", "Mem-Info:", "active_anon:1 isolated_anon:0"],
    ],
)
def test_strangers_are_not_joined(lines: list[str]) -> None:
    """Words of a mail would become a part of a statement, or a statement a part of another one."""
    assert texts(lines) == [" ".join(re.sub(r"^\[[\d.]+\] ", "", line).split()) for line in lines]


def test_further_lines_have_the_time_of_their_message() -> None:
    """Lines of several events that are mixed could not be told apart."""
    log = b"Mar  7 02:43:11 www kernel: [ 1.250000][ T5] active_anon:1\n  active_file:2\nprose\n"
    first, second, third = read_records([log])
    assert second[2:7] == first[2:7] == ("www", "kernel", "T5", 1.25, "Mar  7 02:43:11")
    assert third[2:7] == (None,) * 5


def test_line_numbers_of_what_was_wrapped() -> None:
    """Quotes would not show the whole statement."""
    log = b"\n[1.000001] Node 0 DMA free:8kB\nmin:4kB\nfree_cma:0kB\n\n[1.000002] a\\x0a\n"
    assert [record[:2] for record in read_records([log])] == [(2, 4), (6, 6)]


def test_joining_is_bounded() -> None:
    """A hostile log would be gathered in memory as one record."""
    log = b"[1.000001] Node 0 DMA free:8kB\n" + b"active_anon:0kB\n" * 5000
    records = list(read_records([log]))
    assert max(record.last - record.number for record in records) < MOST_LINES
    long = b"[1.000001] Node 0 DMA free:8kB\n" + (b"a" * 1000 + b":0kB active_anon:0kB\n") * 500
    assert max(len(record.text) for record in read_records([long])) <= LONGEST_RECORD

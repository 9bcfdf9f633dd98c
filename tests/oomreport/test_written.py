"""The writer of reports against lines of real machines, and against itself: all memory must add up."""

import re

import pytest
from tests.oomreport import written
from tests.oomreport.printed import lines as lines_of
from tests.oomreport.transports import LOSSY, TRANSPORTS
from tests.oomreport.written import HugePages, Memcg, Task, Trigger, Zone

ERAS = (
    "2.6.16",
    "2.6.32",
    "3.2",
    "3.9",
    "3.10",
    "4.4",
    "4.9",
    "4.14",
    "4.19",
    "5.4",
    "5.10",
    "5.15",
    "6.1",
    "6.8",
)
MACHINES: dict[str, dict[str, object]] = {
    "1 GB": {},
    "3 zones": {"ram_mib": 16000},
    "3 nodes": {"ram_mib": 24000, "nodes": 3},
    "highmem": {"arch": "i386", "ram_mib": 4000},
    "64 kB pages": {"arch": "arm64", "ram_mib": 4000, "page_kb": 64, "orders": 14},
}


# ---- lines of real machines: these are equal to the blank


@pytest.mark.parametrize(
    ("era", "task", "line"),
    [
        (
            "3.2",
            Task(pid=14579, comm="rsync", total_vm_mib=579 / 256, rss_mib=171 / 256),
            "[14579]     0 14579      579      171   0       0             0 rsync",
        ),
        (
            "3.10",
            Task(
                pid=468,
                uid=81,
                comm="dbus-daemon",
                total_vm_mib=6195 / 256,
                rss_mib=192 / 256,
                page_tables_kb=72,
                oom_score_adj=-900,
            ),
            "[  468]    81   468     6195      192      18        0          -900 dbus-daemon",
        ),
        (
            "4.4",
            Task(pid=11344, comm="main", total_vm_mib=97590 / 256, rss_mib=46185 / 256, page_tables_kb=452),
            "[11344]     0 11344    97590    46185     113       3        0             0 main",
        ),
        (
            "4.17",
            Task(
                pid=686,
                comm="systemd-journal",
                total_vm_mib=30431 / 256,
                rss_mib=15485 / 256,
                page_tables_kb=272,
                swap_mib=21 / 256,
            ),
            "[  686]     0   686    30431    15485   278528       21             0 systemd-journal",
        ),
        (
            "5.4",
            Task(
                pid=441,
                comm="multipathd",
                total_vm_mib=70050 / 256,
                rss_mib=4498 / 256,
                page_tables_kb=88,
                oom_score_adj=-1000,
            ),
            "[    441]     0   441    70050     4498    90112        0         -1000 multipathd",
        ),
        (
            "6.8",
            Task(
                pid=209,
                comm="systemd-udevd",
                total_vm_mib=5140 / 256,
                rss_mib=0,
                rss_file_mib=320 / 256,
                page_tables_kb=16,
                swap_mib=480 / 256,
                oom_score_adj=-1000,
            ),
            "[    209]     0   209     5140      320        0      320         0    16384      480"
            "         -1000 systemd-udevd",
        ),
    ],
)
def test_rows_of_tasks(era: str, task: Task, line: str) -> None:
    """Otherwise tests of the table would be of columns that no kernel prints."""
    assert line in written.report(era=era, tasks=[task])


@pytest.mark.parametrize(
    ("era", "lines"),
    [
        ("2.6.32", ("Out of memory: kill process 454 (a) score 900 or a child", "Killed process 454 (a)")),
        (
            "3.2",
            (
                "Out of memory: Kill process 454 (a) score 900 or sacrifice child",
                "Killed process 454 (a) total-vm:6196kB, anon-rss:128kB, file-rss:1408kB",
            ),
        ),
        (
            "4.17",
            (
                "Out of memory: Kill process 454 (a) score 900 or sacrifice child",
                "Killed process 454 (a) total-vm:6196kB, anon-rss:128kB, file-rss:1408kB, shmem-rss:0kB",
            ),
        ),
        (
            "5.2",
            (
                "Out of memory: Killed process 454 (a) total-vm:6196kB, anon-rss:128kB, file-rss:1408kB, "
                "shmem-rss:0kB",
            ),
        ),
        (
            "6.8",
            (
                "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
                "task_memcg=/system.slice/app.service,task=a,pid=454,uid=101",
                "Out of memory: Killed process 454 (a) total-vm:6196kB, anon-rss:128kB, file-rss:1408kB, "
                "shmem-rss:0kB, UID:101 pgtables:12kB oom_score_adj:-900",
            ),
        ),
    ],
)
def test_lines_of_kills(era: str, lines: tuple[str, ...]) -> None:
    """Otherwise tests of victims would be of words that no kernel says."""
    task = Task(
        pid=454,
        comm="a",
        uid=101,
        total_vm_mib=6196 / 1024,
        rss_mib=128 / 1024,
        rss_file_mib=1408 / 1024,
        page_tables_kb=12,
        oom_score_adj=-900,
    )
    assert written.report(era=era, tasks=[task])[-len(lines) :] == list(lines)


@pytest.mark.parametrize(
    ("era", "lines"),
    [
        (
            "2.6.30",
            ["a invoked oom-killer: gfp_mask=0x1200d2, order=0, oomkilladj=0", "a cpuset=/ mems_allowed=0"],
        ),
        (
            "2.6.32",
            ["a invoked oom-killer: gfp_mask=0x200da, order=0, oom_adj=0", "a cpuset=/ mems_allowed=0"],
        ),
        ("3.2", ["a invoked oom-killer: gfp_mask=0x200da, order=0, oom_adj=0, oom_score_adj=0"]),
        ("3.10", ["a invoked oom-killer: gfp_mask=0x200da, order=0, oom_score_adj=0"]),
        ("4.8", ["a invoked oom-killer: gfp_mask=0x24200ca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0"]),
        (
            "4.14",
            [
                "a invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null),  order=0, "
                "oom_score_adj=0"
            ],
        ),
        (
            "4.17",
            [
                "a invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null), order=0, "
                "oom_score_adj=0"
            ],
        ),
        (
            "5.4",
            [
                "a invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
                "CPU: 0 PID: 4242 Comm: a Not tainted 5.4.0 #1",
            ],
        ),
    ],
)
def test_first_lines(era: str, lines: list[str]) -> None:
    """Otherwise tests of triggers would be of lines that no kernel prints."""
    assert written.report(era=era, trigger=Trigger(comm="a"))[: len(lines)] == lines


@pytest.mark.parametrize(
    ("era", "line"),
    [
        ("2.6.32", "a: page allocation failure. order:1, mode:0x20"),
        ("3.2", "a: page allocation failure: order:1, mode:0x20"),
        ("4.9", "a: page allocation failure: order:1, mode:0x2080020(GFP_ATOMIC)"),
        ("4.14", "a: page allocation failure: order:1, mode:0x1080020(GFP_ATOMIC), nodemask=(null)"),
        (
            "5.4",
            "a: page allocation failure: order:1, mode:0xa20(GFP_ATOMIC), nodemask=(null),cpuset=/,"
            "mems_allowed=0",
        ),
    ],
)
def test_failures(era: str, line: str) -> None:
    """Otherwise tests of allocation failures would be of lines that no kernel prints."""
    trigger = Trigger(comm="a", order=1, gfp="GFP_ATOMIC")
    assert written.report(era=era, kind="alloc_failure", trigger=trigger)[0] == line


# ---- lines of real machines: these have the same words in the same order, and other numbers


def shape(line: str) -> str:
    """A line with all numbers the same, padded ones as wide as they are; without the letters of types."""
    padded = re.sub(r" {2,}\d+", lambda found: f"<{len(found[0])}>", re.sub(r" \([A-Z]+\)", "", line))
    return re.sub(r"(?<!<)\d+(?!>)", "0", padded)


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        (
            {"era": "2.6.16", "arch": "i386"},
            """\
Free pages:        3388kB (0kB HighMem)
Active:30920 inactive:30757 dirty:0 writeback:0 unstable:0 free:847 slab:1464 mapped:61652 pagetables:163
Normal free:2268kB min:1920kB low:2400kB high:2880kB active:117472kB inactive:116588kB present:245760kB \
pages_scanned:71592 all_unreclaimable? no
Normal: 77*4kB 9*8kB 2*16kB 0*32kB 1*64kB 0*128kB 1*256kB 1*512kB 1*1024kB 0*2048kB 0*4096kB = 2268kB
Swap cache: add 34273, delete 34058, find 6/23, race 0+0
65536 pages of RAM
1200 reserved pages""",
        ),
        (
            {"era": "3.2", "arch": "i386"},
            """\
CPU    5: hi:  186, btch:  31 usd:  61
 free:143494 slab_reclaimable:128312 slab_unreclaimable:4089
 mapped:6706 shmem:308 pagetables:915 bounce:0
Normal free:8056kB min:8048kB low:10060kB high:12072kB active_anon:0kB inactive_anon:0kB active_file:248kB \
inactive_file:388kB unevictable:0kB isolated(anon):0kB isolated(file):0kB present:890008kB mlocked:0kB \
dirty:0kB \
writeback:0kB mapped:0kB shmem:0kB slab_reclaimable:513008kB slab_unreclaimable:16356kB kernel_stack:1888kB \
pagetables:3660kB unstable:0kB bounce:0kB writeback_tmp:0kB pages_scanned:1015 all_unreclaimable? no
lowmem_reserve[]: 0 869 32487 32487
[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name""",
        ),
        (
            {"era": "3.10"},
            """\
active_anon:209326 inactive_anon:10048 isolated_anon:0
 active_file:287 inactive_file:2039 isolated_file:0
 unevictable:0 dirty:0 writeback:0 unstable:0
 slab_reclaimable:4774 slab_unreclaimable:4658
 mapped:1373 shmem:14654 pagetables:3815 bounce:0
 free:12221 free_pcp:62 free_cma:0
Node 0 DMA32 free:44296kB min:44344kB low:55428kB high:66516kB active_anon:827084kB inactive_anon:39720kB \
active_file:1148kB inactive_file:8156kB unevictable:0kB isolated(anon):0kB isolated(file):0kB \
present:1028096kB \
managed:994980kB mlocked:0kB dirty:0kB writeback:0kB mapped:5336kB shmem:57480kB slab_reclaimable:18916kB \
slab_unreclaimable:18492kB kernel_stack:2512kB pagetables:15164kB unstable:0kB bounce:0kB free_pcp:248kB \
local_pcp:248kB free_cma:0kB writeback_tmp:0kB pages_scanned:10579 all_unreclaimable? no
lowmem_reserve[]: 0 970 970 970
Node 0 DMA32: 292*4kB (UEM) 189*8kB (EM) 281*16kB (UE) 290*32kB (UE) 159*64kB (UE) 58*128kB (UE) \
24*256kB (UE) \
6*512kB (EM) 1*1024kB (U) 0*2048kB 0*4096kB = 44296kB
Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB
16988 total pagecache pages
Swap cache stats: add 0, delete 0, find 0/0
[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name""",
        ),
        (
            {"era": "5.4"},
            """\
Node 0 active_anon:364532kB inactive_anon:376kB active_file:420kB inactive_file:1084kB unevictable:18560kB \
isolated(anon):0kB isolated(file):0kB mapped:9400kB dirty:0kB writeback:0kB shmem:1336kB shmem_thp: 0kB \
shmem_pmdmapped: 0kB anon_thp: 0kB writeback_tmp:0kB unstable:0kB all_unreclaimable? no
Node 0 DMA32 free:2536kB min:2600kB low:3248kB high:3896kB active_anon:353860kB inactive_anon:376kB \
active_file:420kB \
inactive_file:1084kB unevictable:18560kB writepending:0kB present:507752kB managed:473480kB mlocked:18560kB \
kernel_stack:3920kB pagetables:4592kB bounce:0kB free_pcp:120kB local_pcp:120kB free_cma:0kB
lowmem_reserve[]: 0 428 428 428 428
130936 pages RAM
0 pages HighMem/MovableOnly
8589 pages reserved
0 pages cma reserved
0 pages hwpoisoned
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name""",
        ),
        (
            {"era": "6.8"},
            """\
 unevictable:394 dirty:296 writeback:17
 mapped:637 shmem:4 pagetables:414
 sec_pagetables:0 bounce:0
 kernel_misc_reclaimable:0
 free:7279 free_pcp:184 free_cma:1094
Node 0 active_anon:404kB inactive_anon:508kB active_file:4736kB inactive_file:4884kB unevictable:1576kB \
isolated(anon):116kB isolated(file):388kB mapped:2548kB dirty:1184kB writeback:68kB shmem:16kB shmem_thp:0kB \
shmem_pmdmapped:0kB anon_thp:0kB writeback_tmp:0kB kernel_stack:1088kB pagetables:1656kB sec_pagetables:0kB \
all_unreclaimable? no
Node 0 DMA32 free:29116kB boost:18432kB min:26624kB low:28672kB high:30720kB reserved_highatomic:0KB \
active_anon:404kB inactive_anon:712kB active_file:4788kB inactive_file:4752kB unevictable:1576kB \
writepending:1252kB present:1048576kB managed:1011988kB mlocked:1576kB bounce:0kB free_pcp:736kB \
local_pcp:236kB \
free_cma:4376kB
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem \
pgtables_bytes swapents oom_score_adj name""",
        ),
        (
            {"era": "6.8", "kind": "memcg1"},
            """\
memory: usage 1048548kB, limit 1048576kB, failcnt 114
memory+swap: usage 1048548kB, limit 9007199254740988kB, failcnt 0
kmem: usage 184kB, limit 9007199254740988kB, failcnt 0
total_cache 1072300032""",
        ),
        (
            {"era": "5.15", "kind": "memcg2", "memcg": Memcg(path="/lxc/39004", swap_limit_mib=0)},
            """\
memory: usage 31211520kB, limit 31211520kB, failcnt 83420
swap: usage 0kB, limit 0kB, failcnt 0
Memory cgroup stats for /lxc/39004:
anon 31154200576""",
        ),
    ],
)
def test_the_same_words_in_the_same_order(said: dict[str, object], lines: str) -> None:
    """Otherwise tests of figures would be of names that no kernel prints."""
    written_shapes = {shape(line) for line in written.report(**said)}
    assert [line for line in lines.split("\n") if shape(line) not in written_shapes] == []


# ---- all memory adds up


def figures(lines: list[str], pattern: str) -> list[int]:
    """Numbers after a name, wherever it stands."""
    return [int(each) for line in lines for each in re.findall(pattern, line)]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kind", ["oom", "alloc_failure", "memory_info"])
def test_what_is_free_is_the_same_everywhere(era: str, machine: str, kind: str) -> None:
    """Otherwise findings that compare figures would see what no machine has."""
    said = MACHINES[machine]
    lines = written.report(era=era, kind=kind, **said)
    page_kb = said.get("page_kb", 4)
    assert isinstance(page_kb, int)
    (free,) = {sum(figures(lines, r"\bfree:(\d+)(?:$| )"))}
    zones = figures(lines, r" free:(\d+)kB")
    assert sum(zones) == free * page_kb
    assert zones == figures(lines, r"= (\d+)kB$")[: len(zones)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "said", [{}, {"rest": "file"}, {"hugepages": [HugePages(total=50)]}, {"shmem_mib": 77}]
)
def test_all_that_is_managed_is_somewhere(machine: str, said: dict[str, object]) -> None:
    """Otherwise every report of a test would show a leak, or hide one."""
    hole_mib = 123
    named = {**MACHINES[machine], **said}
    report = written.Report(unaccounted_mib=hole_mib, **named)  # type: ignore[arg-type]
    lines = list(lines_of(report))
    names = "active_anon|inactive_anon|active_file|inactive_file|slab_reclaimable|slab_unreclaimable"
    names += "|pagetables|free"
    pages = sum(figures(lines, rf"\b(?:{names}):(\d+)(?:$| )"))
    pools_kb = sum(figures(lines, r"hugepages_total=(\d+)")) * 2048
    stacks_kb = sum(figures(lines, r"kernel_stack:(\d+)kB"))
    managed_kb = sum(figures(lines, r"managed:(\d+)kB"))
    hole_kb = managed_kb - pages * report.page_kb - pools_kb - stacks_kb
    assert abs(hole_kb - hole_mib * 1024) < report.page_kb
    assert abs(managed_kb - report.ram_mib * 1024) <= report.page_kb * len(report.filled)


def test_what_is_said_is_written() -> None:
    """Otherwise a test could not say what matters to it."""
    zones = {"Normal": Zone(free_mib=3, min_kb=4000, amounts_mib={"slab_reclaimable": 600})}
    lines = written.report(era="3.2", arch="i386", ram_mib=4000, zones=zones)
    (normal,) = [line for line in lines if line.startswith("Normal free:")]
    assert normal.startswith("Normal free:3072kB min:4000kB low:5000kB high:6000kB")
    assert "slab_reclaimable:614400kB" in normal


def test_what_does_not_fit_is_refused() -> None:
    """Otherwise a test would get a machine other than the one it described."""
    with pytest.raises(ValueError, match="more than there is room for"):
        written.report(ram_mib=100, anon_mib=200)


# ---- transports


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_every_transport_keeps_the_words(kind: str) -> None:
    """Otherwise a test of a transport would fail for what the writer had lost."""
    lines = written.report(era="6.8", reaped=True)
    text = written.transport(lines, kind)
    if kind not in LOSSY and "wrapped" not in kind and "hard" not in kind and "printable" not in kind:
        decoded = text.decode("utf-16" if kind == "utf-16" else "utf-8")
        assert [line for line in lines if line.strip() not in decoded] == []


def test_a_message_of_several_lines_has_one_time() -> None:
    """Otherwise the block after Mem-Info would look like other messages in between."""
    lines = ["Mem-Info:", "active_anon:1 inactive_anon:2 isolated_anon:0", " active_file:1 inactive_file:2"]
    assert written.transport(lines, "dmesg").decode() == (
        "[12345.678901] Mem-Info:\n"
        "[12345.679001] active_anon:1 inactive_anon:2 isolated_anon:0\n"
        "[12345.679001]  active_file:1 inactive_file:2\n"
    )
    assert written.transport(lines, "#012").decode() == (
        "Mar  7 02:43:11 www7 kernel: Mem-Info:\n"
        "Mar  7 02:43:11 www7 kernel: active_anon:1 inactive_anon:2 isolated_anon:0#012 active_file:1 "
        "inactive_file:2\n"
    )

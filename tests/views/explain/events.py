"""Explained events made by hand."""

from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.verdict import Diagnosis
from memwatchd.oomreport.report import (
    GLOBAL,
    MEMCG,
    OOM_KILL,
    AllocationSite,
    Event,
    FreeBlocks,
    HugePages,
    Memcg,
    Node,
    Quote,
    SlabCache,
    Task,
    Totals,
    Trigger,
    Victim,
    Zone,
)

# What a process may call itself: escapes for a terminal, markup, HTML, a mention, bytes that are no text.
HOSTILE = "a`*<b>@x#1|\x1b[2J\n\udcff"

TEXTS = {
    12: "java invoked oom-killer: gfp_mask=0x24200ca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0",
    41: "Node 0 DMA32 free:3948kB min:3956kB low:4944kB high:5932kB active_anon:60kB inactive_anon:72kB",
    52: "Free swap  = 3118172kB",
    53: "Total swap = 3334140kB",
}


def unaccounted() -> Diagnosis:
    """A machine whose memory is in no counter; a report that is cut, and has a strange line."""
    event = Event(
        kind=OOM_KILL,
        scope=GLOBAL,
        missing=("totals",),
        first_line=12,
        last_line=96,
        host="db1",
        seconds=5864.70844,
        time="Jan  5 15:19:27",
        kernel="4.4.0-generic",
        trigger=Trigger(
            comm="java",
            pid=3841,
            gfp_mask=0x24200CA,
            gfp_flags=("GFP_HIGHUSER_MOVABLE",),
            flags_printed=True,
            order=0,
            oom_score_adj=0,
            line=12,
        ),
        victims=(
            Victim(3841, "java", score=11, total_vm_kb=128024, anon_rss_kb=2048, file_rss_kb=0, line=95),
        ),
        zones=(
            Zone(
                node=0,
                name="DMA32",
                amounts_kb={"free": 7892, "min": 3956, "low": 4944, "high": 5932, "managed": 1015460},
                all_unreclaimable=True,
                lowmem_reserve_pages=(0, 0),
                free_blocks={0: FreeBlocks(1973, "UE"), 1: FreeBlocks(0)},
                block_kb=4,
                blocks_total_kb=7892,
                line=41,
            ),
        ),
        nodes=(Node(0, {"active_anon": 60}, line=40),),
        totals=Totals(
            pages={
                "free": 1973,
                "active_anon": 15,
                "inactive_anon": 18,
                "slab_reclaimable": 1798,
                "slab_unreclaimable": 3674,
            },
            ram_pages=262014,
            reserved_pages=8149,
            swap_total_kb=3334140,
            swap_free_kb=3118172,
            lines={"swap_free_kb": 52},
        ),
        hugepages=(HugePages(0, 2048, 0, 0, 0, 50),),
        slabs=(SlabCache("dentry", 20, 40, 70),),
        allocations=(AllocationSite(4096, 1, "mm/slub.c:1 func:f", 80),),
        tasks=(
            Task(3841, 0, 3841, "java", total_vm_pages=32006, rss_pages=512, other={"nr_ptes": 9}, line=88),
        ),
        tasks_listed=True,
        trace=("dump_stack", "out_of_memory"),
        remarks=(Quote(90, "oom_reaper: unable to reap pid:3841"),),
        unparsed=(Quote(77, "something \x1b[31mred"),),
        texts=TEXTS,
    )
    findings = (
        Finding(
            "unaccounted",
            confidence=0.9,
            weight=0.97,
            summary="961 MiB of 992 MiB (97 %) are in no counter: neither processes nor page cache nor slab "
            "have them.",
            evidence=tuple(Quote(line, TEXTS[line]) for line in (41, 52)),
            advice=Advice(
                now=("Have the host give memory back: `virsh setmem VM 2G`.", "Look at /proc/vmallocinfo."),
                change=("Give the machine more with `virsh setmaxmem VM 4G --config` and reboot it.",),
                check=("MemAvailable stays above a tenth of MemTotal.",),
            ),
            figures={"unaccounted_kb": 984000, "share": 0.97, "rate": float("inf")},
        ),
        Finding(
            "swap_untouched",
            confidence=0.8,
            weight=0.0,
            summary="Swap was hardly used.",
            evidence=(Quote(53, TEXTS[53]),),
            advice=Advice(now=("Look at /proc/vmallocinfo.",)),
        ),
    )
    dismissals = (
        Dismissal("swap_full", "Swap was not full: 2.97 GiB of 3.18 GiB were free.", (Quote(52, TEXTS[52]),)),
        Dismissal("slab_leak", "Slab had only 21.4 MiB."),
    )
    return Diagnosis(Case(event), findings, dismissals)


def limit_met(name: str = "eater", *, complete: bool = True, lines: tuple[int, int] = (1, 30)) -> Diagnosis:
    """A cgroup at its limit."""
    event = Event(
        kind=OOM_KILL,
        scope=MEMCG,
        complete=complete,
        first_line=lines[0],
        last_line=lines[1],
        seconds=12.5,
        trigger=Trigger(comm=name, pid=4711, gfp_mask=0xCC0, order=2),
        memcg=Memcg(
            limit_of="/docker/34",
            task_of="/docker/34/a",
            usage_kb=65536,
            limit_kb=65536,
            failcnt=1234,
            swap_usage_kb=0,
            swap_limit_kb=9007199254740988,
            statistics={"anon": 66_000_000},
        ),
        victims=(Victim(4711, name, uid=1000, anon_rss_kb=61440, oom_score_adj=500, reaped=True),),
    )
    finding = Finding("memcg_limit", 0.95, 1.0, f"{name} filled its cgroup.")
    return Diagnosis(Case(event), (finding,), ())

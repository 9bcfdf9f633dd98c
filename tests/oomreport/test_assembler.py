"""Which statement is of which event, with records as they come out of a log."""

from collections.abc import Iterable, Sequence

import pytest
from tests.oomreport import written

from memwatchd.oomreport.assembler import Assembler
from memwatchd.oomreport.record import Record
from memwatchd.oomreport.report import (
    ALLOCATION_FAILURE,
    CPUSET,
    GLOBAL,
    MEMCG,
    MEMORY_INFO,
    MEMPOLICY,
    OOM_KILL,
    USERSPACE_KILL,
    Event,
)


def record(number: int, text: str, **facts: object) -> Record:
    usual = {"host": None, "program": None, "caller": None, "seconds": None, "time": None}
    return Record(number, number, text=text, **{**usual, **facts})  # type: ignore[arg-type]


def assemble(records: Iterable[Record]) -> list[Event]:
    assembler = Assembler()
    events = [event for each in records for event in assembler.feed(each)]
    return events + list(assembler.close())


def read(lines: Sequence[str], **facts: object) -> list[Event]:
    return assemble(record(number, line, **facts) for number, line in enumerate(lines, 1))


def only(lines: Sequence[str]) -> Event:
    (event,) = read(lines)
    return event


ERAS = ("2.6.16", "2.6.32", "3.2", "3.10", "4.4", "4.9", "4.14", "4.19", "5.4", "5.15", "6.1", "6.8", "6.12")
TASKS = (
    written.Task(pid=77, comm="hog", rss_mib=500, swap_mib=3),
    written.Task(pid=78, comm="(sd-pam)", rss_mib=2, oom_score_adj=100),
)


@pytest.mark.parametrize("era", ERAS)
def test_a_report_of_every_era(era: str) -> None:
    """A figure that is looked for under the name of another era is lost without a word."""
    made = written.Report(era=era, ram_mib=1000, anon_mib=600, swap_total_mib=100, tasks=TASKS)
    event = only(written.report(era=era, ram_mib=1000, anon_mib=600, swap_total_mib=100, tasks=TASKS))
    assert (event.kind, event.scope, event.missing, event.unparsed) == (OOM_KILL, GLOBAL, (), ())
    assert event.trigger.order == 0
    assert event.trigger.gfp_mask == made.gfp_mask
    assert event.trigger.comm == (None if era == "2.6.16" else "hog")
    assert [(zone.name, zone.free_kb) for zone in event.zones if zone.free_kb] == [
        (zone.name, zone.free * 4) for zone in made.filled if zone.managed
    ]
    assert all(
        zone.free_kb
        == zone.blocks_total_kb
        == sum(4 * found.count << order for order, found in zone.free_blocks.items())
        for zone in event.zones
    )
    assert all(zone.lowmem_reserve_pages for zone in event.zones)
    assert event.totals.pages["free"] == sum(zone.free for zone in made.filled)
    assert event.totals.swap_total_kb == 100 * 1024
    assert event.totals.ram_pages
    assert [victim.pid for victim in event.victims] == [77]
    if event.tasks:
        assert [(task.pid, task.comm, task.rss_pages) for task in event.tasks] == [
            (77, "hog", 500 * 256),
            (78, "(sd-pam)", 512),
        ]


@pytest.mark.parametrize("kind", ["memcg1", "memcg2"])
@pytest.mark.parametrize("era", ["3.10", "4.4", "5.4", "6.8"])
def test_a_cgroup_of_every_era(era: str, kind: str) -> None:
    """Whose limit it was is the whole point of such a report."""
    if kind == "memcg2" and era < "4":
        pytest.skip("cgroup v2 came with 4.5")
    memcg = written.Memcg(path="/shop/cart", task_path="/shop/cart/web", limit_mib=100)
    event = only(written.report(era=era, kind=kind, memcg=memcg, tasks=TASKS))
    assert (event.kind, event.scope, event.missing, event.unparsed) == (OOM_KILL, MEMCG, (), ())
    assert event.memcg is not None
    assert (event.memcg.limit_of, event.memcg.task_of) == ("/shop/cart", "/shop/cart/web")
    assert event.memcg.limit_kb == event.memcg.usage_kb == 100 * 1024
    assert event.memcg.statistics
    assert [victim.pid for victim in event.victims] == [77]


@pytest.mark.parametrize("era", ["2.6.32", "3.10", "4.14", "5.4", "6.8"])
def test_an_allocation_failure_of_every_era(era: str) -> None:
    """Nobody dies of one; it must not look like a kill."""
    event = only(written.report(era=era, kind="alloc_failure", trigger=written.Trigger(order=4)))
    assert (event.kind, event.scope, event.missing, event.victims) == (ALLOCATION_FAILURE, None, (), ())
    assert event.trigger.order == 4


def test_memory_info_alone() -> None:
    """SysRq-m and drivers print it while nothing is wrong."""
    event = only(written.report(kind="memory_info"))
    assert (event.kind, event.complete, event.victims) == (MEMORY_INFO, True, ())


def test_a_lost_head() -> None:
    """The ring of the kernel's log had been too small; the rest still tells most of it."""
    lines = written.report(era="5.4", tasks=TASKS)
    start = next(index for index, line in enumerate(lines) if line.startswith(" active_file"))
    event = only(lines[start:])
    assert (event.kind, event.missing) == (OOM_KILL, ("head",))
    assert event.trigger.comm is None
    assert [victim.pid for victim in event.victims] == [77]


def test_a_lost_end() -> None:
    """The machine died, or the paste was cut."""
    lines = written.report(era="5.4", tasks=TASKS)
    end = next(index for index, line in enumerate(lines) if "pages reserved" in line)
    event = only(lines[:end])
    assert (event.complete, event.missing, event.victims) == (False, ("kill",), ())


def test_a_kill_line_alone() -> None:
    """Heads are rate-limited, this line is not: in a storm most kills have nothing else."""
    lines = ["Out of memory: Killed process 5 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB"]
    event = only(lines)
    assert (event.kind, event.scope, event.missing) == (
        OOM_KILL,
        GLOBAL,
        ("head", "memory_info", "zones", "totals"),
    )


def test_a_kill_of_another_event() -> None:
    """A lone kill line after a complete report is a second kill, not the first one's."""
    report = written.report(era="5.4", tasks=TASKS)
    lone = "Out of memory: Killed process 5 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB"
    events = read([*report, lone, *report])
    assert [[victim.pid for victim in event.victims] for event in events] == [[77], [5], [77]]


def test_a_group_kill_is_one_event() -> None:
    """With memory.oom.group a whole container goes, and the first victim is named once more."""
    lines = written.report(
        era="5.15", kind="memcg2", memcg=written.Memcg(path="/a", limit_mib=10), tasks=TASKS
    )
    (kill,) = [line for line in lines if "Killed process" in line]
    group = "Tasks in /a are going to be killed due to memory.oom.group set"
    event = only([*lines, group, kill.replace(" 77 (hog)", " 78 (x)"), kill])
    assert [victim.pid for victim in event.victims] == [77, 78, 77]
    assert event.memcg is not None
    assert event.memcg.group_kill == "/a"


def test_the_oom_reaper_comes_late() -> None:
    """It is a thread of its own, and the next event may have begun."""
    report = written.report(era="5.4", tasks=TASKS)
    reaped = "oom_reaper: reaped process 77 (hog), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    without = [line for line in report if "oom_reaper" not in line]
    first, second = read([*without, without[0], reaped, *without[1:]])
    # The reaper is of the newest event with that victim; here the second has none yet.
    assert (first.victims[0].reaped, second.victims[0].reaped) == (True, False)


def test_two_machines_in_one_log() -> None:
    """A log server mixes them line by line."""
    lines = written.report(era="5.4", tasks=TASKS)
    mixed = [
        record(2 * index + offset, line, host=host)
        for index, line in enumerate(lines, 1)
        for offset, host in ((0, "a"), (1, "b"))
    ]
    events = assemble(mixed)
    assert [(event.host, event.missing, len(event.victims)) for event in events] == [
        ("a", (), 1),
        ("b", (), 1),
    ]


def test_two_callers_at_once() -> None:
    """An allocation fails on one processor while another reports a kill; printk's caller keeps them apart."""
    kill = written.report(era="5.4", tasks=TASKS)
    failure = written.report(era="5.4", kind="alloc_failure", trigger=written.Trigger(comm="other", order=3))
    mixed: list[Record] = []
    for index in range(max(len(kill), len(failure))):
        for lines, caller in ((kill, "T1"), (failure, "T2")):
            if index < len(lines):
                mixed.append(record(len(mixed) + 1, lines[index], caller=caller))
    events = assemble(mixed)
    assert [(event.kind, event.trigger.comm, event.missing) for event in events] == [
        (OOM_KILL, "hog", ()),
        (ALLOCATION_FAILURE, "other", ()),
    ]


def test_lines_of_others_in_between() -> None:
    """They are no part of it, and what the kernel says there is listed rather than lost."""
    lines = written.report(era="5.4", tasks=TASKS)
    records = [record(number, line) for number, line in enumerate(lines, 1)]
    records.insert(30, record(1001, "session opened for user root", program="sshd"))
    records.insert(31, record(1002, "usb 1-1: new device"))
    (event,) = assemble(records)
    assert [quote.text for quote in event.unparsed] == ["usb 1-1: new device"]
    assert event.missing == ()


def test_the_same_line_twice() -> None:
    """Pastes overlap themselves."""
    lines = written.report(era="4.4", tasks=TASKS)
    twice = [line for line in lines for _ in range(2)]
    (event,) = read(twice)
    assert event.victims == only(lines).victims or [victim.pid for victim in event.victims] == [77]
    assert len(event.tasks) == 2


def test_events_a_long_time_apart() -> None:
    """A report whose end is lost does not take in the kill of the next day."""
    lines = written.report(era="5.4", tasks=TASKS)
    end = next(index for index, line in enumerate(lines) if "pages reserved" in line)
    kill = next(line for line in lines if "Killed process" in line)
    records = [record(number, line, seconds=100.0) for number, line in enumerate(lines[:end], 1)]
    events = assemble([*records, record(999, kill, seconds=90_000.0)])
    assert [len(event.victims) for event in events] == [0, 1]


def test_constraints() -> None:
    """What the kernel says it was limited to."""
    head = "x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
    summary = (
        "oom-kill:constraint=CONSTRAINT_{},nodemask={},cpuset=/c,mems_allowed=1,global_oom,task_memcg=/,"
    )
    ends = "task=x,pid=9,uid=3"
    assert only([head, summary.format("CPUSET", "(null)") + ends]).scope == CPUSET
    assert only([head, summary.format("MEMORY_POLICY", "0") + ends]).scope == MEMPOLICY
    assert only([head, summary.format("NONE", "(null)") + ends]).scope == GLOBAL
    assert only([head]).scope == GLOBAL


def test_a_nodemask_without_a_constraint() -> None:
    """4.9 to 4.20 print the mask in the first line and no constraint at all."""
    head = (
        "x invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=0, order=0, oom_score_adj=0"
    )
    assert only([head, "x cpuset=/ mems_allowed=0-1"]).scope == MEMPOLICY
    assert (
        only([head.replace("nodemask=0", "nodemask=(null)"), "x cpuset=/ mems_allowed=0-1"]).scope == GLOBAL
    )


@pytest.mark.parametrize(
    ("line", "manner"),
    [
        ("Out of memory and no killable processes...", "no_killable_process"),
        ("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled", "panic_on_oom"),
        ("Kernel panic - not syncing: System is deadlocked on memory", "deadlocked"),
    ],
)
def test_endings_without_a_victim(line: str, manner: str) -> None:
    """Such a report is complete, though nobody was killed."""
    lines = [each for each in written.report(era="6.1", tasks=TASKS) if "Killed process" not in each]
    event = only([*lines, line])
    assert (event.manner, event.victims, "kill" in event.missing) == (manner, (), False)


def test_sysrq() -> None:
    """Somebody pressed a key; the memory may have been fine."""
    lines = written.report(era="5.4", trigger=written.Trigger(order=-1), tasks=TASKS)
    assert only(lines).manner == "sysrq"


def test_a_child_is_killed_instead() -> None:
    """The score is that of the one chosen, the figures are those of the one killed."""
    lines = [
        "x invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0",
        "Out of memory: Kill process 10 (parent) score 42 or sacrifice child",
        "Killed process 11 (child) total-vm:10kB, anon-rss:4kB, file-rss:0kB",
    ]
    (victim,) = only(lines).victims
    assert (victim.pid, victim.comm, victim.score, victim.scope) == (11, "child", 42, GLOBAL)


def test_killers_in_user_space() -> None:
    """They are events of their own kind, also between the kernel's."""
    report = written.report(era="5.4", tasks=TASKS)
    records = [record(number, line, program="kernel") for number, line in enumerate(report, 1)]
    said = 'sending SIGTERM to process 9 uid 1 "x": badness 8, VmRSS 7 MiB'
    kernel, earlyoom = assemble([*records, record(500, said, program="earlyoom")])
    assert (kernel.kind, earlyoom.kind, earlyoom.killer) == (OOM_KILL, USERSPACE_KILL, "earlyoom")
    assert earlyoom.victims[0].pid == 9


def test_a_copy_by_another_program() -> None:
    """node-problem-detector and others log the kernel's words once more."""
    line = "Memory cgroup out of memory: Killed process 5 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB"
    assert assemble([record(1, line, program="node-problem-detector")]) == []


def test_the_balloon_speaks_before() -> None:
    """What a balloon driver said just before belongs to the evidence."""
    lines = [
        "hv_balloon: Balloon request will be partially fulfilled.",
        *written.report(era="5.4", tasks=TASKS),
    ]
    assert [quote.text for quote in only(lines).remarks][:1] == [lines[0]]


def test_constant_memory() -> None:
    """A storm of lone kills must not be held in memory until the end of the log."""
    assembler = Assembler()
    line = "Out of memory: Killed process {} (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB, shmem-rss:0kB"
    seen = [list(assembler.feed(record(number, line.format(number)))) for number in range(1, 100)]
    assert sum(len(events) for events in seen) > 80


def test_nothing_is_awaited_for_ever() -> None:
    """A report whose end is lost would have the rest of a huge log read line by line."""
    assembler = Assembler()
    lines = written.report(era="5.4", tasks=TASKS)[:20]
    for number, line in enumerate(lines, 1):
        assert list(assembler.feed(record(number, line))) == []
    assert assembler.is_busy
    for number in range(1000):
        list(assembler.feed(record(100 + number, "session opened", program="sshd")))
    assert not assembler.is_busy


# ---- what people post: pieces of reports, and those of old or changed kernels


def test_a_slab_without_memory_after_a_lost_head() -> None:
    """What the slab says is all that is left of the request that had failed."""
    lines = written.report(era="3.2", kind="alloc_failure")
    start = next(index for index, line in enumerate(lines) if line.startswith("Node 0 DMA free"))
    event = only([*lines[start:], "SLUB: Unable to allocate memory on node -1 (gfp=0x20)"])
    assert (event.kind, event.manner, event.trigger.gfp_mask) == (ALLOCATION_FAILURE, None, 0x20)
    assert "head" in event.missing


def test_a_slab_without_memory_long_after_a_dump() -> None:
    """A dump that somebody had asked for would become the failure of another."""
    lines = written.report(era="3.2", kind="memory_info")
    noise = ["session opened"] * 5
    dump, slab = read([*lines, *noise, "SLUB: Unable to allocate memory on node -1 (gfp=0x20)"])
    assert (dump.kind, slab.kind, slab.manner) == (MEMORY_INFO, ALLOCATION_FAILURE, "slub")


def test_a_table_of_tasks_means_a_kill() -> None:
    """The tail of a report, its first half lost, would be a dump over which nobody was killed."""
    lines = written.report(era="6.1", tasks=TASKS)
    start = next(index for index, line in enumerate(lines) if "free:" in line and "min:" in line)
    end = next(index for index, line in enumerate(lines) if "oom-kill:" in line)
    assert only(lines[start:end]).kind == OOM_KILL


def test_vendors_dump_tasks_as_well() -> None:
    """A phone's dump of memory and tasks, with nobody killed, would be a kill."""
    lines = written.report(era="6.1", tasks=TASKS)
    start = lines.index("Mem-Info:")
    end = next(index for index, line in enumerate(lines) if "oom-kill:" in line)
    assert only(lines[start:end]).kind == MEMORY_INFO


def test_addresses_that_ran_out() -> None:
    """One failure would be three, and the one that has the name would not say of what it was."""
    lines = written.report(era="3.2", kind="alloc_failure", trigger=written.Trigger(comm="insmod"))
    said = [
        "vmap allocation for size 37806080 failed: use vmalloc=<size> to increase size.",
        "vmalloc: allocation failure: 37798136 bytes",
    ]
    event = only([*said, *lines])
    assert (event.kind, event.manner, event.trigger.comm) == (ALLOCATION_FAILURE, "vmalloc", "insmod")
    assert event.texts[1] == said[0]
    alone = only(said[:1])
    assert (alone.kind, alone.manner, alone.trigger.comm) == (ALLOCATION_FAILURE, "vmalloc", None)


def test_a_first_line_printed_twice() -> None:
    """Kernels that vendors have changed say it once more, with less in it: two events for one."""
    lines = written.report(era="5.4", kind="alloc_failure", trigger=written.Trigger(comm="app"))
    mask = lines[0].partition("mode:")[2].partition("(")[0]
    event = only([lines[0], f"app: page allocation failure: mode:{mask}", *lines[1:]])
    assert (event.trigger.order, event.missing) == (0, ())


def test_a_line_without_a_host() -> None:
    """A mail program wraps lines, and the first half has no host: one kill would be two."""
    head = (
        "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=a,mems_allowed=0,global_oom,"
        "task_memcg=/x,task=hog,pid=9,uid=0"
    )
    killed = "Out of memory: Killed process 9 (hog) total-vm:4kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB"
    (event,) = assemble([record(1, head), record(2, killed, host="www")])
    assert (event.scope, [victim.pid for victim in event.victims]) == (CPUSET, [9])
    assert len(assemble([record(1, head, host="db"), record(2, killed, host="www")])) == 2


def test_the_chosen_one_is_the_victim() -> None:
    """Where the line of the kill is lost, the one before it would be worth nothing."""
    event = only(
        [
            "Task in /1066/uid killed as a result of limit of /1066",
            "Memory cgroup out of memory: Kill process 1046 (apache2) score 1000 or sacrifice child",
        ]
    )
    (victim,) = event.victims
    assert (victim.pid, victim.comm, victim.score, victim.scope, victim.line) == (
        1046,
        "apache2",
        1000,
        MEMCG,
        2,
    )
    assert "kill" in event.missing


EARLY = (
    "oom-killer: gfp_mask=0xd2",
    "DMA per-cpu:",
    "cpu 0 hot: low 2, high 6, batch 1",
    "Normal per-cpu: empty",
    "Free pages:         660kB (0kB HighMem)",
    "Active:596 inactive:120914 dirty:0 writeback:120868 free:165 slab:5896 mapped:598 pagetables:278",
    "DMA free:660kB min:696kB low:1392kB high:2088kB active:2384kB inactive:483656kB present:523712kB",
    "protections[]: 0 0 0",
    "DMA: 5*4kB 0*8kB 0*16kB 0*32kB 10*64kB = 660kB",
    "Normal: empty",
    "nr_free_swap_pages: 116933",
    "Swap cache: add 925862, delete 804994, find 990/1254, race 0+0",
    "Out of Memory: Killed process 2513 (expunge).",
)


def test_a_report_before_2_6_16() -> None:
    """It has no order and no totals, and was called incomplete for the lack of them."""
    event = only(EARLY)
    assert (event.kind, event.missing, event.unparsed) == (OOM_KILL, (), ())
    assert (event.trigger.gfp_mask, event.trigger.order) == (0xD2, None)
    assert event.totals.swap_free_kb == 116933 * 4


def test_a_host_without_a_program() -> None:
    """Some loggers leave out who speaks; the whole report would be taken for other people's words."""
    event = only([f"sleepy {line}" for line in EARLY])
    assert (event.kind, event.trigger.gfp_mask, event.totals.pages["active"]) == (OOM_KILL, 0xD2, 596)
    assert event.zones[0].lowmem_reserve_pages == (0, 0, 0)


def test_the_trace_of_a_panic() -> None:
    """Where the beginning is lost, it is the only one that names the kernel."""
    event = only(
        [
            "[  128]     0   128    62987     2677    94208        0             0 crond",
            "Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled",
            "CPU: 1 PID: 2444 Comm: server Kdump: loaded Not tainted 4.18.0-553.el8_10.x86_64 #1",
        ]
    )
    assert (event.manner, event.kernel) == ("panic_on_oom", "4.18.0-553.el8_10.x86_64")
    assert event.trigger.comm == "server"


def test_without_an_mmu() -> None:
    """Small machines fail to find room for a program, in words of their own."""
    event = only(["Allocation of length 1052672 from process 57 (sh) failed", *EARLY[4:10]])
    assert (event.kind, event.trigger.comm, event.trigger.order) == (ALLOCATION_FAILURE, "sh", 9)
    assert event.zones


def test_the_lowmemorykiller_goes_on() -> None:
    """Its reason is on lines of their own."""
    event = only(
        [
            "lowmemorykiller: Killing 'com.app' (4711), adj 1000,",
            "   to free 20784kB on behalf of 'kswapd0' (442) because",
            "   cache 32112kB is below limit 32384kB for oom_score_adj 1000",
        ]
    )
    assert (event.kind, event.killer, event.last_line) == (USERSPACE_KILL, "lowmemorykiller", 3)
    assert event.reason == (
        "adj 1000 to free 20784kB on behalf of 'kswapd0' (442) because"
        " cache 32112kB is below limit 32384kB for oom_score_adj 1000"
    )


def test_nohang_has_named_its_victim_before() -> None:
    """It would be said to have killed a process, and not which."""
    said = ["  PID: 11394, Name: python3, badness: 1102", "Sending SIGTERM to the victim; total 3 ms"]
    (event,) = assemble(record(at, line, program="nohang") for at, line in enumerate(said, 1))
    (victim,) = event.victims
    assert (victim.pid, victim.comm, victim.score, victim.line) == (11394, "python3", 1102, 2)

"""The lines of a report as kernels print them, version by version; see `written` for what to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.oomreport.written import Report, Task, _Filled

MIB = 1024
_NO_LIMIT_KB = 9007199254740988


def lines(report: Report) -> Iterator[str]:
    """All lines, in the kernel's order."""
    yield from report.before
    if report.kind == "memory_info":
        yield "sysrq: Show Memory" if report.since(4, 20) else "SysRq : Show Memory"
        yield from memory_info(report)
        yield from report.after
        return
    failed = report.kind == "alloc_failure"
    yield from failure(report) if failed else trigger(report)
    yield from stack(report)
    if report.is_memcg:
        yield from memcg(report)
    else:
        yield from memory_info(report)
    if not failed:
        yield from slabs(report)
        yield from tasks(report)
        yield from kills(report)
    yield from report.after


# -- the beginning ---------------------------------------------------------------------------------------


def trigger(report: Report) -> Iterator[str]:
    """dump_header()."""
    asked = report.trigger
    adj = asked.oom_score_adj
    if report.version < (2, 6, 18):
        yield f"oom-killer: gfp_mask={report.gfp_mask:#x}, order={asked.order}"
        return
    head = f"{asked.comm} invoked oom-killer: gfp_mask={report.gfp_mask:#x}"
    old = "" if report.nodemask is None else report.nodemask
    if report.since(4, 6):
        head += f"({asked.gfp})"
    if report.since(4, 9) and not report.since(5, 0):
        blank = " " if report.since(4, 11) and not report.since(4, 16) else ""
        head += f", nodemask={old or '(null)'},{blank}"
    else:
        head += ","
    head += f" order={asked.order}, "
    if report.since(3, 7):
        yield f"{head}oom_score_adj={adj}"
    elif report.since(2, 6, 36):
        yield f"{head}oom_adj=0, oom_score_adj={adj}"
    else:
        yield f"{head}{'oom_adj' if report.since(2, 6, 31) else 'oomkilladj'}={adj}"
    if not report.since(5, 0):
        yield mems(report)


def mems(report: Report) -> str:
    """cpuset_print_current_mems_allowed(), in one line of its own until 4.20."""
    return f"{report.trigger.comm} cpuset={report.cpuset} mems_allowed={allowed(report)}"


def allowed(report: Report) -> str:
    """A list of nodes."""
    if report.mems_allowed is not None:
        return report.mems_allowed
    return "0" if report.nodes == 1 else f"0-{report.nodes - 1}"


def failure(report: Report) -> Iterator[str]:
    """warn_alloc()."""
    asked = report.trigger
    order = f"order:{asked.order}, mode:{report.gfp_mask:#x}"
    if not report.since(2, 6, 39):
        yield f"{asked.comm}: page allocation failure. {order}"
        return
    line = f"{asked.comm}: page allocation failure: {order}"
    if report.since(4, 6):
        line += f"({asked.gfp})"
    if report.since(4, 12):
        line += f", nodemask={report.nodemask or '(null)'}"
    if report.since(5, 0):
        yield f"{line},cpuset={report.cpuset},mems_allowed={allowed(report)}"
        return
    yield line
    if report.since(4, 12):
        yield mems(report)


def stack(report: Report) -> Iterator[str]:
    """dump_stack()."""
    asked = report.trigger
    taint = f"Tainted: {report.taint}" if report.taint else "Not tainted"
    who = f"Comm: {asked.comm} {taint} {report.release} #1"
    if report.since(6, 11):
        yield f"CPU: 0 UID: 0 PID: {asked.pid} {who}"
    elif report.since(3, 9):
        yield f"CPU: 0 PID: {asked.pid} {who}"
    elif report.since(2, 6, 18):
        yield f"Pid: {asked.pid}, comm: {asked.comm} {taint} {report.release} #1"
    if report.since(3, 9):
        yield f"Hardware name: {report.hardware}"
    if report.since(2, 6, 18):
        yield "Call Trace:"
    if report.since(5, 12):
        yield " <TASK>"
    for function in report.trace if report.trace is not None else usual_trace(report):
        yield (
            f" {function}+0x63/0x90" if report.since(4, 9) else f" [<ffffffff81180667>] {function}+0x63/0x90"
        )
    if report.since(5, 12):
        yield " </TASK>"


def usual_trace(report: Report) -> Sequence[str]:
    """Functions of a call trace, innermost first."""
    if report.kind == "alloc_failure":
        return ("dump_stack", "warn_alloc", "__alloc_pages_slowpath", "new_slab", "__netdev_alloc_skb")
    if report.is_memcg:
        return (
            "dump_stack",
            "dump_header",
            "oom_kill_process",
            "mem_cgroup_out_of_memory",
            "handle_mm_fault",
        )
    return ("dump_stack", "dump_header", "oom_kill_process", "out_of_memory", "filemap_fault")


# -- the machine -----------------------------------------------------------------------------------------


def memory_info(report: Report) -> Iterator[str]:
    """show_mem()."""
    yield "Mem-Info:" if report.since(2, 6, 18) else "Mem-info:"
    if not report.since(4, 1) and not report.is_el7:
        yield from per_cpu(report)
    yield from mem_info(report)
    shown = [zone for zone in report.filled if not zone.said.hidden]
    if report.since(4, 8):
        for node in sorted({zone.node for zone in shown}):
            yield node_line(report, [zone for zone in shown if zone.node == node])
    for zone in shown:
        yield zone_line(report, zone)
        yield "lowmem_reserve[]: " + " ".join(str(pages) for pages in reserves(report, zone))
    for zone in shown:
        yield blocks_line(report, zone)
    yield from totals(report)
    yield from allocations(report)


def per_cpu(report: Report) -> Iterator[str]:
    """The lists of pages of each processor, until 4.0."""
    for zone in report.filled:
        high = 0 if zone.name == "DMA" else 186
        yield f"{label(report, zone)} per-cpu:"
        if report.since(2, 6, 25):
            yield f"CPU {0:4d}: hi:{high:5d}, btch:{31 if high else 1:4d} usd:{0:4d}"
        else:
            yield f"cpu 0 hot: high {high}, batch {31 if high else 1} used:0"
            yield f"cpu 0 cold: high {high // 3}, batch {15 if high else 1} used:0"


def label(report: Report, zone: _Filled) -> str:
    """``Node 0 DMA32``; without the node where the kernel knows of none."""
    return f"Node {zone.node} {zone.name}" if report.has_nodes else zone.name


def mem_info(report: Report) -> Iterator[str]:
    """The block of pages; all of it is one message."""
    counts = {
        name: report.total(name)
        for name in (
            *("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable"),
            *("free", "slab_reclaimable", "slab_unreclaimable", "pagetables"),
        )
    }
    counts |= {
        "dirty": report.pages(report.dirty_mib),
        "writeback": report.pages(report.writeback_mib),
        "mapped": report.pages(report.mapped_mib),
        "shmem": report.shmem_pages,
        "free_cma": sum(report.pages(zone.said.free_cma_mib) for zone in report.filled),
        "slab": counts["slab_reclaimable"] + counts["slab_unreclaimable"],
        "active": counts["active_anon"] + counts["active_file"],
        "inactive": counts["inactive_anon"] + counts["inactive_file"],
    }
    if not report.since(2, 6, 28):
        free_kb = counts["free"] * report.page_kb
        high_kb = sum(zone.free for zone in report.filled if zone.name == "HighMem") * report.page_kb
        yield f"Free pages:{free_kb:12d}kB ({high_kb}kB HighMem)"

    def found(name: str) -> int:
        return counts[name] if name in counts else report.total(name)

    for row in mem_info_rows(report):
        line = " ".join(f"{name}:{found(name.lower())}" for name in row.split())
        yield f" {line}" if row.startswith(" ") else line


def mem_info_rows(report: Report) -> Sequence[str]:
    """Which counts stand on which line."""
    if not report.since(2, 6, 28):
        return ("Active inactive dirty writeback unstable free slab mapped pagetables",)
    first = ["active_anon inactive_anon isolated_anon", " active_file inactive_file isolated_file"]
    if not report.since(4, 1) and not report.is_el7:
        last = [" free_cma"] if report.since(3, 8) else []
        rows = " unevictable dirty writeback unstable", " free slab_reclaimable slab_unreclaimable"
        return (*first, *rows, " mapped shmem pagetables bounce", *last)
    unstable = "" if report.since(5, 8) else " unstable"
    rows = f" unevictable dirty writeback{unstable}", " slab_reclaimable slab_unreclaimable"
    if report.since(6, 1):
        mapped = [" mapped shmem pagetables", " sec_pagetables bounce"]
    else:
        mapped = [" mapped shmem pagetables bounce"]
    misc = [" kernel_misc_reclaimable"] if report.since(5, 15) else []
    return (*first, *rows, *mapped, *misc, " free free_pcp free_cma")


def amounts(report: Report, names: str, found: dict[str, int]) -> str:
    """``name:4kB`` for each; found are pages."""
    there = found | {f"isolated({kind})": found.get(f"isolated_{kind}", 0) for kind in ("anon", "file")}
    return "".join(f" {name}:{there.get(name, 0) * report.page_kb}kB" for name in names.split())


def node_line(report: Report, zones: Sequence[_Filled]) -> str:
    """The figures of a node, since 4.8."""
    found = {part: sum(zone.pages(part) for zone in zones) for zone in zones for part in zone.parts}
    first = zones[0].node == 0
    machine = {"dirty": report.dirty_mib, "writeback": report.writeback_mib, "mapped": report.mapped_mib}
    found |= {name: report.pages(mib * first) for name, mib in machine.items()}
    found["shmem"] = report.shmem_pages * first
    line = f"Node {zones[0].node}" + amounts(
        report,
        "active_anon inactive_anon active_file inactive_file unevictable isolated(anon) isolated(file)"
        " mapped dirty writeback shmem",
        found,
    )
    blank = "" if report.since(6, 4) else " "
    if report.arch in ("x86_64", "arm64"):
        line += f" shmem_thp:{blank}0kB shmem_pmdmapped:{blank}0kB anon_thp:{blank}0kB"
    line += " writeback_tmp:0kB"
    if not report.since(5, 8):
        line += " unstable:0kB"
    if not report.since(4, 12):
        line += " pages_scanned:0"
    if report.since(5, 10):
        line += amounts(report, "kernel_stack", found)
    if report.since(5, 11):
        line += amounts(report, "pagetables", found)
    if report.since(6, 1):
        line += amounts(report, "sec_pagetables", found)
    line += f" all_unreclaimable? {yes(any(zone.said.all_unreclaimable for zone in zones))}"
    if report.since(6, 16):
        line += amounts(report, "Balloon", {"Balloon": found.get("balloon", 0)})
    return line


def yes(value: bool) -> str:
    """As the kernel says it."""
    return "yes" if value else "no"


def zone_line(report: Report, zone: _Filled) -> str:
    """The figures of a zone; until 4.7 that is all there is."""
    low, middle, high = zone.marks
    found = {**zone.parts, "free": zone.free, "min": low, "low": middle, "high": high}
    found |= {"present": zone.present, "managed": zone.managed}
    found["free_cma"] = report.pages(zone.said.free_cma_mib)
    found["active"] = zone.pages("active_anon") + zone.pages("active_file")
    found["inactive"] = zone.pages("inactive_anon") + zone.pages("inactive_file")
    found["shmem"] = report.shmem_pages * zone.pages("inactive_anon") // max(1, report.total("inactive_anon"))
    line = label(report, zone)
    if report.since(4, 8):
        return line + zone_since_4_8(report, zone, found)
    end = f" pages_scanned:0 all_unreclaimable? {yes(zone.said.all_unreclaimable)}"
    if not report.since(2, 6, 28):
        return line + amounts(report, "free min low high active inactive present", found) + end
    names = "free min low high active_anon inactive_anon active_file inactive_file unevictable"
    if report.since(2, 6, 32):
        names += " isolated(anon) isolated(file)"
    names += " present"
    if report.since(3, 9):
        names += " managed"
    if report.since(2, 6, 32):
        names += " mlocked dirty writeback mapped shmem slab_reclaimable slab_unreclaimable kernel_stack"
        names += " pagetables unstable bounce"
    if report.since(4, 1) or report.is_el7:
        names += " free_pcp local_pcp"
    if report.since(3, 8):
        names += " free_cma"
    if report.since(2, 6, 32):
        names += " writeback_tmp"
    return line + amounts(report, names, found) + end


def zone_since_4_8(report: Report, zone: _Filled, found: dict[str, int]) -> str:
    """The shorter line, most of what was on it having gone to the node."""
    line = amounts(report, "free", found)
    if report.since(5, 16):
        line += f" boost:{zone.said.boost_kb}kB"
    line += amounts(report, "min low high", found)
    if report.since(5, 5):
        line += f" reserved_highatomic:{zone.said.reserved_highatomic_kb}KB"
    if report.since(6, 16):
        line += " free_highatomic:0KB"
    line += amounts(
        report,
        "active_anon inactive_anon active_file inactive_file unevictable writepending"
        " present managed mlocked",
        found,
    )
    if not report.since(4, 13):
        line += amounts(report, "slab_reclaimable slab_unreclaimable", found)
    if not report.since(5, 10):
        line += amounts(report, "kernel_stack", found)
    if not report.since(5, 11):
        line += amounts(report, "pagetables", found)
    return line + amounts(report, "bounce free_pcp local_pcp free_cma", found)


def reserves(report: Report, zone: _Filled) -> Sequence[int]:
    """setup_per_zone_lowmem_reserve(): what is kept from requests that may go higher."""
    if zone.said.lowmem_reserve is not None:
        return zone.said.lowmem_reserve
    managed = {each.name: each.managed for each in report.filled if each.node == zone.node}
    ratio = 256 if zone.name in ("DMA", "DMA32") else 32
    index = report.kinds.index(zone.name)
    above = 0
    pages = [0] * (index + 1)
    for name in report.kinds[index + 1 :]:
        above += managed.get(name, 0)
        pages.append(above // ratio)
    return pages


def blocks_line(report: Report, zone: _Filled) -> str:
    """Free blocks by order; as large as they come where nothing is said of them."""
    left, counts = zone.free, {}
    for order in reversed(range(report.orders)):
        counts[order], left = divmod(left, 1 << order)
    if zone.said.blocks is not None:
        counts = {order: zone.said.blocks.get(order, 0) for order in range(report.orders)}
    blocks = []
    for order in range(report.orders):
        types = f" ({zone.said.types})" if counts[order] and zone.said.types and report.since(3, 8) else ""
        blocks.append(f"{counts[order]}*{report.page_kb << order}kB{types}")
    total_kb = sum(count << order for order, count in counts.items()) * report.page_kb
    return f"{label(report, zone)}: {' '.join(blocks)} = {total_kb}kB"


def totals(report: Report) -> Iterator[str]:
    """What stands below the lines of the zones."""
    if report.since(3, 10):
        for pool in report.pools:
            yield (
                f"Node {pool.node} hugepages_total={pool.total} hugepages_free={pool.free} "
                f"hugepages_surp={pool.surplus} hugepages_size={pool.size_kb}kB"
            )
    if report.since(2, 6, 18):
        yield f"{report.file_pages + report.pages(report.swapcache_mib)} total pagecache pages"
    yield from swap(report)
    present = sum(zone.present for zone in report.filled)
    reserved = present - sum(zone.managed for zone in report.filled)
    high = sum(zone.present for zone in report.filled if zone.name in ("HighMem", "Movable"))
    if not report.since(2, 6, 18):
        yield from (f"{present} pages of RAM", f"{high} pages of HIGHMEM", f"{reserved} reserved pages")
        return
    yield f"{present} pages RAM"
    if report.since(3, 13) or report.is_el7:
        yield f"{high} pages HighMem/MovableOnly"
    elif high:
        yield f"{high} pages HighMem"
    yield f"{reserved} pages reserved"
    if not report.since(3, 13) and not report.is_el7:
        yield from ("1234 pages shared", "5678 pages non-shared")
    if report.since(4, 0):
        yield f"{report.pages(report.cma_reserved_mib)} pages cma reserved"
        yield f"{report.hwpoisoned_pages} pages hwpoisoned"


def swap(report: Report) -> Iterator[str]:
    """show_swap_cache_info(); nothing on a kernel without swap."""
    if report.swap_total_mib is None:
        return
    total, free = round(report.swap_total_mib * MIB), round(report.swap_free_mib * MIB)
    cached = report.pages(report.swapcache_mib)
    added = (total - free) // report.page_kb
    if not report.since(2, 6, 18):
        yield f"Swap cache: add {added}, delete {added - cached}, find 0/0, race 0+0"
    else:
        yield f"{cached} pages in swap cache"
        if not report.since(6, 0):
            yield f"Swap cache stats: add {added}, delete {added - cached}, find 0/0"
    yield f"Free swap  = {free}kB"
    yield f"Total swap = {total}kB"


def allocations(report: Report) -> Iterator[str]:
    """Who allocated most, since 6.10; in bytes at first, later as people write it."""
    if not report.allocations or not report.since(6, 10):
        return
    yield "Memory allocations:"
    for site in report.allocations:
        size = size_text(site.size_bytes) if report.since(6, 13) else str(site.size_bytes)
        yield f"{size:>12} {site.calls:8d} {site.site}"


def size_text(size_bytes: int) -> str:
    """string_get_size(): three figures, ``3.00 GiB``."""
    size, unit = float(size_bytes), 0
    while size >= 1024:
        size, unit = size / 1024, unit + 1
    digits = 0 if unit == 0 or size >= 100 else 1 if size >= 10 else 2
    return f"{size:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def slabs(report: Report) -> Iterator[str]:
    """Unreclaimable slab, since 4.15, if a test has some."""
    if not report.slabs or not report.since(4, 15):
        return
    yield "Unreclaimable slab info:"
    yield "Name                      Used          Total"
    for slab in report.slabs:
        used_kb = slab.total_kb if slab.used_kb is None else slab.used_kb
        yield f"{slab.name:<17} {used_kb:10d}KB {slab.total_kb:10d}KB"


# -- cgroups ---------------------------------------------------------------------------------------------


def memcg(report: Report) -> Iterator[str]:
    """mem_cgroup_print_oom_info()."""
    group = report.memcg
    if not report.since(5, 0):
        yield f"Task in {group.task_path or group.path} killed as a result of limit of {group.path}"
    usage_mib = group.usage_mib if group.usage_mib is not None else group.limit_mib or 512
    yield usage("memory", usage_mib, group.limit_mib, group.failcnt)
    if report.kind == "memcg2" and report.since(4, 20):
        yield usage("swap", group.swap_mib, group.swap_limit_mib, 0)
    else:
        yield usage("memory+swap", usage_mib + group.swap_mib, group.swap_limit_mib, 0)
        if report.since(3, 8):
            yield usage("kmem", group.kmem_mib, None, 0)
    if not report.since(3, 9):
        return
    found = group.statistics if group.statistics is not None else usual_statistics(report, usage_mib)
    if report.since(5, 3):
        yield f"Memory cgroup stats for {group.path}:"
        yield from (f"{name} {value}" for name, value in found.items())
    else:
        kb = " ".join(f"{name}:{value // 1024}KB" for name, value in found.items())
        yield f"Memory cgroup stats for {group.path}: {kb}"


def usage(what: str, usage_mib: float, limit_mib: float | None, failcnt: int) -> str:
    """One counter."""
    limit_kb = _NO_LIMIT_KB if limit_mib is None else round(limit_mib * MIB)
    return f"{what}: usage {round(usage_mib * MIB)}kB, limit {limit_kb}kB, failcnt {failcnt}"


def usual_statistics(report: Report, usage_mib: float) -> dict[str, int]:
    """A cgroup full of processes' own memory."""
    used = round((usage_mib - 1) * MIB) * 1024
    if report.kind == "memcg1" or not report.since(4, 20):
        names = "cache rss rss_huge mapped_file dirty writeback swap inactive_anon active_anon inactive_file"
        found = dict.fromkeys(f"{names} active_file unevictable".split(), 0)
        found |= {"rss": used, "active_anon": used, "swap": round(report.memcg.swap_mib * MIB) * 1024}
        return found | (
            {f"total_{name}": value for name, value in found.items()} if report.since(5, 3) else {}
        )
    names = (
        "anon file kernel_stack pagetables percpu sock shmem file_mapped file_dirty file_writeback anon_thp"
    )
    names += (
        " inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable slab_unreclaimable"
    )
    return dict.fromkeys(names.split(), 0) | {
        "anon": used,
        "active_anon": used,
        "slab_unreclaimable": 512 * 1024,
        "pagetables": 512 * 1024,
    }


# -- tasks -----------------------------------------------------------------------------------------------


def tasks(report: Report) -> Iterator[str]:
    """dump_tasks()."""
    if not report.since(2, 6, 25):
        return
    if report.since(4, 19):
        yield "Tasks state (memory values in pages):"
    pid = "[  pid  ]" if report.since(4, 19) else "[ pid ]"
    yield f"{pid}   uid  tgid total_vm      rss {columns(report)} name"
    yield from (row(report, task) for task in report.table)


def columns(report: Report) -> str:
    """The columns between rss and name."""
    if not report.since(2, 6, 36):
        return "cpu oom_adj"
    if not report.since(3, 7):
        return "cpu oom_adj oom_score_adj"
    tables = (
        "pgtables_bytes" if report.since(4, 15) else "nr_ptes nr_pmds" if report.since(4, 1) else "nr_ptes"
    )
    kinds = "rss_anon rss_file rss_shmem " if report.since(6, 8) else ""
    return f"{kinds}{tables} swapents oom_score_adj"


def row(report: Report, task: Task) -> str:
    """One task."""
    anon, file, shmem = (report.pages(mib) for mib in (task.rss_mib, task.rss_file_mib, task.rss_shmem_mib))
    width = 7 if report.since(4, 19) else 5
    tgid = task.pid if task.tgid is None else task.tgid
    line = (
        f"[{task.pid:{width}d}] {task.uid:5d} {tgid:5d} {total_vm(report, task):8d} {anon + file + shmem:8d}"
    )
    tail = f"         {task.oom_score_adj:5d} {task.comm}"
    if not report.since(2, 6, 36):
        return f"{line} {0:3d}     {task.oom_score_adj:3d} {task.comm}"
    if not report.since(3, 7):
        return f"{line} {0:3d}     {0:3d}{tail}"
    if report.since(6, 8):
        line += f" {anon:8d} {file:8d} {shmem:9d}"
    if report.since(4, 15):
        line += f" {tables_kb(report, task) * 1024:8d}"
    else:
        line += f" {tables_kb(report, task) // report.page_kb:7d}"
        if report.since(4, 1):
            line += f" {3:7d}"
    return f"{line} {report.pages(task.swap_mib):8d}{tail}"


def total_vm(report: Report, task: Task) -> int:
    """Size of its address space in pages."""
    if task.total_vm_mib is not None:
        return report.pages(task.total_vm_mib)
    return report.pages(task.rss_mib + task.rss_file_mib + task.rss_shmem_mib + task.swap_mib + 4)


def tables_kb(report: Report, task: Task) -> int:
    """Page tables: an eighth of a percent or two of what is mapped, and some."""
    if task.page_tables_kb is not None:
        return task.page_tables_kb
    page_kb = report.page_kb
    return (round((task.rss_mib + task.swap_mib) * 2) // page_kb + 10) * page_kb


# -- the end ---------------------------------------------------------------------------------------------


def kills(report: Report) -> Iterator[str]:
    """oom_kill_process()."""
    victims = report.victims
    if victims and report.since(5, 0):
        yield summary(report, victims[0])
    words = "Memory cgroup out of memory" if report.is_memcg else "Out of memory"
    for task in victims:
        yield from kill(report, words, task)
    if report.is_memcg and report.memcg.group_kill:
        yield f"Tasks in {report.memcg.path} are going to be killed due to memory.oom.group set"
        for task in report.table:
            yield from kill(report, words, task)
    if report.reaped and report.since(4, 6):
        for task in victims:
            now = ", now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
            yield f"oom_reaper: reaped process {task.pid} ({task.comm}){now}"


def summary(report: Report, task: Task) -> str:
    """The line that says why and whom, since 5.0."""
    constraint = report.constraint or ("MEMCG" if report.is_memcg else "NONE")
    path = report.memcg.path
    scope = f"oom_memcg={path},task_memcg={report.memcg.task_path or path}"
    if not report.is_memcg:
        scope = "global_oom,task_memcg=/system.slice/app.service"
    cpuset = f",cpuset={report.cpuset},mems_allowed={allowed(report)}"
    return (
        f"oom-kill:constraint=CONSTRAINT_{constraint},nodemask={report.nodemask or '(null)'}{cpuset},{scope},"
        f"task={task.comm},pid={task.pid},uid={task.uid}"
    )


def kill(report: Report, words: str, task: Task) -> Iterator[str]:
    """The one or two lines of a kill."""
    who = f"{task.pid} ({task.comm})"
    if not report.since(2, 6, 18):
        yield f"Out of Memory: Kill process {who} score {task.score} and children."
        yield f"Out of memory: Killed process {who}."
        return
    if not report.since(2, 6, 36):
        yield f"{words}: kill process {who} score {task.score} or a child"
        yield f"Killed process {who}"
        return
    kinds = (task.rss_mib, task.rss_file_mib, task.rss_shmem_mib)
    anon, file, shmem = (report.pages(mib) * report.page_kb for mib in kinds)
    sizes = f"total-vm:{total_vm(report, task) * report.page_kb}kB, anon-rss:{anon}kB"
    sizes += f", file-rss:{file}kB"
    if report.since(4, 5) or report.is_el7:
        sizes += f", shmem-rss:{shmem}kB"
    if not report.since(5, 1):
        yield f"{words}: Kill process {who} score {task.score} or sacrifice child"
        yield f"Killed process {who} {sizes}"
        return
    if report.since(5, 4):
        sizes += f", UID:{task.uid} pgtables:{tables_kb(report, task)}kB oom_score_adj:{task.oom_score_adj}"
    yield f"{words}: Killed process {who} {sizes}"

"""Memory that no counter shows: what the allocator has given away, less all that the report tells of.

Pages that code in the kernel takes from the allocator for itself (vmalloc, drivers, network page pools, GPUs,
balloons, zram) are in no list and in no counter, so only the sum shows them::

    DMA32 free:3948kB min:3956kB ... present:1032064kB managed:999552kB ...
    active_anon:15 inactive_anon:18 isolated_anon:0
    slab_reclaimable:1798 slab_unreclaimable:3674
    262014 pages RAM
    8149 pages reserved

A balloon that corrects the size of the machine (virtio, Xen, newer Hyper-V) makes `managed` small beside
`present`, and `reserved` large.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from memwatchd.diagnosis import kernel_users
from memwatchd.diagnosis.case import Case
from memwatchd.diagnosis.finding import Advice, Dismissal, Finding
from memwatchd.diagnosis.shortage import Shortage, heaviest, percent, shortage_of, size
from memwatchd.diagnosis.wording import listed
from memwatchd.oomreport.report import Quote
from memwatchd.units import printable

# Module text, per-processor data and drivers' rings are a few hundredths; a tenth is beyond what is usual.
_SHARE = 0.1
# Kernel image, crashkernel= and firmware reserve up to a tenth, KASAN an eighth and more for itself: together
# they were seen to take a quarter of a small machine. What is beyond a third was taken away later.
_RESERVED_SHARE = 1 / 3
# With a balloon driver's own words beside it, less will do.
_RESERVED_SHARE_WITH_BALLOON = 0.15
_BALLOON_CONFIDENCE = 0.7
# Before 3.10 the report has no line of huge pages: a pool of them cannot be told from a leak.
_FIRST_WITH_HUGEPAGES = (3, 10)
_HUGEPAGES_CONFIDENCE = 0.85
_RELEASE = re.compile(r"(\d{1,3})\.(\d{1,4})", re.ASCII)
# zram holds pages in a half to a tenth of their size, so swap in use is one to ten times what it costs.
_ZRAM_RATIO = 10

_TERMS: Mapping[str, tuple[str, ...]] = {
    "free": ("free", "free_pcp"),
    "anonymous pages": ("active_anon", "inactive_anon", "isolated_anon"),
    "page cache": ("active_file", "inactive_file", "isolated_file"),
    "active and inactive pages": ("active", "inactive"),
    "unevictable": ("unevictable",),
    "slab": ("slab", "slab_reclaimable", "slab_unreclaimable"),
    "page tables": ("pagetables", "sec_pagetables"),
    "kernel stacks": ("kernel_stack", "shadow_call_stack"),
    "huge pages": ("hugetlb",),
    "GPU": ("gpu_active", "gpu_reclaim"),
    "balloon": ("Balloon",),
    "per-CPU": ("percpu",),
    "zram and zswap": ("zspages",),
    "others": ("kernel_misc_reclaimable", "bounce"),
}
# How virtual machines call themselves in "Hardware name:".
_VIRTUAL = (
    "QEMU",
    "KVM",
    "VMware",
    "VirtualBox",
    "Virtual Machine",
    "Xen",
    "HVM domU",
    "Bochs",
    "Amazon EC2",
    "Google Compute",
    "OpenStack",
)
_GRAPHICS = (
    *("drm_", "ttm_", "amdgpu_", "i915_", "xe_", "nouveau_", "radeon_", "nv_", "nvidia", "kgsl_", "mali_"),
    *("ion_", "dma_heap_", "system_heap_"),
)


@dataclass(frozen=True)
class Sum:
    """The subtraction, term by term.

    Attributes:
        ram_kb: What the allocator was given.
        terms_kb: What is known of it, by names for people, in the order of `_TERMS`; only what is printed.
        missing_kb: What is left.
        reserved_kb: What of the machine the allocator was not given, where that is more than usual; else 0.
        present_kb: The machine's memory, of which `reserved_kb` is a part; None where it is not printed.
    """

    ram_kb: int
    terms_kb: Mapping[str, int]
    missing_kb: int
    reserved_kb: int
    present_kb: int | None

    @property
    def of_kb(self) -> int:
        """What the share is of: the machine with what a balloon took, or what the allocator had."""
        return self.present_kb if self.reserved_kb and self.present_kb else self.ram_kb

    @property
    def gone_kb(self) -> int:
        """All that is in no counter, and what a balloon took."""
        return self.missing_kb + self.reserved_kb + self.terms_kb.get("balloon", 0)

    def told(self) -> str:
        """Write the subtraction for a sentence."""
        terms = ", ".join(f"{name} {size(kb)}" for name, kb in self.terms_kb.items() if kb)
        return f"{size(self.ram_kb)} of RAM less {terms} leaves {size(self.missing_kb)}"


def examine(case: Case) -> Finding | Dismissal | None:
    """Say how much memory is in no counter, if it was short and that is much."""
    shortage = shortage_of(case)
    if shortage is None or not shortage.whole:
        return None
    total = subtract(case)
    if total is None:
        return None
    quotes = _quotes(case, shortage)
    share = min(1.0, total.gone_kb / total.of_kb)
    if share < _SHARE:
        words = (
            f"{size(total.missing_kb)} of {size(total.ram_kb)} ({percent(total.missing_kb / total.ram_kb)})"
        )
        return Dismissal(
            "unaccounted", f"The counters account for the memory: only {words} are in none.", quotes
        )
    hints = _hints(case, shortage, total)
    only_reserved = total.missing_kb < _SHARE * total.ram_kb and not _balloon_words(case)
    confidence = shortage.confidence * (_BALLOON_CONFIDENCE if only_reserved else 1)
    if not _tells_hugepages(case):
        confidence *= _HUGEPAGES_CONFIDENCE
    return Finding(
        tag="unaccounted",
        confidence=round(confidence, 2),
        weight=heaviest(share),
        summary=f"{_headline(total, share)}{''.join(f' {each}.' for each in hints)}",
        evidence=(*quotes, *_balloon_words(case)[:2], *_site_quotes(case, total)),
        advice=_advice(case, total),
        figures=_figures(total),
    )


def subtract(case: Case) -> Sum | None:
    """Take all that the report tells of off the memory; None where it does not tell what that is."""
    if case.ram_kb is None or case.accounted_kb is None:
        return None
    present_kb, reserved_kb = _reserved(case)
    parts = dict(case.parts_kb)
    balloon_kb = parts.get("Balloon", 0)
    if balloon_kb and balloon_kb <= reserved_kb:
        # A balloon that has made the machine smaller: its pages are not part of what is left.
        del parts["Balloon"]
    least = _RESERVED_SHARE_WITH_BALLOON if _balloon_words(case) or balloon_kb else _RESERVED_SHARE
    if not present_kb or reserved_kb < least * present_kb:
        reserved_kb = 0
    terms = {
        name: sum(parts[each] for each in keys if each in parts)
        for name, keys in _TERMS.items()
        if any(each in parts for each in keys)
    }
    missing_kb = max(0, case.ram_kb - sum(terms.values()))
    return Sum(case.ram_kb, terms, missing_kb, reserved_kb, present_kb)


def _reserved(case: Case) -> tuple[int | None, int]:
    """The machine's memory, and what of it the allocator was not given."""
    totals = case.event.totals
    if totals.ram_pages is not None and totals.reserved_pages is not None:
        return totals.ram_pages * case.page_kb, totals.reserved_pages * case.page_kb
    present = [zone.present_kb for zone in case.event.zones]
    managed = [zone.managed_kb for zone in case.event.zones]
    if not case.zones_are_all or None in present or None in managed:
        return None, 0
    present_kb = sum(each or 0 for each in present)
    return present_kb, max(0, present_kb - sum(each or 0 for each in managed))


def _headline(total: Sum, share: float) -> str:
    if not total.reserved_kb and not total.terms_kb.get("balloon"):
        return f"{percent(share)} of RAM is in no counter of the kernel: {total.told()}."
    parts = []
    if total.reserved_kb:
        parts.append(
            f"{size(total.reserved_kb)} of the machine's {size(total.of_kb)} are withheld (reserved)"
        )
    if total.terms_kb.get("balloon"):
        parts.append(f"the balloon has {size(total.terms_kb['balloon'])}")
    if total.missing_kb >= _SHARE * total.ram_kb:
        parts.append(f"{size(total.missing_kb)} are in no counter ({total.told()})")
    return f"{percent(share)} of the machine's memory is not there for its programs: {listed(parts)}."


def _hints(case: Case, shortage: Shortage, total: Sum) -> list[str]:
    """What the report says of where it might be; nothing that is not in it."""
    hints = []
    if _balloon_words(case):
        hints.append(f"A balloon driver spoke up: “{printable(_balloon_words(case)[0].text.strip())[:160]}”")
    found = kernel_users.sites(case.event, total.missing_kb)
    if found:
        hints.append(f"The kernel's list of allocations names {printable(kernel_users.told(found))}")
    who = kernel_users.asker(case.event)
    if who is not None and who.way != kernel_users.SLAB:
        way = "through vmalloc" if who.way == kernel_users.VMALLOC else "from the page allocator"
        by = f"by {printable(who.function)}()" + ("" if who.certain else ", by all appearances")
        hints.append(f"The request that failed was the kernel's own, {way}, {by}")
    if any(name.startswith(_GRAPHICS) for name in kernel_users.trace(case.event)):
        hints.append("The call trace goes through a driver that allocates graphics memory")
    if any(letter in _taint(case) for letter in "PO"):
        hints.append(
            "A module from outside of the kernel is loaded (taint P or O), such as a GPU driver or ZFS"
        )
    used_kb = case.swap_used_kb or 0
    if 0 < total.missing_kb <= used_kb <= _ZRAM_RATIO * total.missing_kb:
        hints.append(f"If swap is zram, the {size(used_kb)} in it are kept, compressed, in this memory")
    tasks_kb = sum((task.rss_pages or 0) for task in case.event.tasks) * case.page_kb
    if case.event.tasks and shortage.share(tasks_kb) < _SHARE:
        hints.append(
            f"All {len(case.event.tasks)} tasks together have {size(tasks_kb)}: killing them frees no more"
        )
    if _may_have_a_balloon(case, total):
        hints.append(
            "This is a virtual machine: what its balloon has given back to the host is among it, for this "
            "kernel counts that nowhere"
        )
    if not _tells_hugepages(case):
        hints.append("A pool of huge pages would be among it: this kernel does not print them")
    return hints


def _may_have_a_balloon(case: Case, total: Sum) -> bool:
    """Whether a balloon may have pages that no counter shows: in a virtual machine, before 6.16."""
    virtual = any(word in (case.event.hardware or "") for word in _VIRTUAL)
    return virtual and "balloon" not in total.terms_kb and not _balloon_words(case)


def _tells_hugepages(case: Case) -> bool:
    release = _RELEASE.match(case.event.kernel or "")
    if case.event.hugepages or release is None:
        return bool(case.event.hugepages) or case.event.nodes != ()
    return (int(release[1]), int(release[2])) >= _FIRST_WITH_HUGEPAGES


def _taint(case: Case) -> str:
    """The letters of ``Tainted: P OE`` or ``[P]=PROPRIETARY_MODULE``; "Not tainted" has none."""
    taint = (case.event.taint or "").removeprefix("Tainted:").partition(",")[0]
    return "" if taint.lower().startswith("not") else taint.partition("[")[0]


def _balloon_words(case: Case) -> tuple[Quote, ...]:
    return tuple(remark for remark in case.event.remarks if "balloon" in remark.text.lower())


def _site_quotes(case: Case, total: Sum) -> tuple[Quote, ...]:
    return case.quotes(*(site.line for site in kernel_users.sites(case.event, total.missing_kb)))


def _quotes(case: Case, shortage: Shortage) -> tuple[Quote, ...]:
    names = (
        "ram_pages",
        "reserved_pages",
        "free",
        "active_anon",
        "active_file",
        "slab_unreclaimable",
        "active",
    )
    return case.quotes(*shortage.zone_lines(), *case.total_lines(*names))


def _figures(total: Sum) -> dict[str, float | int | str | None]:
    terms = {f"{name.replace(' ', '_').lower()}_kb": kb for name, kb in total.terms_kb.items()}
    return {
        "ram_kb": total.ram_kb,
        **terms,
        "unaccounted_kb": total.missing_kb,
        "unaccounted_share": round(total.missing_kb / total.ram_kb, 4),
        "present_kb": total.present_kb,
        "withheld_kb": total.reserved_kb,
    }


def _advice(case: Case, total: Sum) -> Advice:
    balloon = bool(_balloon_words(case) or total.reserved_kb or total.terms_kb.get("balloon"))
    now, change = [], []
    if not balloon and _may_have_a_balloon(case, total):
        now.append(
            "Look at the host how much of its memory the machine has at the moment: "
            "`virsh dommemstat DOMAIN`, `xl list DOMAIN`, or the dynamic memory of Hyper-V and VMware."
        )
    if balloon:
        now.append(
            "Give the memory back from the host: `virsh setmem DOMAIN SIZE --live`, `xl mem-set DOMAIN "
            "SIZE`, or the dynamic memory of Hyper-V and VMware."
        )
        change.append(
            "Raise the machine's guaranteed (minimum) memory on the host to what it needs, or switch its "
            "balloon off."
        )
    change += [
        "Find the owner: `sort -k2 -n -r /proc/vmallocinfo | head`; `sort -g /proc/allocinfo | tail` "
        "(since 6.10, with sysctl.vm.mem_profiling=1 at boot); or boot with page_owner=on and read"
        " /sys/kernel/debug/page_owner.",
        "Look at what keeps pages for itself: `cat /sys/block/zram*/mm_stat`, `grep ^size"
        " /proc/spl/kstat/zfs/arcstats`, `nvidia-smi`; then update that driver or the kernel.",
    ]
    return Advice(
        now=tuple(now),
        change=tuple(change),
        check=(
            "MemTotal less MemFree, Active, Inactive, Unevictable, Slab, PageTables, KernelStack and "
            "Hugetlb of /proc/meminfo does not grow from day to day.",
        ),
    )
